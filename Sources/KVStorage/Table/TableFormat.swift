/// The numbers of a table file; pictured in docs/formats/sstable.md.
enum TableFormat {
    static let headerMagic: UInt64 = 0x3154_5353_5645_564b
    static let footerMagic: UInt64 = 0x3146_5353_5645_564b
    static let version: UInt16 = 1
    static let headerSize = 32
    static let footerSize = 64
    static let blockHeaderSize = 16
    /// A block's raw bytes end with its restart offsets and their count, u32 each.
    static let restartSize = 4

    enum BlockType {
        static let data: UInt8 = 1
        static let index: UInt8 = 2
        static let filter: UInt8 = 3
        static let meta: UInt8 = 4
        static let ranges: UInt8 = 5
    }

    enum Codec {
        static let raw: UInt8 = 0
        static let zstd: UInt8 = 1
    }

    /// The properties, tag-length-value in the meta block.
    ///
    /// Odd: may be skipped by a reader that does not know them.
    enum Property {
        static let entryCount: UInt64 = 1
        static let tombstoneCount: UInt64 = 3
        static let rawKeyBytes: UInt64 = 5
        static let rawValueBytes: UInt64 = 7
        static let dataBytes: UInt64 = 9
        static let sequenceMin: UInt64 = 11
        static let sequenceMax: UInt64 = 13
        static let level: UInt64 = 15
        static let reason: UInt64 = 17
        static let job: UInt64 = 19
        static let engineVersion: UInt64 = 21
        static let keyCount: UInt64 = 23
        static let codecLevel: UInt64 = 25
        // Even: a reader must know them to answer right.
        static let smallest: UInt64 = 2
        static let largest: UInt64 = 4
        static let rangesOffset: UInt64 = 6
        static let rangesLength: UInt64 = 8
        static let rangeCount: UInt64 = 10
        static let largestIsExclusive: UInt64 = 12
    }

    /// The name of table `number`.
    static func name(_ number: UInt64) -> String { paddedNumber(number) + ".sst" }
}

/// A file number as it stands in names: eight decimal digits or more.
func paddedNumber(_ number: UInt64) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, 8 - digits.count)) + digits
}

/// Where a block lies in its file, its header included.
struct BlockHandle: Equatable, Sendable {
    var offset: UInt64
    var length: UInt32
}

/// Why a table was written; stored as a number in its properties.
enum TableReason: UInt64, Sendable {
    case flush = 1
    case compaction = 2
    case ingest = 3
}
