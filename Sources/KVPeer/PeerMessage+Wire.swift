import KVBase
import KVRaft
import KVReplication
import NIOCore

extension PeerMessage {
    /// Whether it goes over the bulk connection.
    var isBulk: Bool {
        if case .snapshotChunk = self { true } else { false }
    }

    /// What it takes in a frame at most, the frame's header included.
    var wireBytesMax: Int {
        let overhead = PeerFrameFormat.messageOverheadBytes
        switch self {
        case .raft(_, let message):
            var bytes = overhead + message.configuration.count
            for entry in message.entries { bytes += entry.payload.count + PeerFrameFormat.entryOverheadBytes }
            return bytes
        case .requests(let requests): return overhead + requests.payload.count
        case .replies(let replies): return overhead + replies.payload.count
        case .snapshotChunk(let chunk): return overhead + chunk.file.utf8.count + chunk.bytes.count
        case .snapshotProgress(let progress): return overhead + progress.reason.utf8.count
        }
    }

    /// Its part of an envelope; what follows the envelope is appended to `payloads`.
    func wire(payloads: inout [[UInt8]]) -> WireMessage {
        var wire = WireMessage()
        switch self {
        case .raft(let group, let message):
            wire.raft = message.wire(group, payloads: &payloads)
        case .requests(let requests):
            wire.requests.id = requests.id
            wire.requests.group = requests.group.rawValue
            wire.requests.payloadBytes = UInt32(clamping: requests.payload.count)
            payloads.append(requests.payload)
        case .replies(let replies):
            wire.replies.id = replies.id
            wire.replies.payloadBytes = UInt32(clamping: replies.payload.count)
            payloads.append(replies.payload)
        case .snapshotChunk(let chunk):
            wire.snapshotChunk = chunk.wire
            payloads.append(chunk.bytes)
        case .snapshotProgress(let progress):
            wire.snapshotProgress.group = progress.group.rawValue
            wire.snapshotProgress.transfer = progress.transfer
            wire.snapshotProgress.state = UInt32(progress.state.rawValue)
            wire.snapshotProgress.chunks = progress.chunks
            wire.snapshotProgress.reason = progress.reason
        }
        return wire
    }

    /// The message that an envelope speaks of, with its bytes taken from the front of `payload`.
    /// - Throws: `invalid`, with the field and its value.
    init(_ wire: WireMessage, payload: inout ByteBuffer) throws(PeerFrameError) {
        switch wire.body {
        case .raft(let raft):
            self = .raft(GroupID(raft.group), try Message(raft, payload: &payload))
        case .requests(let requests):
            let bytes = try payload.takePayload(requests.payloadBytes)
            self = .requests(ProxiedRequests(id: requests.id, group: GroupID(requests.group), payload: bytes))
        case .replies(let replies):
            self = .replies(ProxiedReplies(id: replies.id, payload: try payload.takePayload(replies.payloadBytes)))
        case .snapshotChunk(let chunk):
            self = .snapshotChunk(try SnapshotChunk(chunk, payload: &payload))
        case .snapshotProgress(let progress):
            guard let number = UInt8(exactly: progress.state), let state = SnapshotProgress.State(rawValue: number)
            else {
                throw .invalid("snapshot state \(progress.state)")
            }
            self = .snapshotProgress(
                SnapshotProgress(
                    group: GroupID(progress.group),
                    transfer: progress.transfer,
                    state: state,
                    chunks: progress.chunks,
                    reason: progress.reason
                )
            )
        case nil:
            throw .invalid("a message of an unknown kind")
        }
    }

    /// All messages of a frame.
    /// - Throws: `invalid`, also where payload bytes are left over.
    static func decode(_ frame: PeerFrame) throws(PeerFrameError) -> [PeerMessage] {
        var payload = frame.payload
        var messages: [PeerMessage] = []
        messages.reserveCapacity(frame.envelope.messages.count)
        for wire in frame.envelope.messages { messages.append(try PeerMessage(wire, payload: &payload)) }
        guard payload.readableBytes == 0 else {
            throw .invalid("\(payload.readableBytes) bytes that no message claims")
        }
        return messages
    }
}

extension ByteBuffer {
    fileprivate mutating func takePayload(_ count: UInt32) throws(PeerFrameError) -> [UInt8] {
        guard let bytes = readBytes(length: Int(count)) else {
            throw .invalid("a payload of \(count) bytes where \(readableBytes) are left")
        }
        return bytes
    }
}

