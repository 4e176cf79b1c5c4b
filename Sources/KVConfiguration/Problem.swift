/// A place in a configuration file, counted from 1 as editors do.
package struct SourcePosition: Hashable, Comparable, Sendable {
    /// The line, 1….
    package let line: Int
    /// The column in characters, 1….
    package let column: Int

    /// The place with these numbers.
    package init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }

    /// Orders as text reads.
    package static func < (a: Self, b: Self) -> Bool { (a.line, a.column) < (b.line, b.column) }
}

/// Where a value came from.
package enum Origin: Hashable, Sendable, CustomStringConvertible {
    /// Nobody set it.
    case byDefault
    /// The file, at this place.
    case file(String, SourcePosition)
    /// This variable of the environment.
    case environment(String)
    /// A flag of the command line that set this path.
    case flag(String)
    /// An administrator, while the process runs.
    case live

    /// As `--print-config` and errors say it.
    package var description: String {
        switch self {
        case .byDefault: "default"
        case .file(let name, let position): "\(name):\(position.line):\(position.column)"
        case .environment(let name): "environment \(name)"
        case .flag(let path): "flag --set \(path)"
        case .live: "changed while running"
        }
    }
}

/// One thing that is wrong with a configuration.
package struct ConfigurationProblem: Hashable, Sendable, CustomStringConvertible {
    /// Where.
    package let origin: Origin
    /// What is wrong, what was expected and, where there is one, the nearest valid name: one line.
    package let message: String

    /// `file:line:column: message`.
    package var description: String { "\(origin): \(message)" }
}

/// Everything that is wrong with a configuration, not only the first thing.
package struct ConfigurationError: Error, Hashable, Sendable, CustomStringConvertible {
    /// At least one problem, in the order of the file, then of the environment, then of the flags.
    package let problems: [ConfigurationProblem]

    /// One problem a line.
    package var description: String { problems.map(\.description).joined(separator: "\n") }
}

/// A found text as a message shows it: in quotes, on one line, not endless.
func quoted(_ text: String) -> String {
    var shown = ""
    for scalar in text.unicodeScalars.prefix(60) {
        shown += scalar.value < 32 || scalar == "\"" || scalar == "\\" ? scalar.escaped(asASCII: false) : String(scalar)
    }
    return "\"\(shown)\(text.unicodeScalars.count > 60 ? "…" : "")\""
}
