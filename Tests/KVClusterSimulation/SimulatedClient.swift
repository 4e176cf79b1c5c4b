import KVBase
import KVLinearizability
import KVService
import KVSimulation

/// A client in a loop: picks a node and a request, waits for the answer or gives up, notes what happened.
///
/// Some writes go through a session: what fails or gets no answer is sent again, to any node, under the same number, and the history
/// has one operation for all tries, so that one that took effect twice breaks linearizability. Some operations are transactions
/// on two keys that are always written together: the history has one register for the pair, and a read that sees different values in
/// the two is noted as a value that nobody wrote.
///
// SENDABLE: the simulator runs in one thread.
final class SimulatedClient: ReplySink, @unchecked Sendable {
    typealias Recorder = HistoryRecorder<KeyValueModel.Call, KeyValueModel.Result>

    /// What all clients share.
    struct Shared {
        let world: SimulatedWorld
        let cluster: SimulatedCluster
        let recorder: Recorder
        let keys: Int
    }

    private let shared: Shared
    private let randomness: SeededRandomness
    private var process: Int
    private let processStride: Int
    private struct Open {
        var number: Int
        var call: KeyValueModel.Call
        var tag: UInt64
        /// The key whose version the reply has; -1 for a pair.
        var key: Int
        /// In a session: the request, to be sent again.
        var request: RequestBatch?
        var triesLeft = 0
        /// Whether a try may have taken effect.
        var isUncertain = false
    }

    private var open: Open?
    private var session: UInt64?
    private var isOpeningSession = false
    private var sequence: UInt64 = 0
    private(set) var transactions = 0
    private(set) var sessionWrites = 0
    private(set) var sessionRetries = 0
    private var lastTag: UInt64 = 0
    private var lastVersions: [Int: UInt64] = [:]
    private(set) var ok = 0
    private(set) var refused = 0
    private(set) var unknown = 0
    var isStopped = false
    private var batch = RequestBatch()

    init(_ process: Int, of count: Int, _ shared: Shared) {
        self.process = process
        processStride = count
        self.shared = shared
        randomness = shared.world.randomness.split()
    }

    var finished: Int { ok + refused + unknown }

    var isIdle: Bool { open == nil }

    func next() {
        guard !isStopped else { return }
        shared.world.after(UInt64(randomness.below(20_000_000))) { [self] in issue() }
    }

    private func issue() {
        guard !isStopped, open == nil else { return }
        let live = shared.cluster.live
        guard !live.isEmpty else { return next() }
        if session == nil { openSession(at: live[randomness.below(live.count)]) }
        let isPair = randomness.below(6) == 0
        let keyNumber = randomness.below(shared.keys)
        lastTag += 1
        let name = isPair ? "pair-\(keyNumber)" : "key-\(keyNumber)"
        let call = isPair ? fillPair(keyNumber) : fill(Array(name.utf8), keyNumber, lastTag)
        if isPair { transactions += 1 }
        let number = shared.recorder.begin(process: process, key: name, call: call)
        var open = Open(number: number, call: call, tag: lastTag, key: isPair ? -1 : keyNumber)
        if let session, batch.items.last?.operation.isWrite == true, randomness.below(3) == 0 {
            sequence += 1
            sessionWrites += 1
            batch.putLastInSession(
                SessionStamp(session: session, sequence: sequence, lowestOutstanding: sequence)
            )
            open.request = batch
            open.triesLeft = 6
        }
        self.open = open
        let request = batch
        batch.removeAll()
        send(request, lastTag)
    }

    /// Sends to a node that is up; where none is, the give-up time ends it.
    private func send(_ request: RequestBatch, _ tag: UInt64) {
        let live = shared.cluster.live
        if !live.isEmpty {
            let host = live[randomness.below(live.count)]
            if let node = host.node, let home = host.home { home.execute { node.submit(request, to: self) } }
        }
        shared.world.after(6_000_000_000) { [self] in giveUp(tag) }
    }

    private func openSession(at host: SimulatedCluster.Host) {
        guard !isOpeningSession, let node = host.node, let home = host.home else { return }
        isOpeningSession = true
        let number = randomness.next() | 1
        home.execute {
            node.submit(.openSession(number, lifeMilliseconds: 60_000)) { [self] result in
                isOpeningSession = false
                // Where it failed the next operation tries again, under another number.
                guard case .success = result else { return }
                session = number
                sequence = 0
            }
        }
        shared.world.after(10_000_000_000) { [self] in isOpeningSession = false }
    }

    /// A transaction that reads both keys of a pair or writes both.
    private func fillPair(_ number: Int) -> KeyValueModel.Call {
        let keys = ["{pair-\(number)}a", "{pair-\(number)}b"].map { Array($0.utf8) }
        let value = Array("p\(process)-\(lastTag)".utf8)
        let isRead = randomness.below(2) == 0
        for key in keys {
            key.withUnsafeBytes { key in
                if isRead {
                    batch.get(key, tag: 0)
                } else {
                    value.withUnsafeBytes { batch.put(key, $0, tag: 0) }
                }
            }
        }
        // Both keys have the tag's slot.
        _ = batch.joinAsTransaction(from: 0, flags: .allOrNothing, tag: lastTag)
        return isRead ? .get : .put(value)
    }

