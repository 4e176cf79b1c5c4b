/// Decides whether a concurrent history could have come from a correct, single-threaded object.
///
/// 1. Failed operations are dropped, the rest is split by key: linearizability is local, so each key is judged alone.
/// 2. Each key is searched for an order (`PartitionSearch`).
/// 3. Of the keys that have none, the one with the fewest operations is cut to its shortest failing beginning, which is
///    what the report shows.
package struct LinearizabilityChecker<Model: SequentialModel>: Sendable {
    /// An operation of this model.
    package typealias Operation = HistoryOperation<Model.Call, Model.Result>

    /// What the checker found.
    package enum Verdict: Sendable {
        /// Every key has an order.
        case linearizable
        /// Some key has none; the report says which, and shows the shortest beginning that has none.
        case violation(ViolationReport)
        /// No key was found wrong, but the search of this one grew past its bound.
        case undecided(key: String)

        /// Whether every key has an order.
        package var isLinearizable: Bool {
            if case .linearizable = self { true } else { false }
        }
    }

    private let model: Model
    private let configurationsMax: Int

    /// A checker that gives a key up after `configurationsMax` configurations.
    package init(_ model: Model, configurationsMax: Int = 5_000_000) {
        self.model = model
        self.configurationsMax = configurationsMax
    }

    /// Judges `history`, in any order.
    package func check(_ history: [Operation]) -> Verdict {
        let partitions = Dictionary(grouping: history.filter { !$0.isFailed }, by: \.key)
            .mapValues { $0.sorted { $0.invokedAt < $1.invokedAt } }
            .sorted { ($0.value.count, $0.key) < ($1.value.count, $1.key) }
        var undecided: String?
        for (key, operations) in partitions {
            switch search(operations) {
            case .linearizable: continue
            case .violation: return .violation(report(key, operations))
            case .gaveUp: undecided = undecided ?? key
            }
        }
        return undecided.map { .undecided(key: $0) } ?? .linearizable
    }

    private func search(_ operations: [Operation]) -> PartitionSearch<Model>.Verdict {
        var search = PartitionSearch(model, operations)
        return search.run(configurationsMax: configurationsMax)
    }

    /// The report on a key without an order: what a history begins with has an order if the whole has one, so the
    /// shortest beginning without one is found by halving.
    private func report(_ key: String, _ operations: [Operation]) -> ViolationReport {
        let moments = operations.compactMap(\.completedAt).sorted()
        var low = 0
        var high = moments.count - 1
        while low < high {
            let middle = (low + high) / 2
            if case .violation = search(beginning(of: operations, until: moments[middle])) {
                high = middle
            } else {
                low = middle + 1
            }
        }
        let shortest = beginning(of: operations, until: moments[high])
        guard case .violation(let order, let state) = search(shortest) else {
            return ViolationReport(
                key: key,
                operations: shortest,
                order: [],
                state: "?",
                partitionCount: operations.count
            )
        }
        return ViolationReport(
            key: key,
            operations: shortest,
            order: order,
            state: "\(state)",
            partitionCount: operations.count
        )
    }

    /// What was known at `moment`: what began later is not there, what ended later is open.
    private func beginning(of operations: [Operation], until moment: UInt64) -> [Operation] {
        operations.filter { $0.invokedAt <= moment }.map { operation in
            guard let completedAt = operation.completedAt, completedAt > moment else { return operation }
            var open = operation
            open.outcome = .unknown
            return open
        }
    }
}
