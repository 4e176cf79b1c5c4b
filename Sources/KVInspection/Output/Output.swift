import KVReplication
import KVStorage

/// Where a tool's results go: text for a person or lines of JSON, the verdict always first.
///
/// Not thread-safe.
package final class Output {
    /// How results are shown.
    package enum Format: String, CaseIterable, Sendable {
        case table
        /// One object a line.
        case json
    }

    /// How results are shown.
    package let format: Format
    /// How keys are shown.
    package let keyFormat: KeyFormat
    /// Whether keys are shown as they are stored, without a look at their first byte.
    package let showsRawKeys: Bool
    private let sink: ([UInt8]) -> Void
    private var buffer: [UInt8] = []
    /// Whether the first line is written.
    package private(set) var hasVerdict = false

    private static let bufferBytes = 64 * 1024

    /// An output whose bytes go to `sink`.
    package init(
        _ format: Format,
        keyFormat: KeyFormat = .utf8,
        showsRawKeys: Bool = false,
        _ sink: @escaping ([UInt8]) -> Void
    ) {
        self.format = format
        self.keyFormat = keyFormat
        self.showsRawKeys = showsRawKeys
        self.sink = sink
    }

    /// Hands over what is buffered.
    package func flush() {
        guard !buffer.isEmpty else { return }
        sink(buffer)
        buffer.removeAll(keepingCapacity: true)
    }

    /// The first line.
    /// - Precondition: nothing was written before.
    package func verdict(_ verdict: Verdict) {
        precondition(!hasVerdict && buffer.isEmpty, "a verdict behind other lines")
        hasVerdict = true
        switch format {
        case .table: put(verdict.line)
        case .json:
            put(
                .object([
                    ("type", .text("verdict")), ("verdict", .text(verdict.kind.rawValue)),
                    ("exit", .number(UInt64(verdict.exit.rawValue))), ("message", .text(verdict.message)),
                ])
            )
        }
    }

    /// A line of `type` with these fields; a person sees `text`.
    package func row(_ type: String, _ fields: [(String, JSONValue)], _ text: @autoclosure () -> String) {
        switch format {
        case .table: put(text())
        case .json: put(.object([("type", .text(type))] + fields))
        }
    }

    /// A line that only a person is shown.
    package func heading(_ text: String) {
        if format == .table { put(text) }
    }

    /// Something worth knowing that is no damage.
    package func note(_ text: String) { row("note", [("note", .text(text))], "note: \(text)") }

    /// Rows under the names of their columns.
    package func table(_ type: String, _ columns: [String], _ rows: [[JSONValue]]) {
        if format == .json {
            for row in rows { put(.object([("type", .text(type))] + zip(columns, row).map { ($0, $1) })) }
            return
        }
        guard !rows.isEmpty else { return }
        let cells = [columns] + rows.map { $0.map(cell) }
        let widths = columns.indices.map { column in cells.map { $0[column].count }.max() ?? 0 }
        for (number, line) in cells.enumerated() {
            var text = ""
            for (column, cell) in line.enumerated() {
                let padding = String(repeating: " ", count: widths[column] - cell.count)
                let isNumber = number == 0 ? isNumber(rows[0][column]) : isNumber(rows[number - 1][column])
                text += (column > 0 ? "  " : "") + (isNumber ? padding + cell : cell + padding)
            }
            while text.last == " " { text.removeLast() }
            put(text)
        }
    }

    private func isNumber(_ value: JSONValue) -> Bool {
        switch value {
        case .number, .real: true
        default: false
        }
    }

    private func cell(_ value: JSONValue) -> String {
        switch value {
        case .null: "-"
        case .flag(let flag): flag ? "yes" : "no"
        case .number(let number): "\(number)"
        case .real(let number): Self.shown(number)
        case .text(let text): ByteText.escaped(Array(text.utf8))
        case .bytes(let bytes): keyFormat.show(bytes)
        case .list(let values): values.map(cell).joined(separator: ",")
        case .object(let fields): fields.map { "\($0.0)=\(cell($0.1))" }.joined(separator: " ")
        }
    }

    /// A number with two places.
    package static func shown(_ number: Double) -> String {
        guard number.isFinite, abs(number) < 1e15 else { return "-" }
        let hundredths = Int64((abs(number) * 100).rounded())
        let fraction = hundredths % 100
        return (number < 0 ? "-" : "") + "\(hundredths / 100).\(fraction < 10 ? "0" : "")\(fraction)"
    }

    private func put(_ value: JSONValue) {
        value.write(to: &buffer)
        endLine()
    }

    private func put(_ text: String) {
        buffer += Array(text.utf8)
        endLine()
    }

    private func endLine() {
        buffer.append(UInt8(ascii: "\n"))
        if buffer.count >= Self.bufferBytes { flush() }
    }

    // MARK: Keys

    /// A stored key for a person: a user's key as it is, one of the system's own marked.
    package func shownKey(_ stored: [UInt8]) -> String {
        switch StoredKey(stored, isRaw: showsRawKeys) {
        case .user(let key), .raw(let key): keyFormat.show(key)
        case .system(let name): "(system) " + keyFormat.show(name)
        }
    }

    /// A stored key for a program.
    package func keyFields(_ stored: [UInt8], _ name: String = "key") -> [(String, JSONValue)] {
        switch StoredKey(stored, isRaw: showsRawKeys) {
        case .user(let key), .raw(let key): [(name, .bytes(key))]
        case .system(let key): [(name, .bytes(key)), ("system", .flag(true))]
        }
    }

    /// A stored key as a cell.
    package func keyCell(_ stored: [UInt8]?) -> JSONValue {
        guard let stored else { return .null }
        switch StoredKey(stored, isRaw: showsRawKeys) {
        case .user(let key), .raw(let key): return .bytes(key)
        case .system(let key): return format == .json ? .bytes(stored) : .text("(system) " + keyFormat.show(key))
        }
    }
}

/// Whose row a stored key names.
package enum StoredKey: Equatable, Sendable {
    /// A user's, without the byte that says so.
    case user([UInt8])
    /// The system's own.
    case system([UInt8])
    /// A key of a tablet that does not stand in a node.
    case raw([UInt8])

    /// The key that is stored as these bytes.
    package init(_ stored: [UInt8], isRaw: Bool = false) {
        switch stored.first {
        case TabletRows.userPrefix where !isRaw: self = .user(Array(stored.dropFirst()))
        case TabletRows.internalPrefix where !isRaw: self = .system(Array(stored.dropFirst()))
        default: self = .raw(stored)
        }
    }
}