extension SnapshotChunk {
    fileprivate var wire: WireSnapshotChunk {
        var wire = WireSnapshotChunk()
        wire.group = group.rawValue
        wire.transfer = transfer
        wire.index = index
        wire.term = term
        wire.file = file
        wire.offset = offset
        wire.endsFile = endsFile
        wire.endsSnapshot = endsSnapshot
        wire.checksum = checksum
        wire.payloadBytes = UInt32(clamping: bytes.count)
        return wire
    }

    fileprivate init(_ wire: WireSnapshotChunk, payload: inout ByteBuffer) throws(PeerFrameError) {
        self.init(
            group: GroupID(wire.group),
            transfer: wire.transfer,
            index: wire.index,
            term: wire.term,
            file: wire.file,
            offset: wire.offset,
            endsFile: wire.endsFile,
            endsSnapshot: wire.endsSnapshot,
            checksum: wire.checksum,
            bytes: try payload.takePayload(wire.payloadBytes)
        )
    }
}

extension Message {
    fileprivate func wire(_ group: GroupID, payloads: inout [[UInt8]]) -> WireRaft {
        var wire = WireRaft()
        wire.group = group.rawValue
        wire.kind = UInt32(kind.rawValue)
        wire.from = from.rawValue
        wire.to = to.rawValue
        wire.term = term
        wire.logTerm = logTerm
        wire.index = index
        wire.commit = commit
        wire.isRejected = isRejected
        wire.isForced = isForced
        wire.rejectHint = rejectHint
        wire.context = context
        if !entries.isEmpty {
            wire.entries = Self.columns(entries)
            for entry in entries { payloads.append(entry.payload) }
        }
        if !configuration.isEmpty {
            wire.configurationBytes = UInt32(clamping: configuration.count)
            payloads.append(configuration)
        }
        return wire
    }

    private static func columns(_ entries: [Entry]) -> WireEntries {
        var columns = WireEntries()
        columns.indexes = entries.map(\.index)
        columns.terms = entries.map(\.term)
        columns.kinds = entries.map { UInt32($0.kind.rawValue) }
        columns.times = entries.map(\.time)
        columns.checksums = entries.map(\.checksum)
        columns.payloadBytes = entries.map { UInt32(clamping: $0.payload.count) }
        return columns
    }

    fileprivate init(_ wire: WireRaft, payload: inout ByteBuffer) throws(PeerFrameError) {
        guard let number = UInt8(exactly: wire.kind), let kind = MessageKind(rawValue: number) else {
            throw .invalid("message kind \(wire.kind)")
        }
        let entries = wire.hasEntries ? try Self.entries(wire.entries, payload: &payload) : []
        self.init(
            kind,
            from: ReplicaID(wire.from),
            to: ReplicaID(wire.to),
            term: wire.term,
            logTerm: wire.logTerm,
            index: wire.index,
            commit: wire.commit,
            isRejected: wire.isRejected,
            isForced: wire.isForced,
            rejectHint: wire.rejectHint,
            context: wire.context,
            entries: entries,
            configuration: wire.configurationBytes > 0 ? try payload.takePayload(wire.configurationBytes) : []
        )
    }

    private static func entries(
        _ columns: WireEntries,
        payload: inout ByteBuffer
    ) throws(PeerFrameError) -> [Entry] {
        let count = columns.indexes.count
        guard
            columns.terms.count == count, columns.kinds.count == count, columns.times.count == count,
            columns.checksums.count == count, columns.payloadBytes.count == count
        else { throw .invalid("columns of entries of different lengths, the first of \(count)") }
        var entries: [Entry] = []
        entries.reserveCapacity(count)
        for place in 0..<count {
            guard let number = UInt8(exactly: columns.kinds[place]), let kind = EntryKind(rawValue: number) else {
                throw .invalid("entry kind \(columns.kinds[place])")
            }
            entries.append(
                Entry(
                    index: columns.indexes[place],
                    term: columns.terms[place],
                    kind: kind,
                    time: columns.times[place],
                    checksum: columns.checksums[place],
                    payload: try payload.takePayload(columns.payloadBytes[place])
                )
            )
        }
        return entries
    }
}
