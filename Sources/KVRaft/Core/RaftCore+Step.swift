import KVBase

extension RaftCore {
    /// Takes a message of a peer.
    ///
    ///     term of the message    what happens first
    ///     higher, vote asked     ignored where a leader was heard from lately (stickiness); a pre-vote changes no term
    ///     higher, else           this replica's term ends
    ///     lower                  not taken; who leads or asks in an old term is told of the new one
    ///
    /// - Throws: `malformed` where no correct peer sends it; `unknownPeer` where a replica outside the configuration answers; `logLost` where
    ///   the leader counts on entries that this replica acknowledged and does not have.
    package mutating func step(_ message: Message) throws(RaftError) {
        try check(message)
        // Before terms are looked at: a replica that was removed must not end this one's term.
        if message.kind.isAnswer, tracker.place(of: message.from) == nil { throw .unknownPeer(message.from) }
        if message.term < term {
            answerLowerTerm(message)
            return
        }
        if message.term > term {
            switch message.kind {
            case .vote, .preVote:
                if sticksToLeader, !message.isForced {
                    trace(.stuckToLeader(ignored: message.from, term: message.term))
                    return
                }
                if message.kind == .vote { becomeFollower(term: message.term, leader: nil) }
            case .preVoteResponse where !message.isRejected:
                // It grants what was asked for a term that has not begun.
                guard message.term == term + 1 else { return }
            case .append, .heartbeat, .snapshot:
                becomeFollower(term: message.term, leader: message.from)
            case .preVoteResponse, .voteResponse, .appendResponse, .heartbeatResponse, .timeoutNow, .readIndex,
                .readIndexResponse:
                becomeFollower(term: message.term, leader: nil)
            }
        }
        try take(message)
    }

    private mutating func take(_ message: Message) throws(RaftError) {
        switch message.kind {
        case .vote, .preVote:
            answerVote(message)
        case .voteResponse:
            if role == .candidate { countVote(message) }
        case .preVoteResponse:
            // A pre-vote for a term that has begun was asked for in an earlier round.
            if role == .preCandidate, message.isRejected || message.term == term + 1 { countVote(message) }
        case .append:
            try follow(message)
            try takeAppend(message)
        case .heartbeat:
            try follow(message)
            try takeHeartbeat(message)
        case .snapshot:
            try follow(message)
            try takeSnapshot(message)
        case .appendResponse:
            if role == .leader { try takeAppendResponse(message) }
        case .heartbeatResponse:
            if role == .leader { try takeHeartbeatResponse(message) }
        case .timeoutNow:
            if role == .follower { startElection(isTransfer: true) }
        case .readIndex:
            takeForwardedRead(message)
        case .readIndexResponse:
            takeReadAnswer(message)
        }
    }

    /// Refuses what no correct peer sends, so that nothing after this can overflow.
    private func check(_ message: Message) throws(RaftError) {
        guard message.to == replica, message.from != replica, message.from.rawValue != 0 else {
            throw .malformed("a \(message.kind) from \(message.from) to \(message.to) at \(replica)")
        }
        // The limit is a power of two, so one comparison does for all.
        let numbers = message.term | message.logTerm | message.index | message.commit | message.rejectHint
        guard numbers < Self.numberMax, message.term > 0 else {
            throw .malformed("a \(message.kind) with a number past the limit, term \(message.term)")
        }
        var index = message.index
        var entryTerm = message.logTerm
        for entry in message.entries {
            guard entry.index == index + 1, entry.term >= entryTerm, entry.term <= message.term else {
                throw .malformed(
                    "entry \(entry.term)/\(entry.index) after \(entryTerm)/\(index) in term \(message.term)"
                )
            }
            index = entry.index
            entryTerm = entry.term
        }
        guard message.logTerm <= message.term || message.kind == .appendResponse else {
            throw .malformed("log term \(message.logTerm) in term \(message.term)")
        }
    }

    /// The sender leads this term: follow it.
    private mutating func follow(_ message: Message) throws(RaftError) {
        switch role {
        case .leader:
            throw .malformed("\(message.from) claims to lead term \(term), too")
        case .candidate, .preCandidate:
            becomeFollower(term: term, leader: message.from)
        case .follower:
            electionElapsed = 0
            lostLeader = false
            // Without a leader no reads wait, and a term has one only.
            if leader != message.from {
                leader = message.from
                trace(.becameFollower(term: term, leader: message.from))
            }
        }
    }

