import KVBase
import Synchronization

/// Which endpoint leads which slots, as nodes said last: what goes there needs no further hop.
///
/// 1. Where what is known is older than `lifetime`, two questions (`CLUSTER MYID`, `CLUSTER SLOTS`) go out on the connection of
///    the next request, before it; nobody waits for their answers.
/// 2. Answers name nodes by id, so an endpoint is known by the id that it gave itself, whatever its address is from here.
/// 3. While an endpoint has not said who it is, it gets a request now and then: any node serves any key.
/// 4. What turns out to be wrong costs a hop and no more; an endpoint that fails is left aside until it is asked again.
final class LeaderCache: Sendable {
    /// For how long answers are believed.
    static let lifetime = Duration.seconds(5)
    /// Nodes that fail are asked early, but not more often than this.
    static let questionInterval = Duration.milliseconds(200)

    private struct Range {
        let slots: ClosedRange<UInt16>
        let node: String
    }

    private struct State {
        /// By endpoint.
        var nodes: [String?]
        var failedAt: [ContinuousClock.Instant?]
        var ranges: [Range] = []
        var askedAt: ContinuousClock.Instant?
        /// Whether another may lead by now.
        var isDoubtful = false
        var turn = 0

        /// Whether an endpoint failed a short while ago.
        func isAside(_ index: Int, _ now: ContinuousClock.Instant) -> Bool {
            failedAt[index].map { now - $0 < LeaderCache.lifetime } ?? false
        }
    }

    private let state: Mutex<State>
    private let isUseful: Bool

    /// A cache that knows nothing, for so many endpoints.
    init(endpoints: Int, isUsed: Bool) {
        isUseful = isUsed && endpoints > 1
        state = Mutex(
            State(
                nodes: Array(repeating: nil, count: endpoints),
                failedAt: Array(repeating: nil, count: endpoints)
            )
        )
    }

    /// The endpoint to send a request for this slot to first; nil where that does not matter or is not known.
    func endpoint(for slot: Slot, now: ContinuousClock.Instant = .now) -> Int? {
        guard isUseful else { return nil }
        return state.withLock { state in
            guard let range = state.ranges.first(where: { $0.slots.contains(slot.rawValue) }) else { return nil }
            if let index = state.nodes.firstIndex(of: range.node) { return state.isAside(index, now) ? nil : index }
            // The leader is one of those that have not said who they are: every eighth request finds out.
            state.turn += 1
            guard state.turn % 8 == 1 else { return nil }
            return state.nodes.indices.first { state.nodes[$0] == nil && !state.isAside($0, now) }
        }
    }

    /// Whether it is time to ask an endpoint; the caller that is told so asks.
    func shouldAsk(_ index: Int, now: ContinuousClock.Instant = .now) -> Bool {
        guard isUseful else { return false }
        return state.withLock { state in
            let age = state.askedAt.map { now - $0 } ?? Self.lifetime
            let isDue =
                state.isDoubtful || state.nodes[index] == nil ? age >= Self.questionInterval : age >= Self.lifetime
            guard isDue || (state.nodes[index] == nil && !state.isAside(index, now)) else { return false }
            state.askedAt = now
            state.isDoubtful = false
            // Until it answers, so that a burst asks once.
            state.nodes[index] = state.nodes[index] ?? ""
            return true
        }
    }

    /// An endpoint did not serve a request.
    func failed(_ index: Int, now: ContinuousClock.Instant = .now) {
        guard isUseful else { return }
        state.withLock { state in
            state.failedAt[index] = now
            state.isDoubtful = true
        }
    }

    /// An endpoint said who it is and who leads; what it does not know is nil.
    func learned(_ index: Int, node: String?, slots: RESPValue?) {
        state.withLock { state in
            // One that does not say who it is is not asked again before the answers are old.
            state.nodes[index] = node ?? ""
            if node != nil { state.failedAt[index] = nil }
            if let ranges = Self.ranges(slots), !ranges.isEmpty { state.ranges = ranges }
        }
    }

    /// `CLUSTER SLOTS`: first, last, then nodes of host, port and id, the leader first.
    private static func ranges(_ reply: RESPValue?) -> [Range]? {
        guard case .array(let rows)? = reply else { return nil }
        return rows.compactMap { row in
            guard case .array(let parts) = row, parts.count >= 3, case .integer(let first) = parts[0],
                case .integer(let last) = parts[1], case .array(let leader) = parts[2], leader.count >= 3,
                let id = leader[2].bytes, let low = UInt16(exactly: first), let high = UInt16(exactly: last),
                low <= high
            else { return nil }
            return Range(slots: low...high, node: String(decoding: id, as: UTF8.self))
        }
    }

    /// The two questions, for one connection.
    static let questions: RESPCommands = {
        var commands = RESPCommands([Array("CLUSTER".utf8), Array("MYID".utf8)])
        commands.append([Array("CLUSTER".utf8), Array("SLOTS".utf8)])
        return commands
    }()

    /// Takes an endpoint's answers.
    final class Answers: RESPReplySink {
        private let cache: LeaderCache
        private let index: Int
        private let node = Mutex<String?>(nil)

        init(_ cache: LeaderCache, _ index: Int) {
            self.cache = cache
            self.index = index
        }

        func received(_ reply: RESPValue, for number: UInt64) {
            if number == 0 {
                node.withLock { $0 = reply.bytes.map { String(decoding: $0, as: UTF8.self) } }
            } else {
                cache.learned(index, node: node.withLock { $0 }, slots: reply)
            }
        }

        func failed(_ numbers: Swift.Range<UInt64>, _ error: ClientError) {
            cache.learned(index, node: nil, slots: nil)
            cache.failed(index)
        }

        func paused() {}
    }
}
