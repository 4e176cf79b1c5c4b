/// A reply of the Redis protocol, RESP2 or RESP3.
public indirect enum RESPValue: Equatable, Sendable {
    /// `+OK`: a short text.
    case simple(String)
    /// `-ERR …` or a RESP3 blob error: the first word and the rest.
    case error(code: String, message: String)
    /// `:1`: a 64-bit number.
    case integer(Int64)
    /// `$3`: bytes; a RESP3 verbatim string comes as its bytes, without the format's name.
    case bulk([UInt8])
    /// A null of either version: `_`, `$-1`, `*-1`.
    case null
    /// `#t`.
    case boolean(Bool)
    /// `,1.5`.
    case double(Double)
    /// `(123…`: a number of any length, as text.
    case bigNumber(String)
    /// `*2` and RESP3's set `~2`.
    case array([RESPValue])
    /// `%2`: keys and values in order.
    case map([RESPPair])
    /// `>2`: out of band, no reply to a request.
    case push([RESPValue])

    /// The bytes of a text of either kind, or nil.
    public var bytes: [UInt8]? {
        switch self {
        case .bulk(let bytes): bytes
        case .simple(let text): Array(text.utf8)
        default: nil
        }
    }
}

/// A key and its value in a RESP3 map.
public struct RESPPair: Equatable, Sendable {
    /// The key.
    public let key: RESPValue
    /// The value.
    public let value: RESPValue

    /// A pair of these.
    public init(key: RESPValue, value: RESPValue) {
        self.key = key
        self.value = value
    }
}

/// How a peer broke the Redis protocol.
public enum RESPError: Error, Equatable, Sendable {
    /// A reply starts with a byte that stands for no type.
    case unknownType(UInt8)
    /// A header line is no number, or one that makes no sense.
    case badNumber(String)
    /// The bytes after a bulk string are not CR LF.
    case missingTerminator
    /// A line, bulk string, aggregate or reply is over its limit; the text names which.
    case tooLong(String)
    /// Aggregates are nested deeper than the limit.
    case tooDeep(Int)
    /// A reply arrived that no request waits for.
    case unexpectedReply
}
