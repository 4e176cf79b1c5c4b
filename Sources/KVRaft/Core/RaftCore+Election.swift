package import KVBase

extension RaftCore {
    // MARK: What the host asks for

    /// Campaigns now, with pre-votes where the settings have them; nothing happens at a leader or a replica that may not be elected.
    package mutating func campaign() {
        startElection(isTransfer: false)
    }

    /// Forgets that a leader exists, keeping term and vote: from now on this replica votes, and the clock of its own
    /// campaign goes on.
    ///
    /// A heartbeat brings the leader back. Returns whether there was something to forget; with leases on nothing is
    /// ever forgotten.
    @discardableResult
    package mutating func forgetLeader() -> Bool {
        guard role == .follower, leader != nil, !settings.isLeaseEnabled else { return false }
        failForwardedReads()
        leader = nil
        trace(.becameFollower(term: term, leader: nil))
        return true
    }

    /// The connection to a replica was closed by its end.
    ///
    /// Where that was the leader it is forgotten, and the host is to call `campaignSoon` after a short random delay;
    /// returns whether it is.
    @discardableResult
    package mutating func leaderConnectionClosed(_ peer: ReplicaID) -> Bool {
        guard peer == leader, forgetLeader() else { return false }
        lostLeader = isPromotable
        return isPromotable
    }

    /// The delay after `leaderConnectionClosed` is over: campaigns, unless a leader was heard from since or a vote given.
    package mutating func campaignSoon() {
        guard lostLeader else { return }
        startElection(isTransfer: false)
    }

    // MARK: Roles

    /// Whether this replica heard from a leader so lately that it answers no request for a vote.
    var sticksToLeader: Bool {
        (settings.checksQuorum || settings.isLeaseEnabled) && leader != nil && electionElapsed < settings.electionTicks
    }

    mutating func becomeFollower(term newTerm: Term, leader newLeader: ReplicaID?) {
        startTerm(newTerm)
        role = .follower
        leader = newLeader
        trace(.becameFollower(term: newTerm, leader: newLeader))
    }

    /// What every change of role or term forgets.
    private mutating func startTerm(_ newTerm: Term) {
        precondition(newTerm >= term, "term \(newTerm) after \(term)")
        if newTerm != term {
            term = newTerm
            vote = nil
        }
        leader = nil
        lostLeader = false
        electionElapsed = 0
        heartbeatElapsed = 0
        drawElectionTimeout()
        transferTarget = nil
        askedToLeaveJoint = false
        uncommittedBytes = 0
        tracker.reset(lastIndex: log.lastIndex, settings: settings)
        output.snapshotsToSend.removeAll()
        output.entriesNeeded.removeAll()
        output.readsFailed += leaderReads.removeAll(own: replica)
        failForwardedReads()
    }

    mutating func startElection(isTransfer: Bool) {
        guard role != .leader, term + 1 < Self.numberMax else { return }
        guard mayCampaign else {
            trace(.campaignRefused(hasUnappliedChange: false))
            return
        }
        // Who is to be asked is not known before a committed change of the configuration is applied.
        if let change = log.configurations.first, change <= log.commit {
            trace(.campaignRefused(hasUnappliedChange: true))
            return
        }
        if settings.preVotes, !isTransfer { askPreVotes() } else { askVotes(isTransfer: isTransfer) }
    }

    private mutating func askPreVotes() {
        role = .preCandidate
        leader = nil
        lostLeader = false
        electionElapsed = 0
        drawElectionTimeout()
        failForwardedReads()
        tracker.forgetVotes()
        trace(.becamePreCandidate(term: term))
        ask(.preVote, term: term + 1, isForced: false)
        // The own pre-vote promises nothing, so it waits for nothing; a lone voter needs no other.
        tracker.recordVote(replica, granted: true)
        concludeElection()
    }

    private mutating func askVotes(isTransfer: Bool) {
        startTerm(term + 1)
        role = .candidate
        vote = replica
        trace(.becameCandidate(term: term))
        // The own vote counts when it is durable, in persisted(ticket:).
        ask(.vote, term: term, isForced: isTransfer)
    }

