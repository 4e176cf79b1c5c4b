import KVBase

/// What a group's snapshot consists of: the first thing that is sent. docs/formats/snapshot.md
///
///     varint version (1) · varint index · varint term · varint length · membership ·
///     varint tablets × (varint shard · varint epoch · varint files × (varint length · name · varint size))
struct SnapshotManifest: Equatable, Sendable {
    /// A tablet of the snapshot.
    struct Part: Equatable, Sendable {
        let shard: ShardID
        let epoch: Epoch
        let files: [File]
    }

    /// A file of a tablet.
    struct File: Equatable, Sendable {
        let name: String
        let size: UInt64
    }

    static let version: UInt64 = 1
    /// The name under which it is sent.
    static let fileName = "manifest"
    private static let partsMax: UInt64 = 100_000
    private static let filesMax: UInt64 = 1_000_000

    let index: LogIndex
    let term: Term
    let membership: [UInt8]
    let parts: [Part]

    /// All files in the order in which they are sent, as `<shard>/<name>`.
    var paths: [(path: String, size: UInt64)] {
        parts.flatMap { part in part.files.map { ("\(part.shard)/\($0.name)", $0.size) } }
    }

    var encoded: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(varint: Self.version)
        bytes.append(varint: index)
        bytes.append(varint: term)
        bytes.append(lengthPrefixed: membership)
        bytes.append(varint: UInt64(parts.count))
        for part in parts {
            bytes.append(varint: UInt64(part.shard.rawValue))
            bytes.append(varint: part.epoch.rawValue)
            bytes.append(varint: UInt64(part.files.count))
            for file in part.files {
                bytes.append(lengthPrefixed: Array(file.name.utf8))
                bytes.append(varint: file.size)
            }
        }
        return bytes
    }

    init(index: LogIndex, term: Term, membership: [UInt8], parts: [Part]) {
        self.index = index
        self.term = term
        self.membership = membership
        self.parts = parts
    }

    init(decoding bytes: [UInt8]) throws(DecodingError) {
        self = try bytes.withUnsafeBufferPointer { (buffer) throws(DecodingError) in
            var reader = ByteReader(UnsafeRawBufferPointer(buffer))
            return try Self.read(&reader)
        }
    }

    private static func read(_ reader: inout ByteReader) throws(DecodingError) -> SnapshotManifest {
        let version = try reader.readVarint()
        guard version == Self.version else { throw .invalid(offset: 0, what: "snapshot version \(version)") }
        let index = try reader.readVarint()
        let term = try reader.readVarint()
        let membership = Array(try reader.readLengthPrefixed())
        let count = try reader.readVarint()
        guard count <= partsMax else { throw .invalid(offset: reader.offset, what: "\(count) tablets") }
        var parts: [Part] = []
        for _ in 0..<count { parts.append(try readPart(&reader)) }
        guard reader.isAtEnd else { throw .invalid(offset: reader.offset, what: "\(reader.remaining) bytes left over") }
        return SnapshotManifest(index: index, term: term, membership: membership, parts: parts)
    }

    private static func readPart(_ reader: inout ByteReader) throws(DecodingError) -> Part {
        let start = reader.offset
        guard let shard = UInt32(exactly: try reader.readVarint()) else { throw .invalid(offset: start, what: "shard") }
        let epoch = try reader.readVarint()
        let count = try reader.readVarint()
        guard count <= filesMax else { throw .invalid(offset: reader.offset, what: "\(count) files") }
        var files: [File] = []
        for _ in 0..<count {
            let place = reader.offset
            let name = String(decoding: try reader.readLengthPrefixed(), as: UTF8.self)
            // It becomes part of a path: nothing but the names that tablets use.
            let isPlain = !name.isEmpty && name.utf8.allSatisfy(Self.isNameByte) && name != "." && name != ".."
            guard isPlain else { throw .invalid(offset: place, what: "file name \(name)") }
            files.append(File(name: name, size: try reader.readVarint()))
        }
        return Part(shard: ShardID(shard), epoch: Epoch(epoch), files: files)
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}
