package import KVBase
import KVLog
import KVRaft

/// Where a group's log begins: everything up to `index` is in the tablets, durable.
package struct LogCut: Sendable, Equatable {
    /// The last index that is gone; 0: none is.
    package var index: LogIndex
    /// The term of the entry there.
    package var term: Term

    /// A cut after `index`, whose entry had `term`.
    package init(index: LogIndex = 0, term: Term = 0) {
        self.index = index
        self.term = term
    }
}

/// The records of the log that all groups of a node share, described in docs/formats/log.md.
enum NodeLogFormat {
    static let entriesHeaderBytes = 4 + 8 + 4
    static let entryHeaderBytes = 8 + 1 + 8 + 4 + 4
    static let stateBytes = 4 + 8 + 8 + 8
    static let groupStateBytes = stateBytes + 8 + 8
    static let resetBytes = 4 + 8 + 8
    /// A run of entries is split where its record passes this, so that a reader of old entries reads little that it does not need.
    static let runBytesMax = 1 << 20

    static func size(of entry: Entry) -> Int { entryHeaderBytes + entry.payload.count }

    static func encodeState(_ group: GroupID, _ state: HardState) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(stateBytes)
        appendState(group, state, to: &bytes)
        return bytes
    }

    /// Entries with consecutive indexes as the payload of one record; nothing for none.
    static func encodeRun(_ group: GroupID, _ entries: [Entry]) -> [UInt8] {
        guard let first = entries.first else { return [] }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(entries.reduce(entriesHeaderBytes) { $0 + size(of: $1) })
        bytes.append(littleEndian: group.rawValue)
        bytes.append(littleEndian: first.index)
        bytes.append(littleEndian: UInt32(entries.count))
        for entry in entries {
            bytes.append(littleEndian: entry.term)
            bytes.append(entry.kind.rawValue)
            bytes.append(littleEndian: entry.time)
            bytes.append(littleEndian: entry.checksum)
            bytes.append(littleEndian: UInt32(entry.payload.count))
            bytes.append(contentsOf: entry.payload)
        }
        return bytes
    }

    static func encodeReset(_ group: GroupID, _ cut: LogCut) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(littleEndian: group.rawValue)
        bytes.append(littleEndian: cut.index)
        bytes.append(littleEndian: cut.term)
        return bytes
    }

    static func encodeSegmentState(_ groups: [GroupID: GroupLogState]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(littleEndian: UInt32(groups.count))
        for (group, state) in groups.sorted(by: { $0.key < $1.key }) {
            appendState(group, state.hardState, to: &bytes)
            bytes.append(littleEndian: state.cut.index)
            bytes.append(littleEndian: state.cut.term)
        }
        return bytes
    }

    static func decodeState(_ reader: inout ByteReader) throws(DecodingError) -> (GroupID, HardState) {
        let group = GroupID(try reader.readLittleEndian())
        let term: Term = try reader.readLittleEndian()
        let vote: UInt64 = try reader.readLittleEndian()
        let commit: LogIndex = try reader.readLittleEndian()
        return (group, HardState(term: term, vote: vote == 0 ? nil : ReplicaID(vote), commit: commit))
    }

    static func decodeCut(_ reader: inout ByteReader) throws(DecodingError) -> LogCut {
        let index: LogIndex = try reader.readLittleEndian()
        let term: Term = try reader.readLittleEndian()
        return LogCut(index: index, term: term)
    }

    static func decodeSegmentState(
        _ reader: inout ByteReader
    ) throws(DecodingError) -> [(GroupID, GroupLogState)] {
        let count: UInt32 = try reader.readLittleEndian()
        guard Int(count) * groupStateBytes == reader.remaining else {
            throw .invalid(offset: reader.offset, what: "\(count) groups in \(reader.remaining) bytes")
        }
        var groups: [(GroupID, GroupLogState)] = []
        for _ in 0..<count {
            let (group, hardState) = try decodeState(&reader)
            groups.append((group, GroupLogState(hardState: hardState, cut: try decodeCut(&reader))))
        }
        return groups
    }

    private static func appendState(_ group: GroupID, _ state: HardState, to bytes: inout [UInt8]) {
        bytes.append(littleEndian: group.rawValue)
        bytes.append(littleEndian: state.term)
        bytes.append(littleEndian: state.vote?.rawValue ?? 0)
        bytes.append(littleEndian: state.commit)
    }
}

