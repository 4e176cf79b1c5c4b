package import KVBase

/// What a message between two replicas of a group says.
///
/// The number is sent.
package enum MessageKind: UInt8, Sendable, CaseIterable {
    /// "Would you vote for me in `term`?" `logTerm`, `index`: the candidate's last entry.
    case preVote = 1
    case preVoteResponse = 2
    /// "Vote for me in `term`." `force` where a leader handed over, so that stickiness does not refuse.
    case vote = 3
    case voteResponse = 4
    /// Entries after (`index`, `logTerm`), and how far is committed.
    case append = 5
    /// `index` is the last entry held; or rejected, with `rejectHint` and `logTerm` saying where to try next.
    case appendResponse = 6
    /// Leadership and commit; `context` is the read position it confirms.
    case heartbeat = 7
    case heartbeatResponse = 8
    /// "What you need is no longer in my log": the group's snapshot at `index`, `logTerm`, with `configuration`. The data travels on its
    /// own and is there when a replica sees this.
    case snapshot = 9
    /// "Campaign at once": leadership is handed over.
    case timeoutNow = 10
    /// A follower passes a read on; `context` is the follower's own number for it.
    case readIndex = 11
    /// The index at which the follower may serve `context`.
    case readIndexResponse = 12
}

/// A message between two replicas of a group.
package struct Message: Sendable, Equatable {
    /// What it says.
    package var kind: MessageKind
    /// Who sends it.
    package var from: ReplicaID
    /// Who is to get it.
    package var to: ReplicaID
    /// The sender's term; for a pre-vote the term it would campaign in.
    package var term: Term
    /// The term of the entry at `index` where the kind has one.
    package var logTerm: Term
    /// The index that the kind speaks of.
    package var index: LogIndex
    /// How far the sender knows the log to be committed.
    package var commit: LogIndex
    /// Whether a vote, pre-vote or append is refused.
    package var isRejected: Bool
    /// Whether a vote ignores stickiness (transfer).
    package var isForced: Bool
    /// On a refused append: the highest index at which the logs may still agree.
    package var rejectHint: LogIndex
    /// The read position or request number; in an election the term of the entry at `commit`.
    package var context: UInt64
    /// The entries of an append.
    package var entries: [Entry]
    /// The encoded configuration of a snapshot; empty otherwise.
    package var configuration: [UInt8]

    /// A message with these parts; what is not named is zero.
    package init(
        _ kind: MessageKind,
        from: ReplicaID,
        to: ReplicaID,
        term: Term,
        logTerm: Term = 0,
        index: LogIndex = 0,
        commit: LogIndex = 0,
        isRejected: Bool = false,
        isForced: Bool = false,
        rejectHint: LogIndex = 0,
        context: UInt64 = 0,
        entries: [Entry] = [],
        configuration: [UInt8] = []
    ) {
        self.kind = kind
        self.from = from
        self.to = to
        self.term = term
        self.logTerm = logTerm
        self.index = index
        self.commit = commit
        self.isRejected = isRejected
        self.isForced = isForced
        self.rejectHint = rejectHint
        self.context = context
        self.entries = entries
        self.configuration = configuration
    }
}
