package import KVBase

// How a snapshot travels. The data goes from host to host; the core knows its place in the log.
//
//     leader core           leader host                    follower host               follower core
//     snapshotsToSend ────▶ makes it, sends the data ─────▶ stores it beside the old
//                           snapshotDelivered
//     .snapshot message ───────────────────────────────────────────────────────────────▶ snapshotToInstall
//                                                          switches to it, durably ◀────
//                                                          snapshotInstalled ──────────▶
//     ◀──────────────────────────────────────────────────────────── .appendResponse at its index

extension RaftCore {
    // MARK: At the leader

    mutating func askForSnapshot(_ place: Int) {
        // One that was not heard from may be gone for good: a snapshot is too dear to try.
        guard tracker[place].isRecentlyActive, log.applied > 0 else { return }
        let peer = tracker[place].replica
        tracker[place].becomeSnapshot(atLeast: log.applied)
        output.snapshotsToSend.append(SnapshotRequest(replica: peer, atLeast: log.applied))
        trace(.snapshotNeeded(by: peer, atLeast: log.applied))
    }

    /// A follower whose log is whole asks for a snapshot of the state: its log goes on meanwhile, and its acknowledgements count.
    mutating func askForRebuild(_ place: Int) {
        guard log.applied > 0 else { return }
        let peer = tracker[place].replica
        tracker[place].isRebuilding = true
        output.snapshotsToSend.append(SnapshotRequest(replica: peer, atLeast: log.applied))
        trace(.snapshotNeeded(by: peer, atLeast: log.applied))
    }

    /// The data of a snapshot has arrived at a follower: tells its core.
    ///
    /// Repeated with heartbeats until the follower answers; one that rebuilds its state asks again itself.
    package mutating func snapshotDelivered(
        to peer: ReplicaID,
        index: LogIndex,
        term snapshotTerm: Term,
        configuration: Configuration
    ) {
        guard let place = tracker.place(of: peer), tracker[place].state == .snapshot || tracker[place].isRebuilding
        else { return }
        let message = Message(
            .snapshot,
            from: replica,
            to: peer,
            term: term,
            logTerm: snapshotTerm,
            index: index,
            configuration: configuration.encoded
        )
        if tracker[place].state == .snapshot {
            tracker[place].pendingSnapshot = index
            tracker[place].next = max(index, tracker[place].match) + 1
            tracker[place].snapshotMessage = message
        }
        send(message)
    }

    /// A snapshot did not reach a follower or was refused there: it is probed again, from the next heartbeat on.
    package mutating func reportSnapshotFailed(_ peer: ReplicaID) {
        guard let place = tracker.place(of: peer), tracker[place].state == .snapshot else { return }
        tracker[place].pendingSnapshot = 0
        tracker[place].becomeProbe()
        tracker[place].isFlowPaused = true
    }

    // MARK: At the follower

    /// What this replica applied is damaged or differs from the others': from now on it leads nobody, and a snapshot of the leader takes
    /// the place of what it applied although its log goes as far.
    ///
    /// Its log, vote and acknowledgements stay what they are.
    package mutating func beginRebuild() {
        isRebuilding = true
    }

    /// Asks the leader for a snapshot; to be repeated until one comes.
    package mutating func askForRebuild() {
        guard isRebuilding, installing == nil, role == .follower, let leader else { return }
        sendInTerm(
            Message(
                .appendResponse,
                from: replica,
                to: leader,
                term: term,
                isRejected: true,
                rejectHint: log.lastIndex,
                context: Self.rebuildMark
            )
        )
    }

    /// What marks a refusal as a wish for a snapshot.
    static let rebuildMark: UInt64 = 1

    /// Whether a snapshot is taken although the log may hold its last entry: it must not be older than what was applied.
    private func takesForRebuild(_ message: Message) -> Bool {
        isRebuilding && message.index >= log.applied && message.index > 0
    }

    mutating func takeSnapshot(_ message: Message) throws(RaftError) {
        let configuration: Configuration
        do {
            configuration = try Configuration(decoding: message.configuration)
        } catch {
            throw .malformed("the configuration of a snapshot from \(message.from): \(error)")
        }
        guard !takesForRebuild(message) else {
            begin(message, configuration)
            return
        }
        guard message.index > log.commit else {
            acknowledge(through: log.commit, to: message.from)
            return
        }
        if log.term(at: message.index) == message.logTerm {
            // The log holds the entry, so it holds all before it: nothing is to be installed.
            log.commit(through: message.index)
            acknowledge(through: message.index, to: message.from)
            return
        }
        begin(message, configuration)
    }

    private mutating func begin(_ message: Message, _ configuration: Configuration) {
        // A snapshot that does not know this replica is from before it joined or after it left.
        guard installing == nil, configuration.contains(replica) else { return }
        let offer = SnapshotOffer(
            from: message.from,
            index: message.index,
            term: message.logTerm,
            configuration: configuration
        )
        installing = offer
        output.snapshotToInstall = offer
    }

    /// The snapshot that was to be installed is in place, durably, and the log before it is of no use any more.
    ///
    /// The host discards its own log too, unless `lastIndex` is above `index` afterwards: then the log held the snapshot's last entry, and
    /// what follows it stays.
    package mutating func snapshotInstalled() {
        guard let offer = installing else { preconditionFailure("no snapshot was to be installed") }
        installing = nil
        guard offer.index >= log.applied else { return }
        isRebuilding = false
        log.install(index: offer.index, term: offer.term)
        applyPages.removeAll()
        applyingBytes = 0
        readToApply = []
        isReadingToApply = false
        switchTo(offer.configuration)
        if let leader { acknowledge(through: offer.index, to: leader) }
    }

    /// The snapshot that was to be installed is not, or its data never came: tells the leader, which may make another.
    package mutating func snapshotRefused() {
        guard let offer = installing else { return }
        installing = nil
        guard let leader else { return }
        sendInTerm(
            Message(
                .appendResponse,
                from: replica,
                to: leader,
                term: term,
                index: offer.index,
                isRejected: true,
                rejectHint: log.lastIndex
            )
        )
    }
}
