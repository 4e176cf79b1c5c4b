package import KVBase

// A shard map as group 0 stores and sends it. docs/formats/controller.md
//
//   varint shard count · per shard: varint group · varint epoch

/// The numbers of the format.
package enum ShardMapFormat {
    /// The greatest number of shards that a cluster can be created with.
    package static let shardsMax = 4096
}

extension ShardMap {
    /// Appends the map's bytes.
    package func encode(into bytes: inout [UInt8]) {
        bytes.append(varint: UInt64(shardCount))
        for owner in owners {
            bytes.append(varint: UInt64(owner.group.rawValue))
            bytes.append(varint: owner.epoch.rawValue)
        }
    }

    /// Reads a map and leaves the reader behind it.
    ///
    /// - Throws: `truncated`, `badVarint`, or `invalid` for what cannot be a map.
    package init(_ reader: inout ByteReader) throws(DecodingError) {
        let start = reader.offset
        let count = try reader.readCount(atMost: ShardMapFormat.shardsMax, "shards")
        var owners: [Owner] = []
        for _ in 0..<count {
            let group = try reader.readGroup()
            owners.append(Owner(group: group, epoch: Epoch(try reader.readVarint())))
        }
        do {
            try self.init(owners: owners)
        } catch {
            throw DecodingError.invalid(offset: start, what: "a shard map: \(error)")
        }
    }
}

extension ByteReader {
    /// A varint that counts what follows.
    mutating func readCount(atMost limit: Int, _ what: String) throws(DecodingError) -> Int {
        let start = offset
        let count = try readVarint()
        guard count <= UInt64(limit) else { throw .invalid(offset: start, what: "\(count) \(what), over \(limit)") }
        return Int(count)
    }

    /// A group's number.
    mutating func readGroup() throws(DecodingError) -> GroupID {
        let start = offset
        let number = try readVarint()
        guard let group = UInt32(exactly: number) else { throw .invalid(offset: start, what: "group \(number)") }
        return GroupID(group)
    }

    /// A text of at most `limit` bytes of UTF-8.
    mutating func readText(atMost limit: Int) throws(DecodingError) -> String {
        let start = offset
        let bytes = try readLengthPrefixed()
        guard bytes.count <= limit else { throw .invalid(offset: start, what: "a text of \(bytes.count) bytes") }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw .invalid(offset: start, what: "not UTF-8")
        }
        return text
    }
}
