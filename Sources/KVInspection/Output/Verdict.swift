package import KVStorage

/// What a tool's process ends with.
package enum ToolExit: Int32, Sendable {
    /// All that was asked for was read, and it is whole.
    case ok = 0
    /// A file could not be read or written.
    case inputOutput = 1
    /// The command line makes no sense.
    case usage = 2
    /// Stored bytes are not what was written.
    case damage = 9
}

/// Why a command ends before its verdict: what was attempted, on what, and what to do.
package struct ToolFailure: Error, Equatable, Sendable, CustomStringConvertible {
    /// The exit code.
    package let exit: ToolExit
    /// One line for a person.
    package let description: String

    /// A failure.
    package init(_ exit: ToolExit, _ description: String) {
        self.exit = exit
        self.description = description
    }
}

/// What a look at files came to: the first line of every tool's output, and its exit code.
package struct Verdict: Equatable, Sendable {
    /// The verdicts there are.
    package enum Kind: String, Sendable {
        /// Everything that was read is whole.
        case ok
        /// Whole, and it ends in a write that nobody was told was durable.
        case torn
        /// Stored bytes are not what was written.
        case damaged
        /// A file could not be read, which says nothing about its bytes.
        case unreadable
    }
    /// Which one.
    package let kind: Kind
    /// What it is about, one line.
    package let message: String

    /// A verdict of this kind.
    package init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }

    /// The verdict over these findings; `message` says what was looked at where there are none.
    package init(_ findings: [InspectionFinding], tornTails: [String] = [], _ message: String) {
        if let first = findings.first(where: { !$0.isInputOutput }) {
            let others = findings.count == 1 ? "" : " (and \(findings.count - 1) more)"
            self.init(.damaged, "\(first)\(others)")
        } else if let first = findings.first {
            self.init(.unreadable, first.what)
        } else if !tornTails.isEmpty {
            let tails = tornTails.joined(separator: "; ")
            self.init(.torn, "torn tail, past the last position that is proven durable, at \(tails); \(message)")
        } else {
            self.init(.ok, message)
        }
    }

    /// The exit code that agrees with it.
    package var exit: ToolExit {
        switch kind {
        case .ok, .torn: .ok
        case .damaged: .damage
        case .unreadable: .inputOutput
        }
    }

    /// The first line for a person.
    package var line: String {
        switch kind {
        case .ok, .torn: "OK: \(message)"
        case .damaged: "DAMAGED: \(message)"
        case .unreadable: "UNREADABLE: \(message)"
        }
    }
}
