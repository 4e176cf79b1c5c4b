package import KVBase

extension RaftCore {
    mutating func broadcastAppend() {
        for place in tracker.replicas.indices where tracker[place].replica != replica {
            sendAppend(place, evenEmpty: true)
        }
    }

    /// Sends the next append to a follower, unless it is paused or (but for `evenEmpty`) there is nothing to send; returns whether it did.
    @discardableResult
    mutating func sendAppend(_ place: Int, evenEmpty: Bool) -> Bool {
        guard !tracker[place].isPaused else { return false }
        let next = tracker[place].next
        guard let previousTerm = log.term(at: next - 1) else {
            askForSnapshot(place)
            return false
        }
        var entries: [Entry] = []
        var bytes = 0
        // A full window lets only an empty append through, to learn whether the ones before arrived.
        if !tracker[place].inflight.isFull, next <= log.lastIndex {
            guard next >= log.firstInMemory else {
                askForEntries(place)
                return false
            }
            (entries, bytes) = log.slice(from: next, through: log.lastIndex, bytesMax: settings.messageBytesMax)
        }
        guard !entries.isEmpty || evenEmpty else { return false }
        send(append: entries, bytes: bytes, previousTerm: previousTerm, to: place)
        return true
    }

    private mutating func send(append entries: [Entry], bytes: Int, previousTerm: Term, to place: Int) {
        let count = entries.count
        send(
            Message(
                .append,
                from: replica,
                to: tracker[place].replica,
                term: term,
                logTerm: previousTerm,
                index: tracker[place].next - 1,
                commit: log.commit,
                entries: entries
            )
        )
        tracker[place].sent(count: count, bytes: bytes, commit: log.commit)
    }

    /// Tells followers of a commit that no append told them of.
    ///
    /// Called when effects are taken, so one message tells of many commits, and entries that left in the meantime tell
    /// of it for nothing.
    mutating func tellCommit() {
        guard role == .leader, maySendCommit else { return }
        isCommitDue = false
        for place in tracker.replicas.indices where tracker[place].replica != replica {
            let known = min(log.commit, tracker[place].next - 1)
            guard tracker[place].sentCommit < known, !tracker[place].isPaused else { continue }
            // Where nothing can be sent (a snapshot would be needed) a heartbeat tells of it in time.
            if !sendAppend(place, evenEmpty: true) { tracker[place].sentCommit = known }
        }
    }

    /// Whether a commit may be told of by a message of its own now.
    var maySendCommit: Bool { isCommitDue || !settings.tellsCommitAtTicks }

    // MARK: Heartbeats

    mutating func broadcastHeartbeat(toVotersOnly: Bool) {
        for place in tracker.replicas.indices {
            let peer = tracker[place].replica
            guard peer != replica, !toVotersOnly || tracker.configuration.isVoter(peer) else { continue }
            // A follower may lack what it has not acknowledged: it must not commit that.
            let commit = min(tracker[place].match, log.commit)
            send(
                Message(
                    .heartbeat,
                    from: replica,
                    to: peer,
                    term: term,
                    commit: commit,
                    context: leaderReads.started
                )
            )
            tracker[place].sentCommit = max(tracker[place].sentCommit, commit)
        }
    }

    // MARK: Entries that are not in memory

    private mutating func askForEntries(_ place: Int) {
        tracker[place].awaitsEntries = true
        output.entriesNeeded.append(
            EntryRequest(
                purpose: .replicate(tracker[place].replica),
                first: tracker[place].next,
                last: log.firstInMemory - 1,
                bytesMax: settings.messageBytesMax
            )
        )
    }

    /// Answers a request for entries: as many as fit, from its first on; none where they cannot be read (it is asked again later).
    ///
    /// What is no longer wanted is dropped. Terms that differ from the log's are refused: the disk holds something else.
    /// - Throws: `malformed` where the entries are not those asked for.
    package mutating func supplyEntries(_ entries: [Entry], for request: EntryRequest) throws(RaftError) {
        switch request.purpose {
        case .apply:
            isReadingToApply = false
            guard request.first == log.applying + 1, installing == nil else { return }
            try check(entries, for: request)
            readToApply = entries
        case .replicate(let peer):
            guard let place = tracker.place(of: peer), tracker[place].awaitsEntries else { return }
            tracker[place].awaitsEntries = false
            guard tracker[place].next == request.first else {
                // It answered in the meantime and needs others now.
                sendAppend(place, evenEmpty: false)
                return
            }
            try check(entries, for: request)
            // The window had room when they were asked for, and nothing was sent since.
            guard !entries.isEmpty, let previousTerm = log.term(at: request.first - 1) else { return }
            send(
                append: entries,
                bytes: entries.reduce(0) { $0 + $1.size },
                previousTerm: previousTerm,
                to: place
            )
            while sendAppend(place, evenEmpty: false) {}
        }
    }

    private func check(_ entries: [Entry], for request: EntryRequest) throws(RaftError) {
        for (offset, entry) in entries.enumerated() {
            let index = request.first + LogIndex(offset)
            guard entry.index == index, log.term(at: index) == entry.term else {
                throw .malformed("entry \(entry.term)/\(entry.index) read for index \(index)")
            }
        }
    }

    // MARK: Reports about connections

    /// A message to this replica was not delivered: stop sending ahead.
    package mutating func reportUnreachable(_ peer: ReplicaID) {
        guard let place = tracker.place(of: peer), tracker[place].state == .replicate else { return }
        tracker[place].becomeProbe()
    }
}