/// What a segment's opening record says of a group.
struct GroupLogState: Equatable, Sendable {
    var hardState = HardState()
    var cut = LogCut()
}

/// Walks the entries of a `raftEntries` record without copying payloads it is not asked for.
struct EntryRun {
    let group: GroupID
    let first: LogIndex
    let count: UInt32
    private var reader: ByteReader
    private var read: UInt32 = 0

    init(_ payload: UnsafeRawBufferPointer) throws(DecodingError) {
        reader = ByteReader(payload)
        group = GroupID(try reader.readLittleEndian())
        first = try reader.readLittleEndian()
        count = try reader.readLittleEndian()
        guard count > 0, first > 0, first <= LogIndex.max - UInt64(count) else {
            throw .invalid(offset: 4, what: "\(count) entries from index \(first)")
        }
    }

    var last: LogIndex { first + UInt64(count) - 1 }

    /// The next entry's index, term and bytes; nil after the last.
    mutating func next() throws(DecodingError) -> (header: Header, payload: UnsafeRawBufferPointer)? {
        guard read < count else {
            guard reader.isAtEnd else {
                throw .invalid(offset: reader.offset, what: "\(reader.remaining) bytes too many")
            }
            return nil
        }
        let term: Term = try reader.readLittleEndian()
        let kindOffset = reader.offset
        let kindByte = try reader.readByte()
        guard let kind = EntryKind(rawValue: kindByte) else {
            throw .invalid(offset: kindOffset, what: "entry kind \(kindByte)")
        }
        let time: UInt64 = try reader.readLittleEndian()
        let checksum: UInt32 = try reader.readLittleEndian()
        let length: UInt32 = try reader.readLittleEndian()
        let payload = try reader.readBytes(Int(length))
        defer { read += 1 }
        return (Header(index: first + UInt64(read), term: term, kind: kind, time: time, checksum: checksum), payload)
    }

    struct Header {
        let index: LogIndex
        let term: Term
        let kind: EntryKind
        let time: UInt64
        let checksum: UInt32
    }
}

extension LogWriter {
    /// Appends entries with consecutive indexes as one record.
    func appendRun(_ group: GroupID, _ entries: ArraySlice<Entry>, size: Int) throws(LogError) -> LogRecordPlace {
        guard let first = entries.first else { preconditionFailure("a run of no entries") }
        let place = try begin(.raftEntries, count: NodeLogFormat.entriesHeaderBytes + size)
        withUnsafeTemporaryAllocation(byteCount: 32, alignment: 8) { scratch in
            scratch.storeBytes(of: group.rawValue.littleEndian, as: UInt32.self)
            scratch.storeBytes(of: first.index.littleEndian, toByteOffset: 4, as: UInt64.self)
            scratch.storeBytes(of: UInt32(entries.count).littleEndian, toByteOffset: 12, as: UInt32.self)
            put(UnsafeRawBufferPointer(rebasing: scratch[..<NodeLogFormat.entriesHeaderBytes]))
            for entry in entries {
                scratch.storeBytes(of: entry.term.littleEndian, as: UInt64.self)
                scratch.storeBytes(of: entry.kind.rawValue, toByteOffset: 8, as: UInt8.self)
                scratch.storeBytes(of: entry.time.littleEndian, toByteOffset: 9, as: UInt64.self)
                scratch.storeBytes(of: entry.checksum.littleEndian, toByteOffset: 17, as: UInt32.self)
                scratch.storeBytes(of: UInt32(entry.payload.count).littleEndian, toByteOffset: 21, as: UInt32.self)
                put(UnsafeRawBufferPointer(rebasing: scratch[..<NodeLogFormat.entryHeaderBytes]))
                entry.payload.withUnsafeBytes { put($0) }
            }
        }
        try end()
        return place
    }
}
