import KVBase

/// One change of a tablet's durable state, written to the MANIFEST as one record: it takes effect whole or not at
/// all.
struct VersionEdit: Equatable, Sendable {
    struct Added: Equatable, Sendable {
        var level: Int
        var table: TableMetadata
    }

    /// The whole state follows: what came before is forgotten.
    ///
    /// The first record of every MANIFEST.
    var isSnapshot = false
    var added: [Added] = []
    var removed: [UInt64] = []
    /// How far the data in the tables goes; always together with the tables that make it true.
    var mark: TabletMark?
    var lastSequence: UInt64?
    var nextFileNumber: UInt64?
    /// Own logs below this number hold nothing that is not in tables.
    var logNumber: UInt64?
    var identity: UInt64?
}

/// The tags of a record (docs/formats/manifest.md).
enum ManifestFormat {
    static let formatVersion: UInt64 = 1
    static let version: UInt64 = 2
    static let snapshot: UInt64 = 4
    static let added: UInt64 = 6
    static let removed: UInt64 = 8
    static let mark: UInt64 = 10
    static let lastSequence: UInt64 = 12
    static let nextFileNumber: UInt64 = 14
    static let logNumber: UInt64 = 16
    static let identity: UInt64 = 18

    /// No file has a greater number.
    static let fileNumberMax: UInt64 = 1 << 48

    enum Table {
        static let level: UInt64 = 2
        static let number: UInt64 = 4
        static let uid: UInt64 = 6
        static let size: UInt64 = 8
        static let smallest: UInt64 = 10
        static let largest: UInt64 = 12
        static let largestIsExclusive: UInt64 = 14
        static let sequenceMin: UInt64 = 16
        static let sequenceMax: UInt64 = 18
        static let entryCount: UInt64 = 1
        static let tombstoneCount: UInt64 = 3
        static let rangeCount: UInt64 = 5
    }

    static func name(_ number: UInt64) -> String { "MANIFEST-" + paddedNumber(number) }
}

extension VersionEdit {
    var encoded: [UInt8] {
        var bytes: [UInt8] = []
        TagLength.append(ManifestFormat.version, ManifestFormat.formatVersion, to: &bytes)
        if isSnapshot { TagLength.append(ManifestFormat.snapshot, 1, to: &bytes) }
        if let identity { TagLength.append(ManifestFormat.identity, identity, to: &bytes) }
        for number in removed { TagLength.append(ManifestFormat.removed, number, to: &bytes) }
        for table in added { TagLength.append(ManifestFormat.added, table.encoded, to: &bytes) }
        if let mark {
            var field: [UInt8] = []
            mark.encode(into: &field)
            TagLength.append(ManifestFormat.mark, field, to: &bytes)
        }
        if let lastSequence { TagLength.append(ManifestFormat.lastSequence, lastSequence, to: &bytes) }
        if let nextFileNumber { TagLength.append(ManifestFormat.nextFileNumber, nextFileNumber, to: &bytes) }
        if let logNumber { TagLength.append(ManifestFormat.logNumber, logNumber, to: &bytes) }
        return bytes
    }

    init(decoding bytes: UnsafeRawBufferPointer) throws(DecodingError) {
        self.init()
        var reader = ByteReader(bytes)
        while !reader.isAtEnd {
            let at = reader.offset
            let tag = try reader.readVarint()
            let content = try reader.readLengthPrefixed()
            var field = ByteReader(content)
            switch tag {
            case ManifestFormat.version:
                let version = try field.readVarint()
                guard version == ManifestFormat.formatVersion else {
                    throw .invalid(offset: at, what: "manifest format version \(version)")
                }
            case ManifestFormat.snapshot: isSnapshot = try field.readVarint() != 0
            case ManifestFormat.added: added.append(try Added(decoding: content))
            case ManifestFormat.removed: removed.append(try field.readVarint())
            case ManifestFormat.mark: mark = try TabletMark(decoding: content)
            case ManifestFormat.lastSequence: lastSequence = try field.readVarint()
            case ManifestFormat.nextFileNumber: nextFileNumber = try field.readVarint()
            case ManifestFormat.logNumber: logNumber = try field.readVarint()
            case ManifestFormat.identity: identity = try field.readVarint()
            default:
                guard tag % 2 == 1 else { throw .invalid(offset: at, what: "manifest tag \(tag)") }
            }
        }
    }
}

extension VersionEdit.Added {
    var encoded: [UInt8] {
        typealias Tag = ManifestFormat.Table
        var bytes: [UInt8] = []
        TagLength.append(Tag.level, UInt64(level), to: &bytes)
        TagLength.append(Tag.number, table.number, to: &bytes)
        TagLength.append(Tag.uid, table.uid, to: &bytes)
        TagLength.append(Tag.size, table.size, to: &bytes)
        TagLength.append(Tag.smallest, table.smallest, to: &bytes)
        TagLength.append(Tag.largest, table.largest, to: &bytes)
        TagLength.append(Tag.largestIsExclusive, table.largestIsExclusive ? 1 : 0, to: &bytes)
        TagLength.append(Tag.sequenceMin, table.sequenceMin, to: &bytes)
        TagLength.append(Tag.sequenceMax, table.sequenceMax, to: &bytes)
        TagLength.append(Tag.entryCount, table.entryCount, to: &bytes)
        TagLength.append(Tag.tombstoneCount, table.tombstoneCount, to: &bytes)
        TagLength.append(Tag.rangeCount, table.rangeCount, to: &bytes)
        return bytes
    }

    init(decoding bytes: UnsafeRawBufferPointer) throws(DecodingError) {
        typealias Tag = ManifestFormat.Table
        var table = TableMetadata(
            number: 0,
            uid: 0,
            size: 0,
            smallest: [],
            largest: [],
            largestIsExclusive: false,
            sequenceMin: 0,
            sequenceMax: 0,
            entryCount: 0,
            tombstoneCount: 0,
            rangeCount: 0
        )
        var level: UInt64 = 0
        var reader = ByteReader(bytes)
        while !reader.isAtEnd {
            let at = reader.offset
            let tag = try reader.readVarint()
            let content = try reader.readLengthPrefixed()
            var field = ByteReader(content)
            switch tag {
            case Tag.level: level = try field.readVarint()
            case Tag.number: table.number = try field.readVarint()
            case Tag.uid: table.uid = try field.readVarint()
            case Tag.size: table.size = try field.readVarint()
            case Tag.smallest: table.smallest = [UInt8](content)
            case Tag.largest: table.largest = [UInt8](content)
            case Tag.largestIsExclusive: table.largestIsExclusive = try field.readVarint() != 0
            case Tag.sequenceMin: table.sequenceMin = try field.readVarint()
            case Tag.sequenceMax: table.sequenceMax = try field.readVarint()
            case Tag.entryCount: table.entryCount = try field.readVarint()
            case Tag.tombstoneCount: table.tombstoneCount = try field.readVarint()
            case Tag.rangeCount: table.rangeCount = try field.readVarint()
            default:
                guard tag % 2 == 1 else { throw .invalid(offset: at, what: "table tag \(tag)") }
            }
        }
        guard level < UInt64(Version.levelCount) else { throw .invalid(offset: 0, what: "level \(level)") }
        self.init(level: Int(level), table: table)
    }
}
