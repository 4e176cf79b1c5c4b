import KVBase
import KVService

// The rows that remember what was done for whom, so that a retry takes effect once. docs/formats/tablet-rows.md
//
//   session   u8 1 · varint life · varint last used · varint lowest · varint forgotten · repeated: varint sequence · varint bytes
//   token     u8 1 · varint expires at · u64 hash of the request · reply
//
// Times are logged times in milliseconds since 1970.

/// Where the rows are.
enum RecordRows {
    static let sessionPrefix: [UInt8] = [TabletRows.internalPrefix, UInt8(ascii: "s")]
    static let resultPrefix: [UInt8] = [TabletRows.internalPrefix, UInt8(ascii: "r")]
    static let tokenPrefix: [UInt8] = [TabletRows.internalPrefix, UInt8(ascii: "t")]
    static let sessionKeyBytes = 10

    static func session(_ session: UInt64) -> [UInt8] { bigEndian(session, after: sessionPrefix) }

    static func result(_ session: UInt64, _ sequence: UInt64) -> [UInt8] {
        bigEndian(sequence, after: bigEndian(session, after: resultPrefix))
    }

    static func token(_ token: UnsafeRawBufferPointer) -> [UInt8] { tokenPrefix + [UInt8](token) }

    /// The session of a session's row key.
    static func session(of key: [UInt8]) -> UInt64? {
        guard key.starts(with: sessionPrefix), key.count == sessionKeyBytes else { return nil }
        return key[2...].reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// Whether a row is a session or a token that is expired.
    static func isExpired(
        _ key: [UInt8],
        _ value: UnsafeRawBufferPointer,
        at time: UInt64
    ) throws(DecodingError) -> Bool {
        if session(of: key) != nil { return try SessionRecord(value).isExpired(at: time) }
        if key.starts(with: tokenPrefix) { return try TokenRecord(value).expiresAt <= time }
        return false
    }

    private static func bigEndian(_ number: UInt64, after prefix: [UInt8]) -> [UInt8] {
        prefix + (0..<8).map { UInt8(truncatingIfNeeded: number >> (56 - 8 * UInt64($0))) }
    }
}

/// What a shard knows of a session.
///
/// | sequence                            | a request with it                                     |
/// |-------------------------------------|-------------------------------------------------------|
/// | has a kept result                   | gets that result; nothing is done                     |
/// | below `lowest`                      | the client said that it is done: outcome unknown      |
/// | at most `forgotten`                 | may have been done before: outcome unknown            |
/// | any other                           | is done, and its result kept                          |
struct SessionRecord: Equatable {
    var lifeMilliseconds: UInt64
    /// The logged time of its last request here.
    var lastUsed: UInt64
    /// Every lower sequence is over for the client.
    var lowest: UInt64 = 0
    /// Results up to this one were dropped because there were too many; 0 for none.
    var forgotten: UInt64 = 0
    /// Kept results, ascending by sequence, and their sizes.
    var results: [(sequence: UInt64, bytes: Int)] = []

    private static let version: UInt8 = 1

    init(lifeMilliseconds: UInt64, lastUsed: UInt64) {
        self.lifeMilliseconds = lifeMilliseconds
        self.lastUsed = lastUsed
    }

    init(_ row: UnsafeRawBufferPointer) throws(DecodingError) {
        var reader = ByteReader(row)
        guard try reader.readByte() == Self.version else { throw .invalid(offset: 0, what: "a session's version") }
        lifeMilliseconds = try reader.readVarint()
        lastUsed = try reader.readVarint()
        lowest = try reader.readVarint()
        forgotten = try reader.readVarint()
        while !reader.isAtEnd {
            let start = reader.offset
            let sequence = try reader.readVarint()
            let bytes = try reader.readVarint()
            guard sequence > (results.last?.sequence ?? 0) || results.isEmpty,
                bytes <= UInt64(SessionLimits.resultBytesMax), results.count < SessionLimits.resultsMax
            else { throw .invalid(offset: start, what: "result \(sequence)") }
            results.append((sequence, Int(bytes)))
        }
    }

    var encoded: [UInt8] {
        var bytes: [UInt8] = [Self.version]
        bytes.append(varint: lifeMilliseconds)
        bytes.append(varint: lastUsed)
        bytes.append(varint: lowest)
        bytes.append(varint: forgotten)
        for result in results {
            bytes.append(varint: result.sequence)
            bytes.append(varint: UInt64(result.bytes))
        }
        return bytes
    }

    func isExpired(at time: UInt64) -> Bool { time >= lastUsed && time - lastUsed >= lifeMilliseconds }

    func hasResult(_ sequence: UInt64) -> Bool { results.contains { $0.sequence == sequence } }

    /// Takes a result in.
    /// - Returns: the sequences whose results are to be dropped.
    mutating func keep(_ sequence: UInt64, bytes: Int, lowestOutstanding: UInt64) -> [UInt64] {
        let place = results.firstIndex { $0.sequence > sequence } ?? results.count
        results.insert((sequence, bytes), at: place)
        lowest = max(lowest, lowestOutstanding)
        var dropped: [UInt64] = []
        var total = results.reduce(0) { $0 + $1.bytes }
        while let first = results.first {
            if first.sequence >= lowest {
                guard results.count > SessionLimits.resultsMax || total > SessionLimits.resultBytesMax else { break }
                forgotten = max(forgotten, first.sequence)
            }
            dropped.append(first.sequence)
            total -= first.bytes
            results.removeFirst()
        }
        return dropped
    }

    static func == (a: Self, b: Self) -> Bool { a.encoded == b.encoded }
}

/// What a shard knows of a token.
///
/// SAFETY: `reply` is a view into the row.
struct TokenRecord {
    var expiresAt: UInt64
    /// Which request it was for.
    var hash: UInt64
    var reply: UnsafeRawBufferPointer

    private static let version: UInt8 = 1

    init(_ row: UnsafeRawBufferPointer) throws(DecodingError) {
        var reader = ByteReader(row)
        guard try reader.readByte() == Self.version else { throw .invalid(offset: 0, what: "a token's version") }
        expiresAt = try reader.readVarint()
        hash = try reader.readLittleEndian()
        reply = try reader.readBytes(reader.remaining)
    }

    static func encoded(expiresAt: UInt64, hash: UInt64, reply: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = [version]
        bytes.append(varint: expiresAt)
        bytes.append(littleEndian: hash)
        return bytes + reply
    }
}