    private mutating func answerLowerTerm(_ message: Message) {
        switch message.kind {
        case .append, .heartbeat, .snapshot:
            // A replica that came back with a higher term would refuse this leader for ever without being heard, since nobody
            // answers a vote request while the leader is there. This answer ends the leader's term and frees it.
            guard settings.checksQuorum || settings.preVotes else { return }
            sendDurable(Message(.appendResponse, from: replica, to: message.from, term: term))
        case .preVote:
            // Older replicas learn the term from the refusal, or two could refuse each other for ever.
            sendInTerm(Message(.preVoteResponse, from: replica, to: message.from, term: term, isRejected: true))
        case .vote, .voteResponse, .preVoteResponse, .appendResponse, .heartbeatResponse, .timeoutNow, .readIndex,
            .readIndexResponse:
            break
        }
    }

    // MARK: Time

    /// A tick of the host's timer passed.
    package mutating func tick() {
        if role == .leader {
            tickAsLeader()
        } else {
            electionElapsed += 1
            tickForwardedReads()
            if electionElapsed >= electionTimeout, mayCampaign {
                startElection(isTransfer: false)
                // Where it was refused, too: it is tried again later.
                electionElapsed = 0
            }
        }
    }

    /// With how many further ticks something may happen, 1 or more: what comes before it changes counters only.
    ///
    /// A host that has nothing else to do may let so many pass at once. For an election, and for the look at the quorum, it is one tick less:
    /// after a pause of the whole process, what waits in its sockets is to be heard before that.
    package var ticksUntilDue: Int {
        guard !lostLeader, forwardedReads.count == 0 else { return 1 }
        if role == .leader {
            return max(
                1,
                min(heartbeatInterval - heartbeatElapsed, settings.electionTicks - electionElapsed - 1)
            )
        }
        // Who is not to campaign waits for others.
        return isPromotable ? max(1, electionTimeout - electionElapsed - 1) : Int.max
    }

    /// With how many further ticks this leader's next heartbeat is due; nil where it leads nobody.
    package var ticksUntilHeartbeat: Int? {
        role == .leader ? max(1, heartbeatInterval - heartbeatElapsed) : nil
    }

    /// Has the next heartbeat sent with the tick that is so many away, where at least half of the time to it is over by then.
    ///
    /// So those of all groups that a node leads come to be sent together.
    package mutating func hastenHeartbeat(toTick ticks: Int) {
        guard role == .leader, 2 * (heartbeatElapsed + ticks) >= heartbeatInterval else { return }
        heartbeatElapsed = max(heartbeatElapsed, heartbeatInterval - ticks)
    }

    /// Ticks between heartbeats as things stand.
    private var heartbeatInterval: Int {
        isAtRest ? max(settings.heartbeatTicks, settings.restingHeartbeatTicks) : settings.heartbeatTicks
    }

    /// Whether this leader has nothing to tell, and waits for nobody's answer.
    private var isAtRest: Bool {
        log.commit == log.lastIndex && leaderReads.count == 0 && transferTarget == nil && !hasUntoldCommit
            && tracker.replicas.allSatisfy {
                $0.replica == replica || ($0.state == .replicate && $0.match == log.lastIndex)
            }
    }

    private mutating func tickAsLeader() {
        heartbeatElapsed += 1
        electionElapsed += 1
        isCommitDue = true
        if electionElapsed >= settings.electionTicks {
            electionElapsed = 0
            if settings.checksQuorum {
                guard tracker.isQuorumActive(own: replica) else {
                    trace(.steppedDown(term: term, lostQuorum: true))
                    becomeFollower(term: term, leader: nil)
                    return
                }
                tracker.startActivityInterval()
            }
            // A transfer that took this long will not happen: accept proposals again.
            transferTarget = nil
        }
        if heartbeatElapsed >= heartbeatInterval {
            heartbeatElapsed = 0
            askedToLeaveJoint = false
            for place in tracker.replicas.indices { tracker[place].mayProbe = true }
            broadcastHeartbeat(toVotersOnly: false)
        }
    }
}

extension MessageKind {
    /// Whether only a replica that was asked something says this.
    fileprivate var isAnswer: Bool {
        switch self {
        case .preVoteResponse, .voteResponse, .appendResponse, .heartbeatResponse: true
        case .preVote, .vote, .append, .heartbeat, .snapshot, .timeoutNow, .readIndex, .readIndexResponse: false
        }
    }
}
