package import KVBase
package import KVService

// What stands in `ProxiedRequests.payload` and `ProxiedReplies.payload`. docs/formats/proxy.md
//
//   requests   repeated: u8 flags · varint length · request (docs/formats/request.md)
//              flags: bits 0…1 consistency · 4 joins the previous
//   replies    repeated: varint tag · u8 outcome · u8 flags · varint version · varint expiry · i64 integer
//                        [· varint length · value] [· text code · text message] [· varint leader]
//              flags: 1 value · 2 error · 4 leader (only with error)
//   text       varint length · UTF-8
//
// A reply's tag is the place of its request in the batch, from 0.

/// The bounds of the format.
package enum ProxyFormat {
    /// The longest payload that is made, in bytes; what does not fit goes in a payload of its own.
    package static let payloadBytesMax = Limits.batchBytesMax
    /// What surrounds a request at most.
    package static let overheadBytesMax = 1 + 5

    static let consistencyMask: UInt8 = 3
    static let joinsPrevious: UInt8 = 4
    static let knownRequestFlags: UInt8 = 7
    static let hasValue: UInt8 = 1
    static let hasError: UInt8 = 2
    static let hasLeader: UInt8 = 4
    static let knownReplyFlags: UInt8 = 7

    /// Appends an item of a batch to a payload of requests.
    package static func append(_ item: RequestBatch.Item, of batch: borrowing RequestBatch, to payload: inout [UInt8]) {
        payload.append(item.consistency.rawValue | (item.joinsPrevious ? joinsPrevious : 0))
        let range = Int(item.offset)..<Int(item.offset) + Int(item.length)
        batch.bytes.withUnsafeBytes { payload.append(lengthPrefixed: UnsafeRawBufferPointer(rebasing: $0[range])) }
    }

    /// Reads a payload of requests into a batch, tagged 0, 1, 2, ….
    ///
    /// - Throws: what is wrong with the first request that is none; internal operations are refused. The batch then holds what
    ///   came before it.
    package static func decodeRequests(
        _ payload: UnsafeRawBufferPointer,
        into batch: inout RequestBatch
    ) throws(DecodingError) {
        var reader = ByteReader(payload)
        var tag: UInt64 = 0
        while !reader.isAtEnd {
            let start = reader.offset
            let flags = try reader.readByte()
            guard flags & ~knownRequestFlags == 0, let consistency = Consistency(rawValue: flags & consistencyMask),
                tag > 0 || flags & joinsPrevious == 0
            else { throw .invalid(offset: start, what: "request flags \(flags)") }
            let request = try reader.readLengthPrefixed()
            try batch.append(
                encoded: request,
                tag: tag,
                consistency: consistency,
                joinsPrevious: flags & joinsPrevious != 0
            )
            tag += 1
        }
    }

    /// Appends a reply to a payload of replies.
    package static func append(_ reply: borrowing Reply, tag: UInt64, to payload: inout [UInt8]) {
        var flags: UInt8 = 0
        if reply.value != nil { flags |= hasValue }
        if let error = reply.error { flags |= hasError | (error.leader == nil ? 0 : hasLeader) }
        payload.append(varint: tag)
        payload.append(reply.outcome.rawValue)
        payload.append(flags)
        payload.append(varint: reply.version)
        payload.append(varint: reply.expiresAt)
        payload.append(littleEndian: reply.integer)
        if let value = reply.value { payload.append(lengthPrefixed: value) }
        if let error = reply.error {
            payload.append(lengthPrefixed: Array(error.code.rawValue.utf8))
            payload.append(lengthPrefixed: Array(error.message.utf8))
            if let leader = error.leader { payload.append(varint: leader.rawValue) }
        }
    }

    /// Hands over the replies of a payload one after the other, as views into it.
    ///
    /// - Throws: what is wrong with the first reply that is none; those before it were handed over.
    package static func decodeReplies(
        _ payload: UnsafeRawBufferPointer,
        _ body: (_ tag: UInt64, _ reply: borrowing Reply) -> Void
    ) throws(DecodingError) {
        var reader = ByteReader(payload)
        while !reader.isAtEnd {
            let tag = try reader.readVarint()
            let start = reader.offset
            let number = try reader.readByte()
            guard let outcome = Reply.Outcome(rawValue: number) else {
                throw .invalid(offset: start, what: "outcome \(number)")
            }
            let flags = try reader.readByte()
            let carriesError = flags & hasError != 0
            guard flags & ~knownReplyFlags == 0, carriesError == (outcome == .failed),
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
