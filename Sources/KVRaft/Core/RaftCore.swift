import DequeModule
package import KVBase

/// One replica of one Raft group: everything that is decided, nothing that is done.
///
/// Inputs are ticks, messages, proposals, reads and the host's reports; `takeEffects` says what is to be done. There is no clock, disk,
/// network, thread or randomness of its own (the generator repeats from its seed), so the same inputs give the same effects.
///
/// 1. *Election* (RaftCore+Election): Raft with pre-votes, check of the quorum and stickiness (Ongaro 4.2.3, 9.6). A vote counts, the own
///    one too, when it is durable.
/// 2. *Replication* (RaftCore+Leader, +Replication, +Follower): pipelined appends, in a window for each follower; refusals carry a term, so
///    one probe settles a term. Followers write in parallel with the leader, which counts itself only when its write is durable.
/// 3. *Commit*: by counting entries of the own term only; a follower commits no further than the append at hand confirmed.
/// 4. *Reads* (RaftCore+Reads): the commit index, confirmed by a round of heartbeats that many reads share.
/// 5. *Membership* (RaftCore+Membership): joint consensus with learners, one change at a time, effective when applied.
/// 6. *Snapshots* (RaftCore+Snapshot): only their place in the log is the core's business; the data is the host's.
///
/// It traps where the host breaks its contract, and never on what a peer sends: that throws.
package struct RaftCore: Sendable {
    /// Terms and indexes from here on are refused: sums of two that are below never overflow.
    package static let numberMax: UInt64 = 1 << 62

    /// Which replica this is.
    package let replica: ReplicaID
    /// How it behaves.
    package let settings: RaftSettings
    /// The term.
    package internal(set) var term: Term
    /// Whom it voted for in this term.
    package internal(set) var vote: ReplicaID?
    /// What it is in this term.
    package internal(set) var role = Role.follower
    /// The leader of this term where it is known.
    package internal(set) var leader: ReplicaID?
    /// To whom leadership is being handed.
    package internal(set) var transferTarget: ReplicaID?
    /// Whether followers are to hear of commits that no append told them of.
    var isCommitDue = false

    var log: RaftLog
    var tracker: ProgressTracker
    var generator: SeededGenerator

    /// Whether the leader's end closed its connection and nothing was heard since, so a campaign may start early.
    var lostLeader = false
    var electionElapsed = 0
    var heartbeatElapsed = 0
    var electionTimeout = 0

    /// No change of the configuration may be proposed before this index is applied.
    var pendingConfigurationIndex: LogIndex = 0
    /// Whether the host was asked to leave the joint configuration since the last heartbeat.
    var askedToLeaveJoint = false
    /// The bytes of this term's entries that are not committed.
    var uncommittedBytes = 0
    /// The snapshot that the host is installing.
    var installing: SnapshotOffer?
    /// Whether what this replica applied is void and the leader's is to take its place; its log is whole.
    package internal(set) var isRebuilding = false

    var leaderReads = LeaderReads()
    var forwardedReads: ForwardedReads

    /// The hard state in the newest write, and the term and vote that are durable.
    var givenHardState: HardState
    var durableTerm: Term
    var durableVote: ReplicaID?

    /// Pages that were given to apply and not reported applied.
    var applyPages: Deque<ApplyPage> = []
    var applyingBytes = 0
    var isReadingToApply = false
    var readToApply: [Entry] = []

    /// What `takeEffects` is to hand over.
    var output = Effects()
    var reportedRole = RoleChange(role: .follower, term: 0, leader: nil)

    struct ApplyPage: Sendable {
        let last: LogIndex
        let bytes: Int
    }

    /// A replica as it was when it stopped, or a new one; a follower in its last term.
    ///
    /// - Parameters:
    ///   - settings: how it behaves.
    ///   - restored: what its disk holds.
    ///   - seed: what its random numbers start from; another one for each replica and start.
    /// - Throws: `malformed` or `logLost` where the restored parts do not fit together.
    package init(_ settings: RaftSettings, restored: RestoredState, seed: UInt64) throws(RaftError) {
        precondition(
            settings.heartbeatTicks > 0
                && settings.electionTicks > max(settings.heartbeatTicks, settings.restingHeartbeatTicks),
            "heartbeats each \(settings.heartbeatTicks) ticks, elections after \(settings.electionTicks)"
        )
        self.settings = settings
        self.replica = restored.replica
        log = try RaftLog(restored, plantedBugs: settings.plantedBugs)
        tracker = ProgressTracker(restored.configuration, lastIndex: log.lastIndex, settings: settings)
        generator = SeededGenerator(seed: seed)
        term = restored.hardState.term
        vote = restored.hardState.vote
        givenHardState = restored.hardState
        durableTerm = term
        durableVote = vote
        forwardedReads = ForwardedReads(firstNumber: generator.next())
        reportedRole.term = term
        drawElectionTimeout()
    }

    // MARK: What it knows

    /// The last index of its log.
    package var lastIndex: LogIndex { log.lastIndex }
    /// The first index that its log, on disk or in memory, still has.
    package var firstIndex: LogIndex { log.firstIndex }
    /// The first index whose entry is in memory.
    package var firstInMemory: LogIndex { log.firstInMemory }
    /// The index through which its own log is durable.
    package var durableIndex: LogIndex { log.durable }
    /// The highest index that it knows to be committed.
    package var commit: LogIndex { log.commit }
    /// The last index that the host reported applied.
    package var applied: LogIndex { log.applied }
    /// The time of the newest entry; a proposal must not be older.
    package var lastTime: UInt64 { log.lastTime }
    /// Term, vote and commit as they are now, durable or not.
    package var hardState: HardState { HardState(term: term, vote: vote, commit: log.commit) }
    /// The group's configuration as of the last applied entry.
    package var configuration: Configuration { tracker.configuration }
    /// Whether it may be elected: a voter, and no snapshot is being installed or asked for.
    package var isPromotable: Bool { isSettledVoter && !isRebuilding }
    /// Whether it campaigns when its time comes: also where what it applied is wrong and nobody else did for long, so that its log may be
    /// what the others lack.
    ///
    /// The host of such a leader proposes and serves nothing, and hands leadership over to who gets its log.
    var mayCampaign: Bool {
        isSettledVoter
            && (!isRebuilding || electionElapsed >= electionTimeout + Self.patienceTimeouts * settings.electionTicks)
    }

    private var isSettledVoter: Bool { tracker.configuration.isVoter(replica) && installing == nil }

    /// How many more election timeouts a replica that is to be rebuilt waits for somebody else to lead.
    static let patienceTimeouts = 4

    /// As leader: whether an entry of its own term is committed, so that reads are served.
    package var hasCommittedInTerm: Bool { log.term(at: log.commit) == term }
    /// As leader: the bytes of its entries that are not committed.
    package var uncommittedByteCount: Int { uncommittedBytes }

    /// The term of the entry at `index`, or nil where the log does not hold it.
    package func term(at index: LogIndex) -> Term? { log.term(at: index) }

    /// What it knows, as leader, of each replica, itself among them; else of no use.
    package var progress: [ReplicaProgress] { tracker.replicas.map(ReplicaProgress.init) }

    // MARK: Helpers that all parts use

    /// Sends a message that may leave at once.
    mutating func send(_ message: Message) {
        output.messagesNow.append(message)
    }

    /// Sends a message that may leave when everything that it says is durable.
    mutating func sendDurable(_ message: Message) {
        output.messagesAfterPersist.append(message)
    }

    /// Sends a message that promises nothing but the term: at once where the term is durable.
    mutating func sendInTerm(_ message: Message) {
        if term == durableTerm { send(message) } else { sendDurable(message) }
    }

    mutating func trace(_ event: RaftEvent) {
        if settings.tracesEvents { output.events.append(event) }
    }

    mutating func drawElectionTimeout() {
        electionTimeout = settings.electionTicks + Int.random(in: 0..<settings.electionTicks, using: &generator)
    }
}

/// What a leader knows about one replica.
package struct ReplicaProgress: Sendable, Equatable {
    /// Which replica.
    package var replica: ReplicaID
    /// The highest index that it is known to hold durably.
    package var match: LogIndex
    /// The first index to send next.
    package var next: LogIndex
    /// How it is sent to.
    package var state: ReplicationState
    /// In `snapshot`: what the snapshot holds at least.
    package var pendingSnapshot: LogIndex
    /// Whether it receives the log without a vote.
    package var isLearner: Bool
    /// Whether it was heard from in the present interval of the quorum check.
    package var isRecentlyActive: Bool
    /// Whether nothing is sent until it answers.
    package var isPaused: Bool
    /// Appends on their way.
    package var inflightCount: Int
    /// Whether no more fit.
    package var isInflightFull: Bool

    init(_ progress: Progress) {
        replica = progress.replica
        match = progress.match
        next = progress.next
        state = progress.state
        pendingSnapshot = progress.pendingSnapshot
        isLearner = progress.isLearner
        isRecentlyActive = progress.isRecentlyActive
        isPaused = progress.isPaused
        inflightCount = progress.inflight.count
        isInflightFull = progress.inflight.isFull
    }
}