    private func fill(_ key: [UInt8], _ keyNumber: Int, _ tag: UInt64) -> KeyValueModel.Call {
        let value = Array("v\(process)-\(tag)".utf8) + [UInt8](repeating: 120, count: randomness.below(1_000))
        let version = lastVersions[keyNumber] ?? 0
        return key.withUnsafeBytes { key in
            value.withUnsafeBytes { bytes in
                switch randomness.below(20) {
                case 0..<8:
                    batch.get(key, tag: tag)
                    return .get
                case 8..<14:
                    batch.put(key, bytes, tag: tag)
                    return .put(value)
                case 14:
                    batch.delete(key, tag: tag)
                    return .delete
                case 15:
                    batch.put(key, bytes, tag: tag, condition: .absent)
                    return .putIfAbsent(value)
                case 16, 17:
                    guard version > 0 else {
                        batch.get(key, tag: tag)
                        return .get
                    }
                    batch.put(key, bytes, tag: tag, condition: .version(version))
                    return .putIfVersion(version, value)
                default:
                    batch.append(key, bytes, tag: tag)
                    return .append(value)
                }
            }
        }
    }

    func complete(_ tag: UInt64, _ reply: borrowing Reply) {
        guard let open, open.tag == tag else { return }
        let result = open.key < 0 ? pairResult(of: open.call, reply) : result(of: open.call, reply)
        if open.key >= 0, reply.version > 0 { lastVersions[open.key] = reply.version }
        let isUnknown = reply.outcome == .failed && reply.error?.code == .unknownOutcome
        // The answer is on its way to the client: it counts from when it arrives.
        shared.world.after(UInt64(randomness.below(300_000))) { [self] in finish(tag, result, isUnknown: isUnknown) }
    }

    private func finish(_ tag: UInt64, _ result: KeyValueModel.Result?, isUnknown: Bool) {
        guard var open, open.tag == tag else { return }
        if isUnknown { open.isUncertain = true }
        if result == nil, retry(open) { return }
        self.open = nil
        if let result {
            shared.recorder.complete(open.number, result)
            ok += 1
        } else if open.isUncertain {
            unknown += 1
            process += processStride
        } else {
            shared.recorder.fail(open.number)
            refused += 1
        }
        next()
    }

    private func giveUp(_ tag: UInt64) {
        guard var open, open.tag == tag else { return }
        open.isUncertain = true
        if retry(open) { return }
        self.open = nil
        unknown += 1
        process += processStride
        next()
    }

    /// Sends a session's request again under another tag.
    private func retry(_ open: Open) -> Bool {
        guard var request = open.request, open.triesLeft > 0, !isStopped else {
            // The session may be gone: the next operation opens another.
            if open.request != nil, open.isUncertain { session = nil }
            return false
        }
        sessionRetries += 1
        lastTag += 1
        var again = open
        again.triesLeft -= 1
        again.tag = lastTag
        let item = request.items[0]
        var copy = RequestBatch()
        request.bytes.withUnsafeBytes { copy.append($0, like: item, tag: lastTag, joinsPrevious: false) }
        swap(&request, &copy)
        again.request = request
        self.open = again
        let tag = lastTag
        shared.world.after(UInt64(1 + randomness.below(200_000_000))) { [self] in
            guard self.open?.tag == tag else { return }
            send(request, tag)
        }
        return true
    }

    private func pairResult(of call: KeyValueModel.Call, _ reply: borrowing Reply) -> KeyValueModel.Result? {
        guard reply.outcome == .done, let bytes = reply.value else { return nil }
        guard case .get = call else { return .done(version: nil) }
        var values: [[UInt8]?] = []
        // What cannot be read shows as a value that nobody wrote.
        try? ReplyFormat.decode(bytes) { _, part in values.append(part.value.map { Array($0) }) }
        guard values.count == 2, values[0] == values[1] else {
            return .value(Array("a torn pair: \(values)".utf8), version: nil)
        }
        return values[0].map { .value($0, version: nil) } ?? .absent
    }

    private func result(of call: KeyValueModel.Call, _ reply: borrowing Reply) -> KeyValueModel.Result? {
        switch reply.outcome {
        case .done: return .done(version: reply.version > 0 ? reply.version : nil)
        case .found: return .value(reply.value.map { Array($0) } ?? [], version: reply.version)
        case .absent: return .absent
        case .number: return .number(reply.integer, version: reply.version > 0 ? reply.version : nil)
        case .conditionFailed: return .conditionFailed(version: reply.version)
        case .failed: return nil
        }
    }
}
