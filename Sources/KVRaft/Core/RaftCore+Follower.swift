import KVBase

extension RaftCore {
    mutating func takeAppend(_ message: Message) throws(RaftError) {
        // The log may be void when the snapshot is in place: as if the append had been lost.
        guard installing == nil else { return }
        let previous = message.index
        // On top of nothing, entries would make another configuration than the others have: only a snapshot brings one
        // (RestoredState.founding). The leader takes a refusal at index 0 for that.
        guard !tracker.configuration.replicas.isEmpty else {
            refuseAppend(message, logTerm: 0, hint: 0)
            return
        }
        guard previous >= log.commit else {
            // Old news, perhaps a duplicate: say what is certain.
            acknowledge(through: log.commit, to: message.from)
            return
        }
        guard log.term(at: previous) == message.logTerm || skipsPreviousCheck(previous) else {
            let end = min(previous, log.lastIndex)
            let hint = log.terms.highest(atMost: message.logTerm, through: end)
            refuseAppend(message, logTerm: hint.term, hint: hint.index)
            return
        }
        // Entries that are here already are left alone: a late or repeated append must not cut off what a newer one brought.
        let new = message.entries.firstIndex { log.term(at: $0.index) != $0.term } ?? message.entries.endIndex
        if new < message.entries.endIndex {
            // After `previous`, so it is not committed here.
            let first = message.entries[new].index
            if first <= log.lastIndex { log.truncate(from: first) }
            for entry in message.entries[new...] { log.append(entry) }
        }
        // Only what this append confirmed may be committed: beyond it the log may hold entries of an older leader.
        let confirmed = previous + LogIndex(message.entries.count)
        log.commit(through: min(message.commit, confirmed))
        acknowledge(through: confirmed, to: message.from)
    }

    private mutating func refuseAppend(_ message: Message, logTerm: Term, hint: LogIndex) {
        sendInTerm(
            Message(
                .appendResponse,
                from: replica,
                to: message.from,
                term: term,
                logTerm: logTerm,
                index: message.index,
                isRejected: true,
                rejectHint: hint
            )
        )
    }

    private func skipsPreviousCheck(_ previous: LogIndex) -> Bool {
        settings.plantedBugs.contains(.skipPreviousEntryCheck) && previous <= log.lastIndex
    }

    /// Acknowledges entries, when they are durable: also those of a duplicate, whose first copy may still be on its way to the disk.
    mutating func acknowledge(through index: LogIndex, to leader: ReplicaID) {
        let answer = Message(.appendResponse, from: replica, to: leader, term: term, index: index)
        if settings.plantedBugs.contains(.acknowledgeBeforeSync) { send(answer) } else { sendDurable(answer) }
    }

    mutating func takeHeartbeat(_ message: Message) throws(RaftError) {
        // The leader caps this at what was acknowledged in this very term.
        guard message.commit <= log.lastIndex else {
            throw .logLost(last: log.lastIndex, needed: message.commit)
        }
        log.commit(through: message.commit)
        sendInTerm(
            Message(.heartbeatResponse, from: replica, to: message.from, term: term, context: message.context)
        )
    }
}
