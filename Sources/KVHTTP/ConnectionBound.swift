import HummingbirdCore
import Synchronization

/// How many connections a listener has open at once; further ones wait in the listen queue.
///
/// The bound may change at any time, from any thread.
struct ConnectionBound: AvailableConnectionsDelegate {
    /// What copies share.
    final class Maximum: Sendable {
        let count: Atomic<Int>

        init(_ count: Int) { self.count = Atomic(count) }
    }

    let maximum: Maximum
    private var open = 0

    init(_ maximum: Maximum) { self.maximum = maximum }

    mutating func connectionOpened() { open += 1 }

    mutating func connectionClosed() { open -= 1 }

    func isAcceptingNewConnections() -> Bool { open < maximum.count.load(ordering: .relaxed) }
}
