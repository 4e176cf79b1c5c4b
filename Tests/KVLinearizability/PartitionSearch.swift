/// The search for one order of the operations on one key that respects time and that the model could have produced.
///
/// Wing and Gong's search with Lowe's cache ("Testing for linearizability", 2017), and three cuts that lose no order:
///
/// 1. A read that the model answers so in the present state goes first at once: whatever order works with it further on
///    works with it in front. (Not so for a write that happens to change nothing now: further on it may be needed to
///    change something.)
/// 2. An operation with unknown outcome that would change nothing is left out: it may as well never happen.
/// 3. Of operations with unknown outcome and the same call, the earliest open one goes first: only its start binds it,
///    so it can stand wherever a later one can.
///
/// The search ends well once every completed operation has a place; those with unknown outcome need none.
struct PartitionSearch<Model: SequentialModel> {
    /// How a search ended.
    enum Verdict {
        case linearizable
        /// The longest order found, as indexes of operations, and the state after it.
        case violation(order: [Int], state: Model.State)
        /// More than `configurationsMax` configurations were seen.
        case gaveUp
    }

    private struct Step {
        let operation: Int
        let stateBefore: Int
        let isForced: Bool
    }

    private let model: Model
    private let operations: [HistoryOperation<Model.Call, Model.Result>]
    private var events: EventList
    private var states: [Model.State]
    private var numberOf: [Model.State: Int]
    private var cache: ConfigurationCache
    private var bits: [UInt64]
    private var hash: UInt64 = 0
    private var stack: [Step] = []
    private var completedLeft: Int
    private var fewestLeft: Int
    private var bestOrder: [Int] = []
    private var bestState = 0
    /// For each operation with unknown outcome: the one before it with the same call.
    private let twinBefore: [Int?]

    /// A search over `operations`: one key, none failed, in order of invocation.
    init(_ model: Model, _ operations: [HistoryOperation<Model.Call, Model.Result>]) {
        self.model = model
        self.operations = operations
        events = EventList(intervals: operations.map { ($0.invokedAt, $0.completedAt) })
        states = [model.initial]
        numberOf = [model.initial: 0]
        let words = (operations.count + 63) / 64
        cache = ConfigurationCache(bitWords: words)
        bits = [UInt64](repeating: 0, count: words)
        completedLeft = operations.count { $0.completedAt != nil }
        fewestLeft = completedLeft
        var latest: [Model.Call: Int] = [:]
        twinBefore = operations.enumerated().map { index, operation in
            guard operation.completedAt == nil else { return nil }
            defer { latest[operation.call] = index }
            return latest[operation.call]
        }
    }

    /// Runs the search to its end.
    mutating func run(configurationsMax: Int) -> Verdict {
        var state = 0
        var place = events.after(EventList.head)
        var isNewNode = true
        while completedLeft > 0 {
            guard cache.count <= configurationsMax else { return .gaveUp }
            if isNewNode, let operation = firstRead(in: state) {
                push(Step(operation: operation, stateBefore: state, isForced: true))
                note(state)
                place = events.after(EventList.head)
                continue
            }
            isNewNode = false
            if let operation = events.invocation(at: place) {
                if let following = take(operation, in: state) {
                    push(Step(operation: operation, stateBefore: state, isForced: false))
                    state = following
                    note(state)
                    place = events.after(EventList.head)
                    isNewNode = true
                } else {
                    place = events.after(place)
                }
                continue
            }
            // An answer: its operation had to come before here. Back to the latest choice.
            var undone: Step?
            while let step = stack.popLast() {
                undo(step)
                state = step.stateBefore
                if !step.isForced {
                    undone = step
                    break
                }
            }
            guard let undone else { return .violation(order: bestOrder, state: states[bestState]) }
            place = events.after(events.place(of: undone.operation))
        }
        return .linearizable
    }

    /// The first read that may come next, is answered as it was, and teaches nothing new about the state.
    private func firstRead(in state: Int) -> Int? {
        var place = events.after(EventList.head)
        while let operation = events.invocation(at: place) {
            if let result = operations[operation].result, model.isRead(operations[operation].call, result),
                model.step(states[state], operations[operation].call, result) == states[state]
            {
                return operation
            }
            place = events.after(place)
        }
        return nil
    }

    /// The number of the state after `operation`, or nil where it cannot come next or leads to where the search has
    /// been.
    private mutating func take(_ operation: Int, in state: Int) -> Int? {
        let isUnknown = operations[operation].completedAt == nil
        if isUnknown, let twin = twinBefore[operation], !contains(twin) { return nil }
        guard let next = model.step(states[state], operations[operation].call, operations[operation].result) else {
            return nil
        }
        if isUnknown, next == states[state] { return nil }
        let following = number(of: next)
        toggle(operation)
        let isNew = cache.insert(bits: bits, hash: hash, state: following)
        toggle(operation)
        return isNew ? following : nil
    }

    private mutating func number(of state: Model.State) -> Int {
        if let number = numberOf[state] { return number }
        states.append(state)
        numberOf[state] = states.count - 1
        return states.count - 1
    }

    private mutating func push(_ step: Step) {
        stack.append(step)
        toggle(step.operation)
        events.remove(step.operation)
        if operations[step.operation].completedAt != nil { completedLeft -= 1 }
    }

    private mutating func undo(_ step: Step) {
        toggle(step.operation)
        events.restore(step.operation)
        if operations[step.operation].completedAt != nil { completedLeft += 1 }
    }

    private mutating func note(_ state: Int) {
        guard completedLeft < fewestLeft else { return }
        fewestLeft = completedLeft
        bestOrder = stack.map(\.operation)
        bestState = state
    }

    private func contains(_ operation: Int) -> Bool { bits[operation / 64] & (1 << UInt64(operation % 64)) != 0 }

    private mutating func toggle(_ operation: Int) {
        bits[operation / 64] ^= 1 << UInt64(operation % 64)
        hash ^= ConfigurationCache.mix(UInt64(operation) + 0x9E37_79B9_7F4A_7C15)
    }
}
