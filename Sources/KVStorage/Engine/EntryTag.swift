/// What an entry does to its key.
///
/// The numbers are stored in tables and batches (docs/formats/sstable.md).
enum EntryKind {
    static let delete: UInt8 = 0
    static let put: UInt8 = 1
    /// Only in batches: in memtables and tables range deletions are kept apart from the keys.
    static let deleteRange: UInt8 = 2
}

/// The sequence and the kind of an entry in one number: `sequence << 8 | kind`.
///
/// Entries of one key are ordered by falling tag.
enum EntryTag {
    /// The greatest sequence: 56 bits.
    static let sequenceMax: UInt64 = (1 << 56) - 1

    @inline(__always)
    static func make(_ sequence: UInt64, _ kind: UInt8) -> UInt64 { sequence << 8 | UInt64(kind) }

    @inline(__always)
    static func sequence(_ tag: UInt64) -> UInt64 { tag >> 8 }

    @inline(__always)
    static func kind(_ tag: UInt64) -> UInt8 { UInt8(truncatingIfNeeded: tag) }

    /// The tag to seek with for the newest entry that a reader at `sequence` sees.
    @inline(__always)
    static func seek(_ sequence: UInt64) -> UInt64 { sequence << 8 | 0xff }
}
