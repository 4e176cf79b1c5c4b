package import KVBase

/// What an entry is for.
///
/// The number is stored and sent.
package enum EntryKind: UInt8, Sendable {
    /// Nothing: a new leader's first entry.
    case empty = 0
    /// A batch of commands for the state machine.
    case commands = 1
    /// A change of the group's configuration.
    case configuration = 2
}

/// One entry of a group's log.
package struct Entry: Sendable, Equatable {
    /// Its place.
    package var index: LogIndex
    /// The term of the leader that made it.
    package var term: Term
    /// What it is for.
    package var kind: EntryKind
    /// The leader's wall time when it was proposed, in milliseconds since 1970; never decreases along a log.
    package var time: UInt64
    /// CRC32C made once by the leader over (kind, time, payload), seeded with the group; checked before a follower logs
    /// the entry and before apply.
    ///
    /// The core only carries it.
    package var checksum: UInt32
    /// What the state machine or the configuration reads; shared, never changed.
    package var payload: [UInt8]

    /// An entry with these parts.
    package init(index: LogIndex, term: Term, kind: EntryKind, time: UInt64, checksum: UInt32, payload: [UInt8]) {
        self.index = index
        self.term = term
        self.kind = kind
        self.time = time
        self.checksum = checksum
        self.payload = payload
    }

    /// What the entry takes in messages and in the log, in bytes, about.
    package var size: Int { payload.count + Entry.overhead }

    /// What an entry takes beside its payload, in bytes, about.
    package static let overhead = 40
}

/// What must be durable beside the entries before anyone hears of it.
package struct HardState: Sendable, Equatable {
    /// The highest term seen.
    package var term: Term
    /// Whom this replica voted for in that term.
    package var vote: ReplicaID?
    /// The highest index known to be committed; may lag.
    package var commit: LogIndex

    /// A state with these parts.
    package init(term: Term = 0, vote: ReplicaID? = nil, commit: LogIndex = 0) {
        self.term = term
        self.vote = vote
        self.commit = commit
    }
}
