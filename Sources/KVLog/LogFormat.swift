import KVBase

/// The numbers of the record log, described in docs/formats/log.md.
package enum LogFormat {
    /// The version that the header record of each file carries.
    package static let version: UInt32 = 1
    /// A chunk never crosses a multiple of this many bytes.
    package static let blockBytes = 32 * 1024
    /// The size of a chunk's header; fewer bytes at the end of a block are zeros.
    package static let chunkHeaderBytes = 20
    /// The longest record, its kind included: a write batch and what a group's log puts around it.
    package static let recordBytesMax = Limits.batchBytesMax * 2

    // Where the fields of a chunk's header stand.
    static let checksumOffset = 0
    static let lengthOffset = 4
    static let positionOffset = 6
    static let flagsOffset = 7
    static let numberOffset = 8
    static let syncedOffset = 12

    /// What part of a record a chunk is.
    enum Position: UInt8 {
        /// Bytes that were zero-filled and never written.
        case zeroed = 0
        /// A whole record; with length 0 no record but a note of how far is durable.
        case full = 1
        case first = 2
        case middle = 3
        case last = 4
        /// Nothing follows: the log was closed.
        case endOfFile = 5
    }

    /// The name of the segment with this number.
    package static func segmentName(_ number: UInt32) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 8 - digits.count)) + digits + segmentSuffix
    }

    /// The number in a segment's name; nil where `name` is none.
    package static func segmentNumber(_ name: String) -> UInt32? {
        guard name.hasSuffix(segmentSuffix) else { return nil }
        let digits = name.dropLast(segmentSuffix.count)
        guard digits.count >= 8, digits.allSatisfy({ $0.isASCII && $0.isNumber }) else { return nil }
        return UInt32(digits)
    }

    /// What ends the name of a segment.
    package static let segmentSuffix = ".log"
    /// What ends the name of a file that is being made and is worth nothing after a restart.
    package static let temporarySuffix = ".tmp"
}

/// What a record is: its first byte.
package struct LogRecordKind: Hashable, Sendable, RawRepresentable, CustomStringConvertible {
    /// The byte.
    package let rawValue: UInt8
    /// The kind with this byte.
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// The first record of each file, written by `LogWriter` itself.
    package static let header = LogRecordKind(rawValue: 1)
    /// A write batch of a lone tablet.
    package static let batch = LogRecordKind(rawValue: 2)
    /// A run of entries of one Raft group.
    package static let raftEntries = LogRecordKind(rawValue: 3)
    /// Term, vote and commit of one Raft group.
    package static let raftState = LogRecordKind(rawValue: 4)
    /// An edit of a tablet's manifest.
    package static let versionEdit = LogRecordKind(rawValue: 5)
    /// The state of every group, at the start of a segment of the Raft log.
    package static let segmentState = LogRecordKind(rawValue: 6)
    /// An edit of a group's manifest.
    package static let groupEdit = LogRecordKind(rawValue: 7)
    /// One Raft group's log begins anew after a snapshot.
    package static let raftReset = LogRecordKind(rawValue: 8)

    /// The name for people.
    package var description: String {
        switch self {
        case .header: "header"
        case .batch: "batch"
        case .raftEntries: "raft entries"
        case .raftState: "raft state"
        case .versionEdit: "version edit"
        case .segmentState: "segment state"
        case .groupEdit: "group edit"
        case .raftReset: "raft reset"
        default: "kind \(rawValue)"
        }
    }
}
