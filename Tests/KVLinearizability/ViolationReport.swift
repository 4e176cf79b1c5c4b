/// Why a history is not linearizable, to be read by a person: the shortest beginning of one key's history that has no
/// order.
package struct ViolationReport: Sendable, CustomStringConvertible {
    /// The key.
    package let key: String
    /// How many operations the shortest failing beginning has.
    package let operationCount: Int
    /// The report, many lines.
    package let description: String

    init<Call, Result>(
        key: String,
        operations: [HistoryOperation<Call, Result>],
        order: [Int],
        state: String,
        partitionCount: Int
    ) {
        self.key = key
        operationCount = operations.count
        let placed = Set(order)
        var lines = [
            "not linearizable: key \"\(key)\", the first \(operations.count) of its \(partitionCount) operations have no order",
            "  the longest order found takes \(order.count) of them and leaves the state \(state):",
        ]
        // Twenty lines tell a story; the hundreds before them rarely matter.
        let shown = 20
        if order.count > shown { lines.append("    … \(order.count - shown) before these") }
        for index in order.suffix(shown) { lines.append("    " + Self.line(operations[index])) }
        lines.append("  and none of these can follow:")
        let left = operations.indices.filter { !placed.contains($0) && operations[$0].completedAt != nil }
        for index in left.prefix(shown) { lines.append("    " + Self.line(operations[index])) }
        if left.count > shown { lines.append("    … and \(left.count - shown) more") }
        let open = operations.indices.filter { !placed.contains($0) && operations[$0].completedAt == nil }
        if !open.isEmpty {
            lines.append("  with these open or without a known outcome (they may have happened or not):")
            for index in open.prefix(shown) { lines.append("    " + Self.line(operations[index])) }
            if open.count > shown { lines.append("    … and \(open.count - shown) more") }
        }
        description = lines.joined(separator: "\n")
    }

    private static func line<Call, Result>(_ operation: HistoryOperation<Call, Result>) -> String {
        let result = operation.result.map { "\($0)" } ?? "outcome unknown"
        let end = operation.completedAt.map { "\($0)" } ?? "…"
        return "process \(operation.process) [\(operation.invokedAt), \(end)] \(operation.call) → \(result)"
    }
}
