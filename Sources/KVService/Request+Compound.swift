package import KVBase

// Requests that hold others or are about no single key: transactions, sessions, tokens.

extension Request {
    /// Reads the fields of the operations from 21 to 63, and 66.
    static func readFurther(
        _ operation: Operation,
        _ reader: inout ByteReader,
        _ slot: Slot,
        _ origin: Origin
    ) throws(DecodingError) -> Body {
        switch operation {
        case .setRange: return try readSetRange(&reader)
        case .addDecimal:
            let start = reader.offset
            let text = try reader.readLengthPrefixed()
            guard origin == .logged || DecimalNumber(text) != nil else {
                throw .invalid(offset: start, what: "a number of \(text.count) bytes that is none")
            }
            return .addDecimal(text)
        case .rename: return try readRename(&reader, slot, origin)
        case .check: return .check(try readCondition(&reader))
        case .transaction:
            let start = reader.offset
            let inner = try reader.readBytes(reader.remaining)
            if origin == .submitted { try checkTransaction(inner, slot, at: start) }
            return .transaction(inner)
        case .inSession:
            let stamp = SessionStamp(
                session: try reader.readLittleEndian(),
                sequence: try reader.readVarint(),
                lowestOutstanding: try reader.readVarint()
            )
            return .inSession(stamp, try readInner(&reader, slot, origin))
        case .once:
            let start = reader.offset
            let token = try reader.readLengthPrefixed()
            guard (1...SessionLimits.tokenBytesMax).contains(token.count) else {
                throw .invalid(offset: start, what: "a token of \(token.count) bytes")
            }
            let milliseconds = try readLife(&reader)
            return .once(token: token, keepMilliseconds: milliseconds, try readInner(&reader, slot, origin))
        case .openSession:
            let session: UInt64 = try reader.readLittleEndian()
            return .openSession(session, lifeMilliseconds: try readLife(&reader))
        case .keepSession: return .keepSession(try reader.readLittleEndian())
        case .endSession: return .endSession(try reader.readLittleEndian())
        case .sweepRecord: return .sweepRecord
        default: return .clear
        }
    }

    private static func readSetRange(_ reader: inout ByteReader) throws(DecodingError) -> Body {
        let start = reader.offset
        let offset = try reader.readVarint()
        let bytes = try readValue(&reader)
        guard offset <= UInt64(Limits.valueBytesMax), offset + UInt64(bytes.count) <= UInt64(Limits.valueBytesMax)
        else { throw .invalid(offset: start, what: "a range at \(offset) with \(bytes.count) bytes") }
        return .setRange(offset: offset, bytes)
    }

    private static func readRename(
        _ reader: inout ByteReader,
        _ slot: Slot,
        _ origin: Origin
    ) throws(DecodingError) -> Body {
        let start = reader.offset
        let options = RenameOptions(rawValue: try reader.readByte())
        guard options.isSubset(of: .known) else { throw .invalid(offset: start, what: "rename \(options.rawValue)") }
        let destination = try reader.readLengthPrefixed()
        guard destination.count <= Limits.keyBytesMax, origin == .logged || Slot(key: destination) == slot else {
            throw .invalid(offset: start, what: "a destination of \(destination.count) bytes")
        }
        return .rename(to: destination, options)
    }

    private static func readLife(_ reader: inout ByteReader) throws(DecodingError) -> UInt64 {
        let start = reader.offset
        let milliseconds = try reader.readVarint()
        guard SessionLimits.lifeMilliseconds.contains(milliseconds) else {
            throw .invalid(offset: start, what: "a life of \(milliseconds) ms")
        }
        return milliseconds
    }

    /// The write inside a session's or a token's request.
    private static func readInner(
        _ reader: inout ByteReader,
        _ slot: Slot,
        _ origin: Origin
    ) throws(DecodingError) -> UnsafeRawBufferPointer {
        let start = reader.offset
        let bytes = try reader.readBytes(reader.remaining)
        guard origin == .submitted else { return bytes }
        // Read only now: one that holds another of its kind is refused before it is read, so nothing nests deeply.
        guard let number = bytes.first, let operation = Operation(rawValue: number), operation.mayBeOnce else {
            throw .invalid(offset: start, what: "a request in a session that is no write of keys")
        }
        guard try Request(bytes, from: origin).slot == slot else { throw .invalid(offset: start, what: "another slot") }
        return bytes
    }

    private static func checkTransaction(
        _ bytes: UnsafeRawBufferPointer,
        _ slot: Slot,
        at start: Int
    ) throws(DecodingError) {
        var count = 0
        var reader = ByteReader(bytes)
        while !reader.isAtEnd {
            let inner = try reader.readLengthPrefixed()
            guard let number = inner.first, let operation = Operation(rawValue: number), operation.mayBeInTransaction
            else { throw .invalid(offset: start, what: "a request that may not be in a transaction") }
            guard try Request(inner, from: .submitted).slot == slot else {
                throw .invalid(offset: start, what: "keys of different slots in a transaction")
            }
            count += 1
        }
        guard (1...SessionLimits.transactionRequestsMax).contains(count) else {
            throw .invalid(offset: start, what: "\(count) requests in a transaction")
        }
    }

    /// The requests of a transaction, as views into it.
    ///
    /// - Throws: where the bytes are no transaction.
    package static func requests(
        ofTransaction bytes: UnsafeRawBufferPointer
    ) throws(DecodingError) -> [Request] {
        var requests: [Request] = []
        var reader = ByteReader(bytes)
        while !reader.isAtEnd { requests.append(try Request(try reader.readLengthPrefixed(), from: .logged)) }
        return requests
    }
}

extension Operation {
    /// Whether a transaction may hold it.
    package var mayBeInTransaction: Bool { rawValue <= Self.check.rawValue }

    /// Whether a session or a token may make it take effect once: a write of keys, or a transaction.
    package var mayBeOnce: Bool { isWrite && (rawValue < Self.check.rawValue || self == .transaction) }
}
