package import KVBase
package import KVRaft

/// What nodes say to each other.
package enum PeerMessage: Sendable, Equatable {
    /// A Raft message of a group.
    case raft(GroupID, Message)
    /// Requests that the receiver, as leader of the group, is to serve.
    case requests(ProxiedRequests)
    /// Answers to proxied requests.
    case replies(ProxiedReplies)
    /// Part of a group's snapshot.
    case snapshotChunk(SnapshotChunk)
    /// How far a snapshot has arrived, or that it is refused.
    case snapshotProgress(SnapshotProgress)
}

/// Requests on their way to a leader.
package struct ProxiedRequests: Sendable, Equatable {
    /// The sender's number for this batch.
    package var id: UInt64
    /// The group that they are for.
    package var group: GroupID
    /// Encoded requests with their consistency, in the form of ProxyFormat.
    package var payload: [UInt8]

    /// Requests with these parts.
    package init(id: UInt64, group: GroupID, payload: [UInt8]) {
        self.id = id
        self.group = group
        self.payload = payload
    }
}

/// Answers on their way back.
package struct ProxiedReplies: Sendable, Equatable {
    /// The number of the batch.
    package var id: UInt64
    /// Encoded replies, in the form of ProxyFormat; not all of a batch need come at once.
    package var payload: [UInt8]

    /// Replies with these parts.
    package init(id: UInt64, payload: [UInt8]) {
        self.id = id
        self.payload = payload
    }
}

/// A piece of a group's snapshot, sent over the bulk connection.
package struct SnapshotChunk: Sendable, Equatable {
    /// The group.
    package var group: GroupID
    /// The sender's number for this transfer; a new one starts over.
    package var transfer: UInt64
    /// The snapshot's place in the log.
    package var index: LogIndex
    /// The term of the entry there.
    package var term: Term
    /// Which file of the snapshot, as `<shard>/<name>`; the first chunk of a transfer is its manifest.
    package var file: String
    /// Where in the file the bytes belong.
    package var offset: UInt64
    /// Whether this ends the file.
    package var endsFile: Bool
    /// Whether this ends the snapshot.
    package var endsSnapshot: Bool
    /// CRC32C of `bytes`.
    package var checksum: UInt32
    /// The bytes.
    package var bytes: [UInt8]

    /// A chunk with these parts.
    package init(
        group: GroupID,
        transfer: UInt64,
        index: LogIndex,
        term: Term,
        file: String,
        offset: UInt64,
        endsFile: Bool,
        endsSnapshot: Bool,
        checksum: UInt32,
        bytes: [UInt8]
    ) {
        self.group = group
        self.transfer = transfer
        self.index = index
        self.term = term
        self.file = file
        self.offset = offset
        self.endsFile = endsFile
        self.endsSnapshot = endsSnapshot
        self.checksum = checksum
        self.bytes = bytes
    }
}

/// What the receiver of a snapshot says back.
package struct SnapshotProgress: Sendable, Equatable {
    /// How a transfer stands.
    package enum State: UInt8, Sendable {
        /// The next chunk may come.
        case receiving = 0
        /// All of it is on stable storage and installed.
        case installed = 1
        /// The receiver gave up or needs none; the text says why.
        case refused = 2
    }
    /// The group.
    package var group: GroupID
    /// The transfer.
    package var transfer: UInt64
    /// How it stands.
    package var state: State
    /// How many chunks arrived.
    package var chunks: UInt64
    /// Why it was refused.
    package var reason: String

    /// Progress with these parts.
    package init(group: GroupID, transfer: UInt64, state: State, chunks: UInt64, reason: String = "") {
        self.group = group
        self.transfer = transfer
        self.state = state
        self.chunks = chunks
        self.reason = reason
    }
}
