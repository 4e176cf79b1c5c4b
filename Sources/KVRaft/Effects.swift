package import KVBase

/// What the host is to do, in any order but where it says otherwise.
///
/// The arrays are reused from batch to batch.
///
/// The host's duties:
/// 1. Send `messagesNow` at once.
/// 2. Write `entries` (the first may overwrite the log from its index on) and `hardState` in the order of the batches, sync, and
///    then call `persisted(ticket:)`. Several batches may be on their way; reporting one reports all before it.
/// 3. Send `messagesAfterPersist` once everything through `ticket` is durable, not before.
/// 4. Apply `entriesToApply` in order, calling `applyConfiguration` for each configuration entry, then `applied(through:)`.
/// 5. Answer every other request when it can; none is urgent.
package struct Effects: Sendable {
    /// Messages that may leave at once.
    package var messagesNow: [Message] = []
    /// Entries to write.
    package var entries: [Entry] = []
    /// Term, vote and commit to write, where term or vote changed or where entries are written anyway.
    package var hardState: HardState?
    /// The newest write: of this batch where it has one, else an earlier one that `messagesAfterPersist` waits for; 0 before any.
    package var ticket: UInt64 = 0
    /// Messages that may leave when all through `ticket` is durable.
    package var messagesAfterPersist: [Message] = []
    /// Entries to apply, committed and durable here.
    package var entriesToApply: [Entry] = []
    /// Reads that may be served once `index` is applied.
    package var readsReady: [ReadyRead] = []
    /// Reads (their contexts) that will not be answered: leadership changed or the leader did not answer.
    ///
    /// They may be asked again.
    package var readsFailed: [UInt64] = []
    /// The role, term and leader, where one of them changed since the last batch.
    package var roleChange: RoleChange?
    /// Followers that need a snapshot, which the host makes and sends; then `snapshotDelivered` or `reportSnapshotFailed`.
    package var snapshotsToSend: [SnapshotRequest] = []
    /// A snapshot to install, whose data is here; then `snapshotInstalled` or `snapshotRefused`.
    package var snapshotToInstall: SnapshotOffer?
    /// Entries to read from disk; then `supplyEntries`.
    package var entriesNeeded: [EntryRequest] = []
    /// Whether the host, as leader, is to propose `ConfigurationChange.leaveJoint`; asked again with each heartbeat until it does.
    package var leaveJointWanted = false
    /// What happened, for traces; empty unless the settings ask for it.
    package var events: [RaftEvent] = []

    /// Nothing to do.
    package init() {}

    /// Whether there is something to write and sync.
    package var needsPersisting: Bool { !entries.isEmpty || hardState != nil }

    /// Forgets everything, keeping the memory.
    package mutating func removeAll() {
        messagesNow.removeAll(keepingCapacity: true)
        entries.removeAll(keepingCapacity: true)
        hardState = nil
        ticket = 0
        messagesAfterPersist.removeAll(keepingCapacity: true)
        entriesToApply.removeAll(keepingCapacity: true)
        readsReady.removeAll(keepingCapacity: true)
        readsFailed.removeAll(keepingCapacity: true)
        roleChange = nil
        snapshotsToSend.removeAll(keepingCapacity: true)
        snapshotToInstall = nil
        entriesNeeded.removeAll(keepingCapacity: true)
        leaveJointWanted = false
        events.removeAll(keepingCapacity: true)
    }
}

/// What a replica is in its term.
package enum Role: UInt8, Sendable {
    case follower
    /// Asks whether it would be elected.
    case preCandidate
    case candidate
    case leader
}

/// A replica's role and whom it follows.
package struct RoleChange: Sendable, Equatable {
    /// The role.
    package var role: Role
    /// The term.
    package var term: Term
    /// The leader of the term where it is known.
    package var leader: ReplicaID?
}

/// A read that may be served once `index` is applied.
package struct ReadyRead: Sendable, Equatable {
    /// What the host named it.
    package var context: UInt64
    /// What must be applied first.
    package var index: LogIndex
}

/// A follower that needs a snapshot.
package struct SnapshotRequest: Sendable, Equatable {
    /// The follower.
    package var replica: ReplicaID
    /// What the snapshot must hold at least.
    package var atLeast: LogIndex
}

/// A snapshot that a leader sent.
package struct SnapshotOffer: Sendable, Equatable {
    /// Who sent it.
    package var from: ReplicaID
    /// The last index it holds.
    package var index: LogIndex
    /// The term of the entry there.
    package var term: Term
    /// The group's configuration there.
    package var configuration: Configuration
}

/// Entries that are no longer in memory.
package struct EntryRequest: Sendable, Equatable {
    /// What entries are needed for.
    package enum Purpose: Sendable, Equatable {
        /// To send to a follower.
        case replicate(ReplicaID)
        /// To apply.
        case apply
    }

    /// What they are needed for.
    package var purpose: Purpose
    /// The first index.
    package var first: LogIndex
    /// The last index that is useful.
    package var last: LogIndex
    /// How many bytes are useful; at least one entry is.
    package var bytesMax: Int
}

/// Something that happened, for traces and for tests; costs nothing where it is not asked for.
package enum RaftEvent: Sendable, Equatable {
    /// It follows this leader (nil: nobody yet) in this term.
    case becameFollower(term: Term, leader: ReplicaID?)
    /// It asks for pre-votes for the term after this one.
    case becamePreCandidate(term: Term)
    /// It asks for votes.
    case becameCandidate(term: Term)
    /// It was elected.
    case becameLeader(term: Term)
    /// A vote or pre-vote was given or refused.
    case voted(for: ReplicaID, term: Term, isPreVote: Bool, granted: Bool)
    /// A vote request was ignored since a leader was heard from.
    case stuckToLeader(ignored: ReplicaID, term: Term)
    /// The leader stepped down: no quorum answered, or it left the group.
    case steppedDown(term: Term, lostQuorum: Bool)
    /// A campaign did not start: a committed configuration change is unapplied, or it may not be elected.
    case campaignRefused(hasUnappliedChange: Bool)
    /// A follower refused the append after `index`, and may agree at `hint`.
    case appendRefused(by: ReplicaID, index: LogIndex, hint: LogIndex)
    /// A follower refused what it had acknowledged: it lost part of its log.
    case acknowledgedLogMissing(at: ReplicaID, match: LogIndex, last: LogIndex)
    /// A follower needs a snapshot.
    case snapshotNeeded(by: ReplicaID, atLeast: LogIndex)
    /// The configuration changed.
    case switched(to: Configuration)
}
