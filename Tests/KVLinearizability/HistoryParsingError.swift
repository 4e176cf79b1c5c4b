/// A line of a recorded history that does not read.
package struct HistoryParsingError: Error, CustomStringConvertible {
    /// The line, from 1.
    package let line: Int
    /// What is wrong with it.
    package let what: String

    /// As text: the line and what is wrong with it.
    package var description: String { "line \(line): \(what)" }
}

/// Pairs the beginnings and ends of operations while a recorded history is read, a process at a time.
struct OperationPairing<Call: Hashable & Sendable, Result: Sendable> {
    private(set) var operations: [HistoryOperation<Call, Result>] = []
    private var openOf: [Int: Int] = [:]

    mutating func begin(_ process: Int, key: String, call: Call, line: Int) throws(HistoryParsingError) {
        guard openOf[process] == nil else {
            throw HistoryParsingError(line: line, what: "process \(process) asks again before it was answered")
        }
        openOf[process] = operations.count
        operations.append(
            HistoryOperation(process: process, key: key, call: call, invokedAt: UInt64(line), outcome: .unknown)
        )
    }

    mutating func end(
        _ process: Int,
        _ outcome: HistoryOperation<Call, Result>.Outcome,
        line: Int
    ) throws(HistoryParsingError) {
        guard let open = openOf[process] else {
            throw HistoryParsingError(line: line, what: "process \(process) is answered without having asked")
        }
        operations[open].outcome = outcome
        // A process whose operation has an unknown outcome stays busy: it is not used again.
        if case .unknown = outcome { return }
        openOf[process] = nil
    }
}
