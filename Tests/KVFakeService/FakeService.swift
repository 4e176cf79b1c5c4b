package import KVBase
package import KVService
import Synchronization

/// A dictionary behind the service's interface: what an edge asks for happens at once, under a lock.
///
/// Replies come inside `submit`, or, while `isHolding`, when `release` says so, in the order it says; a scripted error
/// comes instead of an effect.
package final class FakeService: KeyValueService {
    struct Stored {
        var value: [UInt8]
        var version: UInt64
        var expiresAt: UInt64
    }

    struct Held {
        var tag: UInt64
        var reply: FakeReply
        var sink: any ReplySink
    }

    struct State {
        var rows: [[UInt8]: Stored] = [:]
        var revision: UInt64 = 0
        var now: UInt64 = 1_700_000_000_000
        var isHolding = false
        var held: [Held] = []
        var error: ServiceError?
        var requests = 0
        var batches = 0
        var isReady = true
        /// By session, what each sequence was answered.
        var sessions: [UInt64: [UInt64: FakeReply]] = [:]
        var tokens: [[UInt8]: FakeReply] = [:]
        /// Where requests that want to be redirected are sent.
        var leader: NodeID?
    }

    package let requestLimits: RequestLimits
    let state = Mutex(State())
    private let scanPositions: ScanPositions

    /// A service without keys.
    package init(limits: RequestLimits = RequestLimits(), scanPositionsMax: Int = 4_096) {
        requestLimits = limits
        scanPositions = ScanPositions(node: NodeID(1), capacity: scanPositionsMax, random: 0)
    }

    // MARK: The test's side

    /// The clock, in milliseconds since 1970.
    package var now: UInt64 { state.withLock { $0.now } }

    /// Moves the clock on.
    package func advance(milliseconds: UInt64) {
        state.withLock { $0.now += milliseconds }
    }

    /// From now on every request fails like this; nil ends it.
    package func fail(with error: ServiceError?) {
        state.withLock { $0.error = error }
    }

    /// From now on another node leads: requests that want to know are told so; nil ends it.
    package func follow(_ leader: NodeID?) {
        state.withLock { $0.leader = leader }
    }

    /// Whether `status` calls the node ready.
    package func setReady(_ isReady: Bool) {
        state.withLock { $0.isReady = isReady }
    }

    /// From now on replies wait for `release`.
    package func hold() {
        state.withLock { $0.isHolding = true }
    }

    /// How many replies wait.
    package var heldCount: Int { state.withLock { $0.held.count } }

    /// Hands out the replies that wait, last first where `reversed`; later ones come at once unless `keepHolding`.
    package func release(reversed: Bool = false, keepHolding: Bool = false) {
        var held = state.withLock { state in
            state.isHolding = keepHolding
            defer { state.held = [] }
            return state.held
        }
        if reversed { held.reverse() }
        for one in held { one.reply.hand(to: one.sink, one.tag) }
    }

    /// How many requests and batches came.
    package var counts: (requests: Int, batches: Int) { state.withLock { ($0.requests, $0.batches) } }

    /// A key's value.
    package func value(_ key: String) -> [UInt8]? { state.withLock { $0.rows[Array(key.utf8)]?.value } }

    // MARK: The service's side

    package func submit(_ batch: borrowing RequestBatch, to sink: any ReplySink) {
        let bytes = batch.bytes
        let items = batch.items
        let replies = state.withLock { state -> [Held] in
            state.batches += 1
            state.requests += items.count
            let made = items.map { item in
                let end = Int(item.offset) + Int(item.length)
                var reply = FakeReply(outcome: .failed)
                if let leader = state.leader, item.redirects, item.operation.isWrite || item.consistency != .stale {
                    reply.error = ServiceError(.notLeader, "another leads", leader: leader, slot: item.slot)
                } else {
                    reply = bytes[Int(item.offset)..<end].withUnsafeBytes { state.serve($0) }
                }
                return Held(tag: item.tag, reply: reply, sink: sink)
            }
            guard state.isHolding else { return made }
            state.held += made
            return []
        }
        for one in replies { one.reply.hand(to: sink, one.tag) }
    }

    package func scan(_ request: ScanRequest, completion: @escaping @Sendable (Result<ScanPage, ServiceError>) -> Void)
    {
        completion(state.withLock { $0.scan(request) })
    }

    package func keepScanPosition(_ key: [UInt8]) -> UInt64 { scanPositions.keep(key) }

    package func scanPosition(
        _ cursor: UInt64,
        completion: @escaping @Sendable (Result<[UInt8], ServiceError>) -> Void
    ) {
        completion(scanPositions.find(cursor).map { .success($0) } ?? .failure(ScanPositions.expired))
    }

    package func count(
        _ consistency: Consistency,
        completion: @escaping @Sendable (Result<UInt64, ServiceError>) -> Void
    ) {
        completion(
            state.withLock { state in
                if let error = state.error { return .failure(error) }
                return .success(UInt64(state.rows.count))
            }
        )
    }

    package func submit(
        _ request: ShardRequest,
        completion: @escaping @Sendable (Result<Bool, ServiceError>) -> Void
    ) {
        var batch = RequestBatch()
        request.add(to: &batch, Slot(rawValue: 0), tag: 0)
        submit(batch, to: ShardReplies(count: 1, completion))
    }

    package func status(completion: @escaping @Sendable (NodeStatus) -> Void) {
        completion(state.withLock { $0.status })
    }

    package func digest(completion: @escaping @Sendable (Result<[ShardDigest], ServiceError>) -> Void) {
        completion(
            .success([ShardDigest(group: GroupID(1), shard: ShardID(3), appliedIndex: 7, keys: 2, hash: 0xabcd)])
        )
    }
}
