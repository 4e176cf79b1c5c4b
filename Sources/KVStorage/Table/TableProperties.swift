import KVBase

/// What a table says of itself in its meta block.
struct TableProperties: Equatable, Sendable {
    var entryCount: UInt64 = 0
    var keyCount: UInt64 = 0
    var tombstoneCount: UInt64 = 0
    var rawKeyBytes: UInt64 = 0
    var rawValueBytes: UInt64 = 0
    var dataBytes: UInt64 = 0
    var sequenceMin: UInt64 = 0
    var sequenceMax: UInt64 = 0
    var level: UInt64 = 0
    var reason: UInt64 = 0
    var job: UInt64 = 0
    var codecLevel: UInt64 = 0
    var smallest: [UInt8] = []
    var largest: [UInt8] = []
    var largestIsExclusive = false
    var ranges: BlockHandle?
    var rangeCount: UInt64 = 0

    init(decoding bytes: UnsafeRawBufferPointer) throws(DecodingError) {
        typealias Property = TableFormat.Property
        var reader = ByteReader(bytes)
        var rangesOffset: UInt64 = 0
        var rangesLength: UInt64 = 0
        while !reader.isAtEnd {
            let at = reader.offset
            let tag = try reader.readVarint()
            let content = try reader.readLengthPrefixed()
            var field = ByteReader(content)
            switch tag {
            case Property.entryCount: entryCount = try field.readVarint()
            case Property.keyCount: keyCount = try field.readVarint()
            case Property.tombstoneCount: tombstoneCount = try field.readVarint()
            case Property.rawKeyBytes: rawKeyBytes = try field.readVarint()
            case Property.rawValueBytes: rawValueBytes = try field.readVarint()
            case Property.dataBytes: dataBytes = try field.readVarint()
            case Property.sequenceMin: sequenceMin = try field.readVarint()
            case Property.sequenceMax: sequenceMax = try field.readVarint()
            case Property.level: level = try field.readVarint()
            case Property.reason: reason = try field.readVarint()
            case Property.job: job = try field.readVarint()
            case Property.codecLevel: codecLevel = try field.readVarint()
            case Property.smallest: smallest = [UInt8](content)
            case Property.largest: largest = [UInt8](content)
            case Property.largestIsExclusive: largestIsExclusive = try field.readVarint() != 0
            case Property.rangesOffset: rangesOffset = try field.readVarint()
            case Property.rangesLength: rangesLength = try field.readVarint()
            case Property.rangeCount: rangeCount = try field.readVarint()
            default:
                guard tag % 2 == 1 else { throw .invalid(offset: at, what: "property \(tag)") }
            }
        }
        if rangeCount > 0 {
            guard rangesLength <= UInt64(UInt32.max) else {
                throw .invalid(offset: 0, what: "ranges of \(rangesLength) bytes")
            }
            ranges = BlockHandle(offset: rangesOffset, length: UInt32(rangesLength))
        }
    }

    /// The range deletions in the bytes of a ranges block.
    static func decodeRanges(_ bytes: UnsafeRawBufferPointer) throws(DecodingError) -> RangeTombstoneSet {
        var reader = ByteReader(bytes)
        var tombstones: [RangeTombstone] = []
        while !reader.isAtEnd {
            let start = [UInt8](try reader.readLengthPrefixed())
            let end = [UInt8](try reader.readLengthPrefixed())
            tombstones.append(RangeTombstone(start: start, end: end, sequence: try reader.readVarint()))
        }
        return RangeTombstoneSet(tombstones)
    }
}
