import KVBase

extension RaftCore {
    /// Asks for the index that must be applied before a read that arrived by now may be served: `readsReady` or
    /// `readsFailed` will name `context`.
    ///
    /// A follower asks its leader.
    ///
    /// - Throws: `notLeader` where no leader is known; `overloaded`.
    package mutating func readIndex(context: UInt64) throws(RaftError) {
        if role == .leader {
            guard leaderReads.count < settings.pendingReadsMax else { throw .overloaded }
            admitRead(from: replica, context: context)
            return
        }
        guard let leader else { throw .notLeader(nil) }
        if settings.plantedBugs.contains(.followerReadsWithoutIndex) {
            return output.readsReady.append(ReadyRead(context: context, index: log.applied))
        }
        guard forwardedReads.count < settings.pendingReadsMax else { throw .overloaded }
        if forwardedReads.add(context) { sendForwardedRead(to: leader) }
    }

    // MARK: At the leader

    private mutating func admitRead(from asking: ReplicaID, context: UInt64) {
        guard hasCommittedInTerm else {
            leaderReads.addEarly(from: asking, context: context)
            return
        }
        // A lone voter needs nobody's word.
        guard tracker.confirmedRead(own: replica) < .max, !settings.plantedBugs.contains(.readsWithoutRound) else {
            answerRead(from: asking, context: context, index: log.commit)
            return
        }
        if leaderReads.add(from: asking, context: context, index: log.commit) { broadcastHeartbeat(toVotersOnly: true) }
    }

    mutating func admitEarlyReads() {
        for read in leaderReads.takeEarly() { admitRead(from: read.from, context: read.context) }
    }

    /// Releases the reads that the quorum confirmed, and starts a round for those that came since the last one began.
    mutating func confirmReads() {
        leaderReads.confirm(tracker.confirmedRead(own: replica))
        while let read = leaderReads.takeReady() {
            answerRead(from: read.from, context: read.context, index: read.index)
        }
        if leaderReads.startNextRound() { broadcastHeartbeat(toVotersOnly: true) }
    }

    private mutating func answerRead(from asking: ReplicaID, context: UInt64, index: LogIndex) {
        guard asking != replica else {
            output.readsReady.append(ReadyRead(context: context, index: index))
            return
        }
        send(
            Message(.readIndexResponse, from: replica, to: asking, term: term, index: index, context: context)
        )
        // The follower can serve it only once it knows of that commit.
        isCommitDue = true
    }

    mutating func takeForwardedRead(_ message: Message) {
        guard role == .leader, leaderReads.count < settings.pendingReadsMax else {
            sendInTerm(
                Message(
                    .readIndexResponse,
                    from: replica,
                    to: message.from,
                    term: term,
                    isRejected: true,
                    context: message.context
                )
            )
            return
        }
        admitRead(from: message.from, context: message.context)
    }

    // MARK: At a follower

    private mutating func sendForwardedRead(to leader: ReplicaID) {
        sendInTerm(
            Message(.readIndex, from: replica, to: leader, term: term, context: forwardedReads.number)
        )
    }

    mutating func takeReadAnswer(_ message: Message) {
        guard message.from == leader else { return }
        let contexts = forwardedReads.answered(message.context)
        if message.isRejected {
            output.readsFailed += contexts
        } else {
            for context in contexts { output.readsReady.append(ReadyRead(context: context, index: message.index)) }
        }
        startForwarding()
    }

    mutating func tickForwardedReads() {
        let age = forwardedReads.tick()
        guard age > 0, let leader else { return }
        if age >= settings.electionTicks {
            output.readsFailed += forwardedReads.answered(forwardedReads.number)
            startForwarding()
        } else if age % settings.heartbeatTicks == 0 {
            // The request or its answer may be lost.
            sendForwardedRead(to: leader)
        }
    }

    private mutating func startForwarding() {
        if let leader, forwardedReads.startIfIdle() { sendForwardedRead(to: leader) }
    }

    mutating func failForwardedReads() {
        output.readsFailed += forwardedReads.removeAll()
    }
}
