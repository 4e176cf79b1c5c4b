package import KVBase

/// How a group's replica behaves; the same on all replicas of a group but for the bounds.
package struct RaftSettings: Sendable {
    /// Ticks without word from a leader after which a replica may campaign: drawn anew from [this, twice this) at every change of
    /// role or term.
    package var electionTicks = 10
    /// Ticks between a leader's heartbeats; below `electionTicks`.
    package var heartbeatTicks = 1
    /// The same where a leader has nothing to tell: all that it has is committed, and everybody holds it.
    ///
    /// Below `electionTicks`; up to `heartbeatTicks` it has no effect.
    package var restingHeartbeatTicks = 1
    /// Whether a replica asks first whether it would be elected, so one that was cut off does not disturb terms.
    package var preVotes = true
    /// Whether a leader steps down that did not hear from a quorum for an election timeout, and whether replicas that heard from a
    /// leader within one refuse to vote (stickiness).
    package var checksQuorum = true
    /// Whether anything relies on nobody voting within an election timeout of the last heartbeat: then a leader is
    /// never forgotten early.
    ///
    /// Reads take a round of heartbeats with or without.
    package var isLeaseEnabled = false
    /// Whether followers hear of a commit that no append tells them of at the next tick only, and not at once.
    ///
    /// A message to each follower for each commit then costs nobody anything; a follower applies up to a tick later. A read that a
    /// follower passed on is told of at once.
    package var tellsCommitAtTicks = false
    /// Whether a leader that is no longer a voter steps down when it applies that.
    package var stepsDownOnRemoval = true
    /// Whether a change of the configuration is checked against the present one when it is proposed.
    ///
    /// Off only in scenarios.
    package var validatesChanges = true
    /// The entries of one append, in bytes; one entry may be larger.
    package var messageBytesMax = 1 << 20
    /// Appends on their way to one follower.
    package var inflightMessagesMax = 256
    /// Bytes on their way to one follower; one message may pass it.
    package var inflightBytesMax = 16 << 20
    /// Proposed bytes that are not committed; one proposal may pass it where nothing else waits.
    package var uncommittedBytesMax = 64 << 20
    /// Bytes given to apply in one batch of effects; one entry may be larger.
    package var applyPageBytesMax = 4 << 20
    /// Bytes given to apply and not reported applied; one page may pass it.
    package var applyingBytesMax = 16 << 20
    /// Reads that wait for a round or for the term's first commit, and on a follower for the leader.
    package var pendingReadsMax = 64 << 10
    /// What the checksums of this group's entries start from.
    package var group = GroupID(0)
    /// Whether `Effects.events` is filled.
    package var tracesEvents = false
    /// Errors to make on purpose, for the tests of the tests.
    package var plantedBugs: PlantedBugs = []

    /// The defaults, for ticks of 25 ms.
    package init() {}
}

/// Errors that tests plant to see that they are found; empty in production.
package struct PlantedBugs: OptionSet, Sendable {
    /// The bits.
    package let rawValue: UInt32
    /// The bugs of these bits.
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Committed entries are applied before the own log holds them durably.
    package static let appliedAheadOfOwnLog = PlantedBugs(rawValue: 1 << 0)
    /// A vote is told before it is durable.
    package static let voteNotSynced = PlantedBugs(rawValue: 1 << 1)
    /// Entries of earlier terms are committed by counting who holds them (Raft 5.4.2).
    package static let commitOldTermByCounting = PlantedBugs(rawValue: 1 << 2)
    /// A follower does not compare the entry before an append.
    package static let skipPreviousEntryCheck = PlantedBugs(rawValue: 1 << 3)
    /// A report that entries are durable counts for entries that were rewritten since.
    package static let stalePersistedAckAccepted = PlantedBugs(rawValue: 1 << 4)
    /// Entries are acknowledged, and the leader counts itself, before they are durable.
    package static let acknowledgeBeforeSync = PlantedBugs(rawValue: 1 << 5)
    /// A change that needs a joint step takes effect in one.
    package static let skipsJoint = PlantedBugs(rawValue: 1 << 6)
    /// A leader serves reads without asking whether it still is one.
    package static let readsWithoutRound = PlantedBugs(rawValue: 1 << 7)
    /// A follower serves reads at what it applied, without asking its leader.
    package static let followerReadsWithoutIndex = PlantedBugs(rawValue: 1 << 8)
}
