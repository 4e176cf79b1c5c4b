import KVBase

/// The configuration, the progress of each of its replicas, and the votes of the running election.
struct ProgressTracker: Sendable {
    private(set) var configuration: Configuration
    private(set) var quorum: JointQuorum
    /// By replica, ascending; a group is small, so a scan beats a dictionary.
    private(set) var replicas: [Progress]
    private var votes: [ReplicaID: Bool] = [:]

    init(_ configuration: Configuration, lastIndex: LogIndex, settings: RaftSettings) {
        self.configuration = configuration
        self.quorum = configuration.quorum
        self.replicas = configuration.replicas.map {
            Progress(
                replica: $0,
                next: lastIndex + 1,
                isLearner: configuration.isLearner($0),
                isRecentlyActive: false,
                settings: settings
            )
        }
    }

    /// Takes a new configuration over: those who stay keep their progress, who joins starts as one just heard from (or a check of
    /// the quorum could depose the leader before a newcomer had a chance to answer).
    mutating func adopt(_ new: Configuration, lastIndex: LogIndex, settings: RaftSettings) {
        replicas = new.replicas.map { replica in
            if let place = place(of: replica) {
                var kept = replicas[place]
                kept.isLearner = new.isLearner(replica)
                return kept
            }
            return Progress(
                replica: replica,
                next: max(lastIndex, 1),
                isLearner: new.isLearner(replica),
                isRecentlyActive: true,
                settings: settings
            )
        }
        configuration = new
        quorum = new.quorum
    }

    /// Forgets all progress and votes, at the start of a term or a role.
    mutating func reset(lastIndex: LogIndex, settings: RaftSettings) {
        forgetVotes()
        for place in replicas.indices {
            replicas[place] = Progress(
                replica: replicas[place].replica,
                next: lastIndex + 1,
                isLearner: replicas[place].isLearner,
                isRecentlyActive: false,
                settings: settings
            )
        }
    }

    /// Forgets the votes.
    mutating func forgetVotes() {
        votes.removeAll(keepingCapacity: true)
    }

    func place(of replica: ReplicaID) -> Int? {
        replicas.firstIndex { $0.replica == replica }
    }

    subscript(place: Int) -> Progress {
        get { replicas[place] }
        _modify { yield &replicas[place] }
    }

    /// The highest index that the quorum holds.
    var committed: LogIndex {
        quorum.committed { replica in
            guard let place = place(of: replica) else { return 0 }
            return replicas[place].match
        }
    }

    /// Whether the quorum was heard from since the last reset of `isRecentlyActive`; `own` counts always.
    func isQuorumActive(own: ReplicaID) -> Bool {
        let outcome = quorum.outcome { replica in
            guard let place = place(of: replica) else { return nil }
            return replica == own || replicas[place].isRecentlyActive
        }
        return outcome == .won
    }

    /// Forgets who was heard from.
    mutating func startActivityInterval() {
        for place in replicas.indices { replicas[place].isRecentlyActive = false }
    }

    /// The highest read position that the quorum confirmed; `own` confirms everything.
    func confirmedRead(own: ReplicaID) -> UInt64 {
        quorum.committed { replica in
            guard replica != own else { return .max }
            guard let place = place(of: replica) else { return 0 }
            return replicas[place].confirmedRead
        }
    }

    /// Notes a vote; the first of a replica counts.
    ///
    /// A replica without a vote is not kept, so votes are bounded by the group.
    mutating func recordVote(_ replica: ReplicaID, granted: Bool) {
        guard configuration.isVoter(replica), votes[replica] == nil else { return }
        votes[replica] = granted
    }

    /// What the votes come to.
    var voteOutcome: VoteOutcome {
        quorum.outcome { votes[$0] }
    }
}
