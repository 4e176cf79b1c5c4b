package import Logging
import Synchronization

/// From which level on the process logs: set at the start, changed while it runs, asked by every logger at every line.
///
/// Any thread.
package final class LogLevelControl: Sendable {
    /// The one of the process.
    package static let shared = LogLevelControl()

    private let index = Atomic<Int>(2)

    /// A control that says `info`.
    package init() {}

    /// The level now.
    package var level: Logger.Level {
        get { Logger.Level.allCases[index.load(ordering: .relaxed)] }
        set { index.store(Logger.Level.allCases.firstIndex(of: newValue) ?? 2, ordering: .relaxed) }
    }
}
