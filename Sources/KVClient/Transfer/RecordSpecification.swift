/// How records are laid out in a file.
public enum RecordFormat: String, Sendable, CaseIterable {
    /// Columns between tabs, one record a line, no quoting: any byte but tab and line feed stands for itself.
    case tsv
    /// Columns between commas; a column in double quotes may hold commas, line breaks and doubled quotes (RFC 4180).
    case csv
    /// One JSON object a line.
    case jsonl
}

/// A column of a record.
public enum Column: Hashable, Sendable, CustomStringConvertible {
    /// By place, 1 for the first.
    case number(Int)
    /// By name: of the header line, or of the JSON member.
    case name(String)
    /// The whole record: the line of JSON, or the columns with the delimiter between them.
    case whole

    /// Reads a number, `*` for the whole record, or a name.
    public init(_ text: String) {
        if text == "*" {
            self = .whole
        } else if let number = Int(text), number > 0, text.utf8.first != UInt8(ascii: "+") {
            self = .number(number)
        } else {
            self = .name(text)
        }
    }

    /// As it is typed.
    public var description: String {
        switch self {
        case .number(let number): String(number)
        case .name(let name): name
        case .whole: "*"
        }
    }
}

/// How a file's records become keys and values.
public struct RecordSpecification: Sendable, Equatable {
    /// The layout.
    public var format: RecordFormat
    /// The columns that make the key, in this order.
    public var keyColumns: [Column]
    /// What comes between them.
    public var keySeparator: [UInt8]
    /// The column that is the value; nil for the only one that is not in the key (`value` in JSON lines).
    public var valueColumn: Column?
    /// Whether the first record names the columns.
    public var hasHeader: Bool
    /// Lines that start with this byte are passed over; TSV and CSV only.
    public var comment: UInt8?
    /// Whether a column that starts with `base64:` is decoded, as `export` to TSV writes what is not plain text.
    public var decodesBase64: Bool

    /// A specification with these parts.
    public init(
        format: RecordFormat,
        keyColumns: [Column],
        keySeparator: [UInt8] = Array("/".utf8),
        valueColumn: Column? = nil,
        hasHeader: Bool = false,
        comment: UInt8? = nil,
        decodesBase64: Bool = false
    ) {
        self.format = format
        self.keyColumns = keyColumns
        self.keySeparator = keySeparator
        self.valueColumn = valueColumn
        self.hasHeader = hasHeader
        self.comment = comment
        self.decodesBase64 = decodesBase64
    }
}

/// A key and a value read from a file.
public struct Record: Sendable, Equatable {
    /// Its place among the file's records; 0 for the first.
    public var ordinal: UInt64
    /// The line on which it starts; 1 for the first.
    public var line: UInt64
    /// The key.
    public var key: [UInt8]
    /// The value.
    public var value: [UInt8]

    /// A record with these parts.
    public init(ordinal: UInt64, line: UInt64, key: [UInt8], value: [UInt8]) {
        self.ordinal = ordinal
        self.line = line
        self.key = key
        self.value = value
    }
}

/// Why a file's record could not be read; `line` is where the record starts.
public enum RecordError: Error, Equatable, Sendable {
    /// The record has no such column.
    case missingColumn(line: UInt64, column: String, columns: Int)
    /// More than one column, or none, is left for the value.
    case ambiguousValue(line: UInt64, columns: Int)
    /// A quoted column is not closed before the file ends.
    case unclosedQuote(line: UInt64)
    /// Text follows the closing quote of a column.
    case textAfterQuote(line: UInt64)
    /// The record is longer than any key and value may be.
    case tooLong(line: UInt64, bytesMax: Int)
    /// The line is no JSON object.
    case badJSON(line: UInt64, what: String)
    /// A column is not the base64 it should be.
    case badBase64(line: UInt64, column: String)
}

extension RecordError: CustomStringConvertible {
    /// Where the record starts.
    public var line: UInt64 {
        switch self {
        case .missingColumn(let line, _, _), .ambiguousValue(let line, _), .unclosedQuote(let line),
            .textAfterQuote(let line), .tooLong(let line, _), .badJSON(let line, _), .badBase64(let line, _):
            line
        }
    }

    /// One sentence, the line first.
    public var description: String {
        switch self {
        case .missingColumn(let line, let column, let columns):
            "line \(line): no column \(column); the record has \(columns) column\(columns == 1 ? "" : "s")"
        case .ambiguousValue(let line, let columns):
            "line \(line): \(columns) columns are not in the key, so name the one that is the value (--value-column)"
        case .unclosedQuote(let line): "line \(line): the quote that opens here is never closed"
        case .textAfterQuote(let line): "line \(line): text after a closing quote; double a quote that is meant (\"\")"
        case .tooLong(let line, let bytesMax): "line \(line): the record is over \(bytesMax) bytes"
        case .badJSON(let line, let what): "line \(line): not a JSON object: \(what)"
        case .badBase64(let line, let column): "line \(line): column \(column) is not base64"
        }
    }
}
