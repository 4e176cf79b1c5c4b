package import KVBase

// Replies as bytes: to another node, as the reply to a transaction, and kept for a session's retries. docs/formats/proxy.md
//
//   repeated: varint tag · u8 outcome · u8 flags · varint version · varint expiry · i64 integer
//             [· varint length · value] [· text code · text message] [· varint leader]
//   flags     1 value · 2 error · 4 leader (only with error)
//   text      varint length · UTF-8

/// Replies as bytes.
package enum ReplyFormat {
    static let hasValue: UInt8 = 1
    static let hasError: UInt8 = 2
    static let hasLeader: UInt8 = 4
    static let knownFlags: UInt8 = 7

    /// Appends a reply.
    package static func append(_ reply: borrowing Reply, tag: UInt64, to bytes: inout [UInt8]) {
        var flags: UInt8 = 0
        if reply.value != nil { flags |= hasValue }
        if let error = reply.error { flags |= hasError | (error.leader == nil ? 0 : hasLeader) }
        bytes.append(varint: tag)
        bytes.append(reply.outcome.rawValue)
        bytes.append(flags)
        bytes.append(varint: reply.version)
        bytes.append(varint: reply.expiresAt)
        bytes.append(littleEndian: reply.integer)
        if let value = reply.value { bytes.append(lengthPrefixed: value) }
        if let error = reply.error {
            bytes.append(lengthPrefixed: Array(error.code.rawValue.utf8))
            bytes.append(lengthPrefixed: Array(error.message.utf8))
            if let leader = error.leader { bytes.append(varint: leader.rawValue) }
        }
    }

    /// Hands over replies one after the other, as views into the bytes.
    ///
    /// - Throws: what is wrong with the first reply that is none; those before it were handed over.
    package static func decode(
        _ bytes: UnsafeRawBufferPointer,
        _ body: (_ tag: UInt64, _ reply: borrowing Reply) -> Void
    ) throws(DecodingError) {
        var reader = ByteReader(bytes)
        while !reader.isAtEnd {
            let tag = try reader.readVarint()
            let start = reader.offset
            let number = try reader.readByte()
            guard let outcome = Reply.Outcome(rawValue: number) else {
                throw .invalid(offset: start, what: "outcome \(number)")
            }
            let flags = try reader.readByte()
            let carriesError = flags & hasError != 0
            guard flags & ~knownFlags == 0, carriesError == (outcome == .failed),
                carriesError || flags & hasLeader == 0
            else { throw .invalid(offset: start + 1, what: "reply flags \(flags)") }
            var reply = Reply(outcome, version: try reader.readVarint(), expiresAt: try reader.readVarint())
            reply.integer = try reader.readLittleEndian()
            if flags & hasValue != 0 { reply.value = try reader.readLengthPrefixed() }
            if carriesError {
                let code = ServiceError.Code(rawValue: try text(&reader))
                let message = try text(&reader)
                let leader = flags & hasLeader != 0 ? NodeID(try reader.readVarint()) : nil
                reply.error = ServiceError(code, message, leader: leader)
            }
            body(tag, reply)
        }
    }

    private static func text(_ reader: inout ByteReader) throws(DecodingError) -> String {
        // A text that is not UTF-8 is repaired, not refused: it is only shown.
        String(decoding: try reader.readLengthPrefixed(), as: UTF8.self)
    }
}
