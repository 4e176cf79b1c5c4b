package import KVBase

extension RaftCore {
    /// Appends entries to the group's log.
    ///
    /// They are committed when an effect gives them to apply; another leader may overwrite them before.
    ///
    /// - Returns: the index of the first one (the others follow it) and the term of all.
    /// - Throws: `notLeader`, `notMember`, `transferring`, `overloaded`, `configurationRefused`; or `malformed` where there is no entry.
    package mutating func propose(_ proposed: [ProposedEntry]) throws(RaftError) -> (first: LogIndex, term: Term) {
        guard role == .leader else { throw .notLeader(leader) }
        guard let own = tracker.place(of: replica) else { throw .notMember }
        if let transferTarget { throw .transferring(transferTarget) }
        guard !proposed.isEmpty else { throw .malformed("a proposal of no entries") }
        let first = log.lastIndex + 1
        var bytes = 0
        var change: LogIndex?
        for (place, entry) in proposed.enumerated() {
            bytes += entry.payload.count + Entry.overhead
            if entry.kind == .configuration {
                if let change { throw .configurationRefused(.pending(change)) }
                try checkChange(entry.payload)
                change = first + LogIndex(place)
            }
        }
        // Where nothing waits, anything is taken: a bound must not stop an entry for ever.
        guard uncommittedBytes == 0 || uncommittedBytes + bytes <= settings.uncommittedBytesMax else {
            throw .overloaded
        }
        for entry in proposed { appendOwn(entry) }
        if let change { pendingConfigurationIndex = change }
        if settings.plantedBugs.contains(.acknowledgeBeforeSync) {
            _ = tracker[own].acknowledged(through: log.lastIndex)
        }
        broadcastAppend()
        if settings.plantedBugs.contains(.acknowledgeBeforeSync) { advanceCommit() }
        return (first, term)
    }

    mutating func appendOwn(_ proposed: ProposedEntry) {
        let entry = Entry(
            index: log.lastIndex + 1,
            term: term,
            kind: proposed.kind,
            time: proposed.time,
            checksum: proposed.checksum,
            payload: proposed.payload
        )
        uncommittedBytes += entry.size
        log.append(entry)
    }

    /// The own log is durable further than before: own entries count as held here only now.
    mutating func ownEntriesDurable() {
        guard role == .leader, let own = tracker.place(of: replica) else { return }
        if tracker[own].acknowledged(through: log.durable) { advanceCommit() }
    }

    /// Commits what the quorum holds.
    ///
    /// Only an entry of the own term is committed by counting; those before it are committed with it (Raft 5.4.2).
    /// Followers are told when the effects are taken, with the entries that leave anyway.
    mutating func advanceCommit() {
        let held = min(tracker.committed, log.lastIndex)
        guard held > log.commit else { return }
        guard log.term(at: held) == term || settings.plantedBugs.contains(.commitOldTermByCounting) else { return }
        let before = log.commit
        log.commit(through: held)
        var index = max(before + 1, log.firstInMemory)
        while index <= held {
            let entry = log.entry(at: index)
            if entry.term == term { uncommittedBytes -= entry.size }
            index += 1
        }
        admitEarlyReads()
    }

    // MARK: Answers

    mutating func takeAppendResponse(_ message: Message) throws(RaftError) {
        guard let place = tracker.place(of: message.from) else { throw .unknownPeer(message.from) }
        tracker[place].isRecentlyActive = true
        if message.isRejected { takeRefusal(message, place) } else { try takeAcknowledgement(message, place) }
    }

