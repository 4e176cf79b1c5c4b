package import KVBase

/// What a group's manifest says: which tablets are the group's, where its log is cut, and who belongs to it.
/// docs/formats/group-manifest.md
///
/// A record holds all of it as fields of a tag, a length and bytes; the last whole record counts. A reader skips odd tags that it does not
/// know and refuses even ones.
///
///      2  membership (GroupMembership)           varint index · bytes
///      4  cut                                    varint index · varint term
///      6  tablet, once for each                  varint shard · varint epoch · varint number
///      8  next tablet number                     varint
///     10  dropped shard, once for each           varint shard · varint epoch · varint index
///     12  highest epoch seen, once for each      varint shard · varint epoch
///     14  installed                             varint index
///     16  own replica, where not 0              varint replica
package struct GroupManifestState: Equatable, Sendable {
    /// A tablet's directory.
    package struct TabletName: Hashable, Sendable {
        /// The shard whose data it holds.
        package var shard: ShardID
        /// The epoch for which it was made.
        package var epoch: Epoch
        /// A number that no other directory of the group had.
        package var number: UInt64

        /// A name with these parts.
        package init(shard: ShardID, epoch: Epoch, number: UInt64) {
            self.shard = shard
            self.epoch = epoch
            self.number = number
        }

        /// The directory's name.
        package var directory: String { "\(shard)-\(epoch)-\(number)" }
    }

    /// A shard that left the group.
    package struct Dropped: Equatable, Sendable {
        /// The epoch that it had here.
        package var epoch: Epoch
        /// Where in the log it left.
        package var index: LogIndex
    }

    /// Who belongs to the group, encoded.
    package var membership: [UInt8] = []
    /// The index of the entry that made it so.
    package var membershipIndex: LogIndex = 0
    /// Through where the tablets hold everything durably: entries up to here are not needed for recovery.
    package var cutIndex: LogIndex = 0
    /// The term of the entry there.
    package var cutTerm: Term = 0
    /// The index of the snapshot that was installed last: a log that ends before it is not lost but void.
    package var installedIndex: LogIndex = 0
    /// This node's replica, where it is not the one that the first membership puts on this node; else 0.
    package var replica: UInt64 = 0
    /// The live tablets; other directories are left-overs.
    package var tablets: [TabletName] = []
    /// The number of the next tablet.
    package var nextNumber: UInt64 = 1
    /// Shards that left.
    package var dropped: [ShardID: Dropped] = [:]
    /// The highest epoch that was seen of each shard.
    package var highestEpoch: [ShardID: Epoch] = [:]

    /// A group of nothing.
    package init() {}

    private enum Tag {
        static let membership: UInt64 = 2
        static let cut: UInt64 = 4
        static let tablet: UInt64 = 6
        static let nextNumber: UInt64 = 8
        static let dropped: UInt64 = 10
        static let highestEpoch: UInt64 = 12
        static let installed: UInt64 = 14
        static let replica: UInt64 = 16
    }

    /// The record's bytes.
    package var encoded: [UInt8] {
        var bytes: [UInt8] = []
        func field(_ tag: UInt64, _ numbers: [UInt64], _ rest: [UInt8] = []) {
            var content: [UInt8] = []
            for number in numbers { content.append(varint: number) }
            bytes.append(varint: tag)
            bytes.append(lengthPrefixed: content + rest)
        }
        field(Tag.membership, [membershipIndex], membership)
        field(Tag.cut, [cutIndex, cutTerm])
        for tablet in tablets {
            field(Tag.tablet, [UInt64(tablet.shard.rawValue), tablet.epoch.rawValue, tablet.number])
        }
        field(Tag.nextNumber, [nextNumber])
        for (shard, drop) in dropped.sorted(by: { $0.key < $1.key }) {
            field(Tag.dropped, [UInt64(shard.rawValue), drop.epoch.rawValue, drop.index])
        }
        for (shard, epoch) in highestEpoch.sorted(by: { $0.key < $1.key }) {
            field(Tag.highestEpoch, [UInt64(shard.rawValue), epoch.rawValue])
        }
        field(Tag.installed, [installedIndex])
        if replica != 0 { field(Tag.replica, [replica]) }
        return bytes
    }

    /// The state that a record holds.
    /// - Throws: what is wrong with the bytes.
    package init(_ bytes: UnsafeRawBufferPointer) throws(DecodingError) {
        var reader = ByteReader(bytes)
        while !reader.isAtEnd {
            let start = reader.offset
            let tag = try reader.readVarint()
            var field = ByteReader(try reader.readLengthPrefixed())
            switch tag {
            case Tag.membership:
                membershipIndex = try field.readVarint()
                membership = Array(try field.readBytes(field.remaining))
            case Tag.cut:
                cutIndex = try field.readVarint()
                cutTerm = try field.readVarint()
            case Tag.tablet:
                tablets.append(
                    TabletName(
                        shard: try Self.shard(&field),
                        epoch: Epoch(try field.readVarint()),
                        number: try field.readVarint()
                    )
                )
            case Tag.nextNumber: nextNumber = try field.readVarint()
            case Tag.dropped:
                dropped[try Self.shard(&field)] = Dropped(
                    epoch: Epoch(try field.readVarint()),
                    index: try field.readVarint()
                )
            case Tag.installed: installedIndex = try field.readVarint()
            case Tag.replica: replica = try field.readVarint()
            case Tag.highestEpoch: highestEpoch[try Self.shard(&field)] = Epoch(try field.readVarint())
            default:
                guard tag % 2 == 1 else {
                    throw .invalid(offset: start, what: "group manifest field \(tag); a newer version wrote it")
                }
            }
        }
    }

    private static func shard(_ reader: inout ByteReader) throws(DecodingError) -> ShardID {
        let start = reader.offset
        let number = try reader.readVarint()
        guard let shard = UInt32(exactly: number) else { throw .invalid(offset: start, what: "shard \(number)") }
        return ShardID(shard)
    }
}
