package import KVBase
import Synchronization

/// Where unfinished SCANs that began at this node go on.
///
/// A cursor is a u64: the node's id in the upper 16 bits, below it a number. The numbers start at random, so that a cursor from
/// before a restart is unknown rather than another scan's. The table is bounded; the oldest cursor is forgotten first.
package final class ScanPositions: Sendable {
    private struct State {
        var starts: [UInt64: [UInt8]] = [:]
        var last: UInt64
    }

    private let node: UInt64
    private let capacity: UInt64
    private let state: Mutex<State>

    /// An empty table of at most `capacity` places; `random` is where its numbers start.
    package init(node: NodeID, capacity: Int, random: UInt64) {
        self.node = Self.bits(node)
        self.capacity = UInt64(max(1, capacity))
        // Far enough below 48 bits that the numbers do not end.
        state = Mutex(State(last: random & 0x0000_7fff_ffff_ffff))
    }

    /// A cursor for going on at `key`.
    package func keep(_ key: [UInt8]) -> UInt64 {
        state.withLock { state in
            state.last += 1
            if state.last > capacity { state.starts[state.last - capacity] = nil }
            state.starts[state.last] = key
            return Self.shifted(node) | state.last
        }
    }

    /// Where a cursor goes on; nil where it is not, or no longer, known here.
    ///
    /// It stays valid, so that a lost reply can be asked for again.
    package func find(_ cursor: UInt64) -> [UInt8]? {
        guard cursor >> 48 == node else { return nil }
        return state.withLock { $0.starts[cursor & 0x0000_ffff_ffff_ffff] }
    }

    /// Whether a cursor may be of that node.
    package static func isOf(_ cursor: UInt64, _ node: NodeID) -> Bool { cursor >> 48 == bits(node) }

    /// The cursor in the eight bytes that ask another node for its place.
    package static func cursor(in bytes: some Collection<UInt8>) -> UInt64? {
        bytes.count == 8 ? bytes.reduce(0) { $0 << 8 | UInt64($1) } : nil
    }

    /// The bytes that ask for a cursor's place.
    package static func bytes(of cursor: UInt64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: cursor >> (56 - 8 * UInt64($0))) }
    }

    /// The answer to a cursor that nobody knows.
    package static let expired = ServiceError(.cursorExpired, "the cursor has expired: start again at 0")

    private static func bits(_ node: NodeID) -> UInt64 { node.rawValue & 0xffff }
    private static func shifted(_ bits: UInt64) -> UInt64 { bits << 48 }
}
