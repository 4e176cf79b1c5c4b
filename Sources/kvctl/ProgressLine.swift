import Foundation

/// Progress on standard error: one line that is drawn over on a terminal, a plain line every few seconds elsewhere.
struct ProgressLine {
    private let unit: String
    /// The input's size in bytes, where known.
    private let total: UInt64?
    private let start = ContinuousClock.now
    private var last: ContinuousClock.Instant?
    private var isDrawn = false
    private let isTerminal = isatty(STDERR_FILENO) == 1

    init(unit: String, total: UInt64?) {
        self.unit = unit
        self.total = total
    }

    /// Shows how far it is, where it is time to: nothing within the first second.
    mutating func show(count: UInt64, position: UInt64, note: String = "") {
        let now = ContinuousClock.now
        let elapsed = now - start
        guard elapsed > .seconds(1) else { return }
        if let last, now - last < (isTerminal ? .milliseconds(100) : .seconds(2)) { return }
        last = now
        let rate = Int(Double(count) / (elapsed / .seconds(1)))
        var text = "\(count) \(unit), \(rate)/s\(note)"
        if let total, total > 0 {
            let share = min(1, Double(position) / Double(total))
            let filled = Int(share * 30)
            text =
                "[" + String(repeating: "=", count: filled) + String(repeating: " ", count: 30 - filled)
                + "] \(Int(share * 100))% " + text
        }
        isDrawn = true
        write(isTerminal ? "\r\u{1b}[K\(text)" : text + "\n", to: .standardError)
    }

    /// Leaves the terminal's line.
    func end() {
        if isDrawn, isTerminal { write("\r\u{1b}[K", to: .standardError) }
    }
}
