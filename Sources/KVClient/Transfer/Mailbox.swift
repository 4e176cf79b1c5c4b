import Foundation

/// Where event loops and the reading thread leave what the import's own thread is to know.
///
/// SENDABLE: `events` is touched only under the condition's lock.
final class Mailbox<Event: Sendable>: @unchecked Sendable {
    private let condition = NSCondition()
    private var events: [Event] = []

    func post(_ event: Event) {
        condition.lock()
        events.append(event)
        condition.signal()
        condition.unlock()
    }

    /// Everything that was posted; waits for the first at most until `deadline`.
    func take(until deadline: ContinuousClock.Instant) -> [Event] {
        condition.lock()
        defer { condition.unlock() }
        while events.isEmpty {
            let left = deadline - ContinuousClock.now
            guard left > .zero else { break }
            _ = condition.wait(until: Date(timeIntervalSinceNow: left / .seconds(1)))
        }
        defer { events = [] }
        return events
    }
}
