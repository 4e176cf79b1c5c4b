package import KVBase
package import KVService

// The payload of an entry of kind `commands` in a group that owns shards. docs/formats/entry.md
//
//   repeated:  varint shard · varint epoch · varint length · request (docs/formats/request.md)
//
// The requests of one entry take effect together: in memory in one step, and on disk entries are whole or absent.

/// The bounds of the format.
package enum EntryFormat {
    /// The longest payload that is proposed, in bytes.
    package static let payloadBytesMax = Limits.entryBytesMax
    /// What surrounds a request at most: three varints.
    package static let overheadBytesMax = 5 + 10 + 5
}

/// Builds the payload of one entry.
///
/// Reuse it by `take`, which hands the bytes out.
package struct EntryBuilder: Sendable {
    /// The payload so far.
    package private(set) var payload: [UInt8] = []
    /// How many commands are in it; the next one's ordinal.
    package private(set) var count = 0

    /// A builder of an empty payload.
    package init() {}

    /// Whether nothing is in it.
    package var isEmpty: Bool { count == 0 }
    /// The payload's size in bytes.
    package var size: Int { payload.count }

    /// Adds a request as its maker encoded it; returns its ordinal in the entry.
    @discardableResult
    package mutating func append(_ request: UnsafeRawBufferPointer, shard: ShardID, epoch: Epoch) -> Int {
        payload.append(varint: UInt64(shard.rawValue))
        payload.append(varint: epoch.rawValue)
        payload.append(lengthPrefixed: request)
        defer { count += 1 }
        return count
    }

    /// Adds an item of a batch; returns its ordinal in the entry.
    @discardableResult
    package mutating func append(
        _ item: RequestBatch.Item,
        of batch: borrowing RequestBatch,
        shard: ShardID,
        epoch: Epoch
    ) -> Int {
        let range = Int(item.offset)..<Int(item.offset) + Int(item.length)
        return batch.bytes.withUnsafeBytes {
            append(UnsafeRawBufferPointer(rebasing: $0[range]), shard: shard, epoch: epoch)
        }
    }

    /// Adds "time passes": once applied, the shard's logged time is at least the entry's.
    @discardableResult
    package mutating func appendAdvanceTime(shard: ShardID, epoch: Epoch) -> Int {
        var request: [UInt8] = [Operation.advanceTime.rawValue, 0]
        request.append(littleEndian: UInt16(0))
        request.append(varint: 0)
        return request.withUnsafeBytes { append($0, shard: shard, epoch: epoch) }
    }

    /// Adds the removal of a key that has this version and is expired at the entry's time.
    @discardableResult
    package mutating func appendSweep(_ key: [UInt8], version: UInt64, shard: ShardID, epoch: Epoch) -> Int {
        var request: [UInt8] = [Operation.sweep.rawValue, 0]
        request.append(littleEndian: Slot(key: key).rawValue)
        request.append(lengthPrefixed: key)
        request.append(varint: version)
        return request.withUnsafeBytes { append($0, shard: shard, epoch: epoch) }
    }

    /// Adds the removal of a session or a token's record that is expired at the entry's time.
    @discardableResult
    package mutating func appendSweep(record rowKey: [UInt8], shard: ShardID, epoch: Epoch) -> Int {
        var request: [UInt8] = [Operation.sweepRecord.rawValue, 0]
        request.append(littleEndian: UInt16(0))
        request.append(lengthPrefixed: Array(rowKey.dropFirst()))
        return request.withUnsafeBytes { append($0, shard: shard, epoch: epoch) }
    }

    /// Hands the payload out and starts over.
    package mutating func take() -> [UInt8] {
        defer {
            payload = []
            count = 0
        }
        return payload
    }
}

/// One command of an entry: where its request is and whom it is for.
package struct EntryCommand: Sendable, Equatable {
    /// Its place among the entry's commands, from 0.
    package var ordinal: UInt32
    /// The shard.
    package var shard: ShardID
    /// The epoch it was routed by.
    package var epoch: Epoch
    /// Where the request starts in the payload.
    package var offset: Int
    /// How many bytes it has.
    package var length: Int

    /// The request's bytes.
    ///
    /// - Precondition: `payload` is what the command was read from.
    package func request(in payload: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: payload[offset..<offset + length])
    }
}

/// Walks the commands of a payload.
///
/// SAFETY: it holds a view; whoever makes one keeps the payload alive.
package struct EntryReader {
    private var reader: ByteReader
    private var ordinal: UInt32 = 0

    /// Reads from the start of `payload`.
    package init(_ payload: UnsafeRawBufferPointer) { reader = ByteReader(payload) }

    /// The next command; nil at the end.
    ///
    /// The request itself is not looked into.
    ///
    /// - Throws: `truncated`, `badVarint`, or `invalid` for a shard that no cluster has.
    package mutating func next() throws(DecodingError) -> EntryCommand? {
        guard !reader.isAtEnd else { return nil }
        let start = reader.offset
        let number = try reader.readVarint()
        guard let shard = UInt32(exactly: number) else { throw .invalid(offset: start, what: "shard \(number)") }
        let epoch = try reader.readVarint()
        let length = try reader.readLengthPrefixed().count
        defer { ordinal += 1 }
        return EntryCommand(
            ordinal: ordinal,
            shard: ShardID(shard),
            epoch: Epoch(epoch),
            offset: reader.offset - length,
            length: length
        )
    }
}
