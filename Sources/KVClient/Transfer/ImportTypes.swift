/// Where an import's bytes come from.
public protocol ByteSource: Sendable {
    /// The next piece; empty at the end. Called on one thread, and may block it.
    func read() throws -> [UInt8]
}

/// How an import behaves.
public struct ImportOptions: Sendable {
    /// How the file becomes records.
    public var specification: RecordSpecification
    /// The most records sent and not yet acknowledged, over all connections.
    public var inFlightMax: Int
    /// How long a request may wait for its answer before its connection is given up.
    public var requestTimeout: Duration
    /// How long a connection may take to come up.
    public var connectTimeout: Duration
    /// The import gives up after this long without a single acknowledgement.
    public var giveUpAfter: Duration
    /// Who the import is; nil where the nodes do not ask.
    public var credentials: Credentials?
    /// Whom the import believes; nil where it speaks in the clear.
    public var tls: ClientTLS?
    /// Where how far it came is kept; nil for nowhere.
    ///
    /// Removed once every record is acknowledged.
    public var stateFile: String?
    /// Whether to go on from the state file, where there is one.
    public var resumes: Bool
    /// A file that gets the line number and the key of each acknowledged record; appended to on resumption.
    public var acknowledgedFile: String?
    /// A file that gets each record that was not acknowledged, where there are any.
    public var unacknowledgedFile: String?
    /// A file that is replaced about every 100 ms by the number of acknowledged records in decimal.
    public var progressFile: String?

    /// Options for this layout, and else the defaults.
    public init(_ specification: RecordSpecification) {
        self.specification = specification
        inFlightMax = 1024
        requestTimeout = .seconds(5)
        connectTimeout = .seconds(1)
        giveUpAfter = .seconds(30)
        resumes = false
    }
}

/// How far an import is.
public struct ImportProgress: Sendable, Equatable {
    /// Records acknowledged, those of an earlier run with them.
    public var acknowledged: UInt64
    /// Bytes of the file read.
    public var bytesRead: UInt64
    /// How long it runs.
    public var elapsed: Duration
    /// Records sent more than once.
    public var retried: UInt64
}

/// How an import ended.
public struct ImportSummary: Sendable, Equatable, Codable {
    /// Records read, those of an earlier run with them.
    public var records: UInt64
    /// Records acknowledged, those of an earlier run with them.
    public var acknowledged: UInt64
    /// Of these, the ones that an earlier run had acknowledged.
    public var acknowledgedEarlier: UInt64
    /// Records that a node refused for good.
    public var refused: UInt64
    /// Records read and not acknowledged, the refused ones with them.
    public var unacknowledged: UInt64
    /// How often a record was sent again.
    public var retried: UInt64
    /// How long it took.
    public var seconds: Double
    /// Records acknowledged in this run, a second.
    public var recordsPerSecond: Double
    /// The longest time between two acknowledgements.
    public var longestGapMilliseconds: Double
    /// Why it stopped before the end; nil where it reached it.
    public var stopped: String?
    /// The line from which on nothing was sent; nil where all was read.
    public var firstUnsentLine: UInt64?
    /// Up to 20 of the records that were not acknowledged; all of them are in the file.
    public var examples: [Unacknowledged]

    /// A record that was not acknowledged.
    public struct Unacknowledged: Sendable, Equatable, Codable {
        /// Its line.
        public var line: UInt64
        /// Its key, with bytes that are no printable ASCII as `\xNN`.
        public var key: String
        /// `refused: …`, `sent, outcome unknown` or `not sent`.
        public var reason: String
    }

    /// Whether every record of the file is acknowledged.
    public var isComplete: Bool { stopped == nil && unacknowledged == 0 && firstUnsentLine == nil }
}

/// Why an import could not start or go on.
public enum ImportError: Error, Equatable, Sendable {
    /// The state file can not be understood.
    case badState(path: String, what: String)
    /// The state file is of another input or another layout.
    case otherInput(path: String, records: UInt64)
    /// A file can not be written.
    case cannotWrite(path: String, what: String)
    /// No endpoint took a connection; nothing was sent.
    case cannotConnect(String)
    /// A record could not be read before anything was sent.
    case badRecord(RecordError)
    /// The input can not be read.
    case cannotRead(String)
}

extension ImportError: CustomStringConvertible {
    /// One sentence.
    public var description: String {
        switch self {
        case .badState(let path, let what): "\(path) is no state of an import (\(what)); remove it to start anew"
        case .otherInput(let path, let records):
            "\(path) belongs to another input or other columns: the first \(records) records differ; remove it to start anew"
        case .cannotWrite(let path, let what): "cannot write \(path): \(what)"
        case .cannotConnect(let text): "cannot connect: \(text)"
        case .badRecord(let error): error.description
        case .cannotRead(let text): "cannot read the input: \(text)"
        }
    }
}

/// A key for people: printable ASCII as it is, a backslash doubled, any other byte as `\xNN`.
public func escapedText(_ bytes: [UInt8]) -> String {
    var out = ""
    for byte in bytes {
        switch byte {
        case UInt8(ascii: "\\"): out += "\\\\"
        case 0x20..<0x7f: out.append(Character(Unicode.Scalar(byte)))
        default: out += "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }
    }
    return out
}
