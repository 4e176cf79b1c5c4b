package import KVBase

/// How far a tablet is: what the applier knows after a batch, stored with the batch's data and never ahead of it.
///
/// What a tablet says after it is opened is the exact prefix of history that its data holds.
package struct TabletMark: Equatable, Sendable {
    /// The Raft index of the last entry that is in.
    package var appliedIndex: LogIndex
    /// Its term.
    package var appliedTerm: Term
    /// The shard's revision counter.
    package var revision: UInt64
    /// The last leader's wall time that was logged, in milliseconds.
    package var loggedTime: UInt64
    /// The shard's ownership epoch.
    package var epoch: Epoch
    /// Whether the shard is frozen, and what else is a flag.
    package var flags: Flags
    /// The hash over all applied mutations, chained.
    package var chainedHash: UInt64

    /// Yes-or-no state of a shard.
    package struct Flags: OptionSet, Sendable {
        /// The bits as stored.
        package let rawValue: UInt64
        /// Flags with these bits.
        package init(rawValue: UInt64) { self.rawValue = rawValue }
        /// The shard serves nobody: it is being moved away.
        package static let frozen = Flags(rawValue: 1)
    }

    /// A mark with these parts; all zero stands for a tablet that nothing was applied to.
    package init(
        appliedIndex: LogIndex = 0,
        appliedTerm: Term = 0,
        revision: UInt64 = 0,
        loggedTime: UInt64 = 0,
        epoch: Epoch = Epoch(0),
        flags: Flags = [],
        chainedHash: UInt64 = 0
    ) {
        self.appliedIndex = appliedIndex
        self.appliedTerm = appliedTerm
        self.revision = revision
        self.loggedTime = loggedTime
        self.epoch = epoch
        self.flags = flags
        self.chainedHash = chainedHash
    }
}

/// The mark's fields as tags and lengths (docs/formats/manifest.md).
///
/// A reader skips unknown odd tags and refuses even ones.
enum TabletMarkFormat {
    static let appliedIndex: UInt64 = 2
    static let appliedTerm: UInt64 = 4
    static let revision: UInt64 = 6
    static let loggedTime: UInt64 = 8
    static let epoch: UInt64 = 10
    static let flags: UInt64 = 12
    static let chainedHash: UInt64 = 14
}

extension TabletMark {
    /// Appends the fields that are not zero: what is absent reads as zero.
    func encode(into bytes: inout [UInt8]) {
        func append(_ tag: UInt64, _ value: UInt64) {
            if value != 0 { TagLength.append(tag, value, to: &bytes) }
        }
        append(TabletMarkFormat.appliedIndex, appliedIndex)
        append(TabletMarkFormat.appliedTerm, appliedTerm)
        append(TabletMarkFormat.revision, revision)
        append(TabletMarkFormat.loggedTime, loggedTime)
        append(TabletMarkFormat.epoch, epoch.rawValue)
        append(TabletMarkFormat.flags, flags.rawValue)
        append(TabletMarkFormat.chainedHash, chainedHash)
    }

    init(decoding bytes: UnsafeRawBufferPointer) throws(DecodingError) {
        self.init()
        var reader = ByteReader(bytes)
        while !reader.isAtEnd {
            let at = reader.offset
            let tag = try reader.readVarint()
            var field = ByteReader(try reader.readLengthPrefixed())
            switch tag {
            case TabletMarkFormat.appliedIndex: appliedIndex = try field.readVarint()
            case TabletMarkFormat.appliedTerm: appliedTerm = try field.readVarint()
            case TabletMarkFormat.revision: revision = try field.readVarint()
            case TabletMarkFormat.loggedTime: loggedTime = try field.readVarint()
            case TabletMarkFormat.epoch: epoch = Epoch(try field.readVarint())
            case TabletMarkFormat.flags: flags = Flags(rawValue: try field.readVarint())
            case TabletMarkFormat.chainedHash: chainedHash = try field.readVarint()
            default:
                guard tag % 2 == 1 else { throw .invalid(offset: at, what: "mark tag \(tag)") }
            }
        }
    }
}

/// Fields as `varint tag · varint length · bytes`.
///
/// Unknown odd tags may be skipped by an older reader, even ones may not.
enum TagLength {
    /// Appends a number, as a varint.
    static func append(_ tag: UInt64, _ value: UInt64, to bytes: inout [UInt8]) {
        bytes.append(varint: tag)
        bytes.append(varint: UInt64(varintSize(value)))
        bytes.append(varint: value)
    }

    /// Appends bytes.
    static func append(_ tag: UInt64, _ value: [UInt8], to bytes: inout [UInt8]) {
        bytes.append(varint: tag)
        bytes.append(lengthPrefixed: value)
    }
}
