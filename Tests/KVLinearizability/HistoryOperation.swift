/// One call that one client made, and what became of it.
package struct HistoryOperation<Call: Hashable & Sendable, Result: Sendable>: Sendable {
    /// What became of a call.
    package enum Outcome: Sendable {
        /// The client was answered at this moment.
        case completed(at: UInt64, Result)
        /// The client never learnt: the call may take effect at any moment after its start, or never.
        case unknown
        /// The client knows that the call did not take effect.
        case failed
    }

    /// Who called; a process has at most one call open, and none after one with an unknown outcome.
    package let process: Int
    /// The key: operations on different keys are judged apart.
    package let key: String
    /// What was asked.
    package let call: Call
    /// When it was asked, on the clock of the history (any counter that grows).
    package let invokedAt: UInt64
    /// What became of it.
    package var outcome: Outcome

    /// An operation with these parts.
    package init(process: Int, key: String, call: Call, invokedAt: UInt64, outcome: Outcome) {
        self.process = process
        self.key = key
        self.call = call
        self.invokedAt = invokedAt
        self.outcome = outcome
    }

    /// When the client was answered; nil where it was not.
    package var completedAt: UInt64? {
        if case .completed(let moment, _) = outcome { moment } else { nil }
    }

    var result: Result? {
        if case .completed(_, let result) = outcome { result } else { nil }
    }

    var isFailed: Bool {
        if case .failed = outcome { true } else { false }
    }
}