    private mutating func takeRefusal(_ message: Message, _ place: Int) {
        trace(.appendRefused(by: message.from, index: message.index, hint: message.rejectHint))
        if message.rejectHint < tracker[place].match, message.index > tracker[place].match {
            trace(
                .acknowledgedLogMissing(at: message.from, match: tracker[place].match, last: message.rejectHint)
            )
        }
        if tracker[place].state == .snapshot {
            if tracker[place].snapshotMessage?.index == message.index { reportSnapshotFailed(message.from) }
            return
        }
        if message.context == Self.rebuildMark {
            askForRebuild(place)
            return
        }
        if message.index == 0, tracker[place].match == 0 {
            // Every log agrees before its first entry: it knows nothing of the group and needs all of it.
            askForSnapshot(place)
            return
        }
        // The follower's log holds nothing above the hint that this one could hold; what this log holds above the hint's term
        // the follower cannot hold. Both together skip a term for each probe.
        var hint = message.rejectHint
        if message.logTerm > 0 { hint = log.terms.highest(atMost: message.logTerm, through: hint).index }
        guard tracker[place].refused(at: message.index, hint: hint) else { return }
        if tracker[place].state == .replicate { tracker[place].becomeProbe() }
        sendAppend(place, evenEmpty: true)
    }

    private mutating func takeAcknowledgement(_ message: Message, _ place: Int) throws(RaftError) {
        guard message.index <= log.lastIndex else {
            throw .malformed("\(message.from) acknowledges \(message.index), the log ends at \(log.lastIndex)")
        }
        let isNews = tracker[place].acknowledged(through: message.index)
        let answersProbe = tracker[place].match == message.index && tracker[place].state == .probe
        let answersSnapshot = tracker[place].state == .snapshot
        guard isNews || answersProbe || answersSnapshot else { return }
        switch tracker[place].state {
        case .probe:
            tracker[place].becomeReplicate()
        case .snapshot:
            if tracker[place].match >= log.cutIndex {
                // Whatever the snapshot has become: the log reaches this follower again.
                tracker[place].becomeReplicate()
            } else if let snapshot = tracker[place].snapshotMessage, tracker[place].match >= snapshot.index {
                // It has the snapshot, but the log was cut further meanwhile: it needs another.
                tracker[place].becomeProbe()
            }
        case .replicate:
            tracker[place].inflight.free(through: message.index)
        }
        advanceCommit()
        while sendAppend(place, evenEmpty: false) {}
        if transferTarget == message.from, tracker[place].match == log.lastIndex {
            send(Message(.timeoutNow, from: replica, to: message.from, term: term))
        }
    }

    mutating func takeHeartbeatResponse(_ message: Message) throws(RaftError) {
        guard let place = tracker.place(of: message.from) else { throw .unknownPeer(message.from) }
        tracker[place].isRecentlyActive = true
        if tracker[place].mayProbe {
            tracker[place].mayProbe = false
            tracker[place].isFlowPaused = false
            if let snapshot = tracker[place].snapshotMessage {
                send(snapshot)
            } else if tracker[place].match < log.lastIndex || tracker[place].state == .probe {
                // An append or its answer may be lost: this one's answer tells.
                sendAppend(place, evenEmpty: true)
            }
        }
        if message.context > tracker[place].confirmedRead, message.context <= leaderReads.started {
            tracker[place].confirmedRead = message.context
            confirmReads()
        }
    }

    // MARK: Transfer

    /// Hands leadership to a voter: it is brought up to date and told to campaign.
    ///
    /// Until it is elected, or an election timeout passes, proposals are refused. - Throws: `notLeader`, or
    /// `unknownPeer` where the target is no voter.
    package mutating func transferLeadership(to target: ReplicaID) throws(RaftError) {
        guard role == .leader else { throw .notLeader(leader) }
        guard tracker.configuration.voters.contains(target), let place = tracker.place(of: target) else {
            throw .unknownPeer(target)
        }
        guard target != replica, target != transferTarget else { return }
        electionElapsed = 0
        transferTarget = target
        if tracker[place].match == log.lastIndex {
            send(Message(.timeoutNow, from: replica, to: target, term: term))
        } else {
            sendAppend(place, evenEmpty: true)
        }
    }
}
