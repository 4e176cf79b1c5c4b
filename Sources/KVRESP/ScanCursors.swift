import KVBase
import Synchronization

/// Where unfinished SCANs of this node go on.
///
/// A cursor is a u64: the node's id in the upper 16 bits, below it a number that is never given twice. The table is
/// bounded; the oldest cursor is forgotten first.
final class ScanCursors: Sendable {
    private struct State {
        var starts: [UInt64: [UInt8]] = [:]
        var last: UInt64 = 0
    }

    private let node: UInt64
    private let capacity: UInt64
    private let state = Mutex(State())

    init(node: NodeID, capacity: Int) {
        self.node = (node.rawValue & 0xffff) << 48
        self.capacity = UInt64(max(1, capacity))
    }

    /// A cursor for going on at `start`.
    func add(_ start: [UInt8]) -> UInt64 {
        state.withLock { state in
            state.last += 1
            if state.last > capacity { state.starts[state.last - capacity] = nil }
            state.starts[state.last] = start
            return node | state.last
        }
    }

    /// Where a cursor goes on; nil where it is not, or no longer, known.
    ///
    /// It stays valid, so that a lost reply can be asked for again.
    func start(_ cursor: UInt64) -> [UInt8]? {
        guard cursor & 0xffff_0000_0000_0000 == node else { return nil }
        return state.withLock { $0.starts[cursor & 0x0000_ffff_ffff_ffff] }
    }
}