    private mutating func ask(_ kind: MessageKind, term asked: Term, isForced: Bool) {
        for voter in tracker.replicas where voter.replica != replica && tracker.configuration.isVoter(voter.replica) {
            send(
                tellingCommit(
                    Message(
                        kind,
                        from: replica,
                        to: voter.replica,
                        term: asked,
                        logTerm: log.lastTerm,
                        index: log.lastIndex,
                        isForced: isForced
                    )
                )
            )
        }
    }

    /// Adds to a request or answer of an election how far its sender knows the log to be committed.
    ///
    /// Configurations take effect when they are applied, so a voter that has not heard of a commit may ask by an old configuration,
    /// in which a majority may be impossible: those whom a newer one removed may be gone or, with longer logs, refuse for ever.
    private func tellingCommit(_ message: Message) -> Message {
        var message = message
        message.commit = log.commit
        message.context = log.term(at: log.commit) ?? 0
        return message
    }

    /// Learns of a commit from a request or answer of an election: what both logs hold at that place and term is the same.
    ///
    /// (No entry has term 0, which says that the sender does not know the term.)
    mutating func learnCommit(_ message: Message) {
        guard role != .leader, installing == nil, message.commit > log.commit,
            log.term(at: message.commit) == message.context
        else { return }
        log.commit(through: message.commit)
        // The configuration may change by this: the campaign starts again when it is applied.
        guard role != .follower, let change = log.configurations.first, change <= log.commit else { return }
        becomeFollower(term: term, leader: nil)
    }

    private mutating func becomeLeader() {
        startTerm(term)
        role = .leader
        leader = replica
        trace(.becameLeader(term: term))
        // A change of the configuration may stand in what is not committed yet; it is not worth the search.
        pendingConfigurationIndex = log.lastIndex
        if let own = tracker.place(of: replica) {
            tracker[own].match = log.durable
            tracker[own].becomeReplicate()
            tracker[own].isRecentlyActive = true
        }
        let time = log.lastTime
        let checksum = Entry.checksum(group: settings.group, kind: .empty, time: time, payload: [])
        appendOwn(ProposedEntry(kind: .empty, time: time, checksum: checksum, payload: []))
        broadcastAppend()
        if settings.plantedBugs.contains(.acknowledgeBeforeSync) { advanceCommit() }
    }

    // MARK: Votes

    /// A learner answers like a voter: the candidate's configuration may be newer than this one's.
    mutating func answerVote(_ message: Message) {
        let isPreVote = message.kind == .preVote
        // Only what is asked in a pre-vote may be of a term that has not begun: nobody was promised anything in that.
        let isFree = vote == message.from || (vote == nil && leader == nil) || message.term > term
        let granted = isFree && log.isUpToDate(index: message.index, term: message.logTerm)
        learnCommit(message)
        trace(.voted(for: message.from, term: message.term, isPreVote: isPreVote, granted: granted))
        guard !isPreVote else {
            sendInTerm(
                tellingCommit(
                    Message(
                        .preVoteResponse,
                        from: replica,
                        to: message.from,
                        term: granted ? message.term : term,
                        isRejected: !granted
                    )
                )
            )
            return
        }
        if granted {
            electionElapsed = 0
            lostLeader = false
            vote = message.from
        }
        let answer = tellingCommit(
            Message(.voteResponse, from: replica, to: message.from, term: term, isRejected: !granted)
        )
        if settings.plantedBugs.contains(.voteNotSynced) { send(answer) } else { sendDurable(answer) }
    }

    mutating func countVote(_ message: Message) {
        learnCommit(message)
        // What was learned may have ended the campaign.
        guard role != .follower else { return }
        tracker.recordVote(message.from, granted: !message.isRejected)
        concludeElection()
    }

    /// Counts the own vote once it is durable.
    mutating func countOwnVote() {
        guard role == .candidate, isOwnVoteDurable else { return }
        tracker.recordVote(replica, granted: true)
        concludeElection()
    }

    private var isOwnVoteDurable: Bool { durableTerm == term && durableVote == replica }

    private mutating func concludeElection() {
        switch tracker.voteOutcome {
        case .won:
            if role == .preCandidate {
                askVotes(isTransfer: false)
            } else if isOwnVoteDurable {
                // Not before, even where the others' votes suffice: a leader that crashed without a trace of its term could be
                // elected in it again, by the same votes, and put other entries where its first life put some.
                becomeLeader()
            }
        case .lost:
            becomeFollower(term: term, leader: nil)
        case .pending:
            break
        }
    }
}
