package import KVBase
package import KVService

// What stands in `ProxiedRequests.payload` and `ProxiedReplies.payload`. docs/formats/proxy.md
//
//   requests   repeated: u8 flags · varint length · request (docs/formats/request.md)
//              flags: bits 0…1 consistency · 4 joins the previous
//   replies    those of ReplyFormat
//
// A reply's tag is the place of its request in the batch, from 0.

/// The bounds of the format.
package enum ProxyFormat {
    /// The longest payload that is made, in bytes; what does not fit goes in a payload of its own.
    package static let payloadBytesMax = Limits.entryBytesMax
    /// The longest answers to one payload of requests, in bytes: what comes after them is answered "too large".
    package static let repliesBytesMax = 48 << 20
    /// Where a payload of replies is full, beyond its first, in bytes.
    package static let repliesPayloadBytes = 1 << 20
    /// What surrounds a request at most.
    package static let overheadBytesMax = 1 + 5

    static let consistencyMask: UInt8 = 3
    static let joinsPrevious: UInt8 = 4
    static let knownRequestFlags: UInt8 = 7

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
        ReplyFormat.append(reply, tag: tag, to: &payload)
    }

    /// Hands over the replies of a payload one after the other, as views into it.
    ///
    /// - Throws: what is wrong with the first reply that is none; those before it were handed over.
    package static func decodeReplies(
        _ payload: UnsafeRawBufferPointer,
        _ body: (_ tag: UInt64, _ reply: borrowing Reply) -> Void
    ) throws(DecodingError) {
        try ReplyFormat.decode(payload, body)
    }
}
