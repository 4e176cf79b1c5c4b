import Synchronization

/// Decompression contexts, reused: making one costs more than a block.
///
/// At most `kept` idle ones.
final class ReadScratchPool: Sendable {
    private static let kept = 8
    private let idle = Mutex<[ReadScratch]>([])

    func take() -> ReadScratch { idle.withLock { $0.popLast() } ?? ReadScratch() }

    func give(_ scratch: ReadScratch) {
        idle.withLock { if $0.count < Self.kept { $0.append(scratch) } }
    }
}
