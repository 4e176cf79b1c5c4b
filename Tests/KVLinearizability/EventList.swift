/// The invocations and answers of one key in order of time, as a doubly linked list from which the search takes an
/// operation out and puts it back in constant time.
struct EventList {
    /// The place before the first event.
    static let head = 0

    private var next: [Int]
    private var previous: [Int]
    private let operationAt: [Int]
    private let isInvocationAt: [Bool]
    private var invocationOf: [Int]
    private var completionOf: [Int?]

    /// The events of operations that were invoked and completed (nil: never) at these moments.
    ///
    /// At one moment, invocations
    /// come before answers: operations that touch count as concurrent.
    init(intervals: [(invokedAt: UInt64, completedAt: UInt64?)]) {
        struct Event {
            let moment: UInt64
            let isInvocation: Bool
            let operation: Int
        }
        var events: [Event] = []
        for (operation, interval) in intervals.enumerated() {
            events.append(Event(moment: interval.invokedAt, isInvocation: true, operation: operation))
            if let completedAt = interval.completedAt {
                events.append(Event(moment: completedAt, isInvocation: false, operation: operation))
            }
        }
        events.sort { left, right in
            if left.moment != right.moment { return left.moment < right.moment }
            if left.isInvocation != right.isInvocation { return left.isInvocation }
            return left.operation < right.operation
        }
        // Place 0 is the head, 1... are the events, the last one is the end.
        let end = events.count + 1
        next = (0...end).map { min($0 + 1, end) }
        previous = (0...end).map { max($0 - 1, 0) }
        operationAt = [-1] + events.map(\.operation) + [-1]
        isInvocationAt = [false] + events.map(\.isInvocation) + [false]
        invocationOf = [Int](repeating: 0, count: intervals.count)
        completionOf = [Int?](repeating: nil, count: intervals.count)
        for (index, event) in events.enumerated() {
            if event.isInvocation {
                invocationOf[event.operation] = index + 1
            } else {
                completionOf[event.operation] = index + 1
            }
        }
    }

    /// The place after `place`.
    func after(_ place: Int) -> Int { next[place] }

    /// The operation invoked at `place`; nil where an answer or the end stands there.
    func invocation(at place: Int) -> Int? { isInvocationAt[place] ? operationAt[place] : nil }

    /// The place at which `operation` is invoked.
    func place(of operation: Int) -> Int { invocationOf[operation] }

    /// Takes both events of `operation` out.
    mutating func remove(_ operation: Int) {
        unlink(invocationOf[operation])
        if let place = completionOf[operation] { unlink(place) }
    }

    /// Puts both events of `operation` back; the reverse of the latest `remove`.
    mutating func restore(_ operation: Int) {
        if let place = completionOf[operation] { link(place) }
        link(invocationOf[operation])
    }

    private mutating func unlink(_ place: Int) {
        next[previous[place]] = next[place]
        previous[next[place]] = previous[place]
    }

    private mutating func link(_ place: Int) {
        next[previous[place]] = place
        previous[next[place]] = place
    }
}
