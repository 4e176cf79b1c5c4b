import KVBase
import KVLinearizability
import KVService
import KVSimulation

/// A client in a loop: picks a node and a request, waits for the answer or gives up, notes what happened.
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
    private var open: (number: Int, call: KeyValueModel.Call, tag: UInt64, key: Int)?
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
        let host = live[randomness.below(live.count)]
        guard let node = host.node, let home = host.home else { return next() }
        let keyNumber = randomness.below(shared.keys)
        let key = Array("key-\(keyNumber)".utf8)
        lastTag += 1
        let tag = lastTag
        let call = fill(key, keyNumber, tag)
        let number = shared.recorder.begin(process: process, key: "key-\(keyNumber)", call: call)
        open = (number, call, tag, keyNumber)
        let request = batch
        batch.removeAll()
        home.execute { node.submit(request, to: self) }
        shared.world.after(6_000_000_000) { [self] in giveUp(tag) }
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
        let result = result(of: open.call, reply)
        if reply.version > 0 { lastVersions[open.key] = reply.version }
        let isUnknown = reply.outcome == .failed && reply.error?.code == .unknownOutcome
        // The answer is on its way to the client: it counts from when it arrives.
        shared.world.after(UInt64(randomness.below(300_000))) { [self] in finish(tag, result, isUnknown: isUnknown) }
    }

    private func finish(_ tag: UInt64, _ result: KeyValueModel.Result?, isUnknown: Bool) {
        guard let open, open.tag == tag else { return }
        self.open = nil
        if let result {
            shared.recorder.complete(open.number, result)
            ok += 1
        } else if isUnknown {
            unknown += 1
            process += processStride
        } else {
            shared.recorder.fail(open.number)
            refused += 1
        }
        next()
    }

    private func giveUp(_ tag: UInt64) {
        guard let open, open.tag == tag else { return }
        self.open = nil
        unknown += 1
        process += processStride
        next()
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
