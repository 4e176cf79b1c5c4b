package import KVBase

extension RaftCore {
    /// Whether `takeEffects` has anything to hand over.
    package var hasEffects: Bool {
        log.given < log.lastIndex || hardStateChanged || !output.messagesNow.isEmpty
            || !output.messagesAfterPersist.isEmpty
            || (mayApply && log.applying < log.applicable && !isReadingToApply) || !output.readsReady.isEmpty
            || !output.readsFailed.isEmpty || currentRole != reportedRole || !output.snapshotsToSend.isEmpty
            || output.snapshotToInstall != nil || !output.entriesNeeded.isEmpty
            || (wantsToLeaveJoint && !askedToLeaveJoint) || owesCommit
            || !output.events.isEmpty
    }

    /// Hands over what is to be done, in `effects`, whose arrays are emptied and reused; returns whether there is anything.
    ///
    /// To ask `hasEffects` before would cost a driver that keeps its core in a class a copy of it.
    @discardableResult
    package mutating func takeEffects(into effects: inout Effects) -> Bool {
        effects.removeAll()
        guard hasEffects else { return false }
        tellCommit()
        takePage()
        swap(&effects, &output)
        takeWrites(&effects)
        if currentRole != reportedRole {
            reportedRole = currentRole
            effects.roleChange = currentRole
        }
        effects.leaveJointWanted = wantsToLeaveJoint && !askedToLeaveJoint
        if effects.leaveJointWanted { askedToLeaveJoint = true }
        return true
    }

    private mutating func takeWrites(_ effects: inout Effects) {
        let changed = hardStateChanged
        let state = hardState
        if log.takeUnwritten(hardState: state, hardStateChanged: changed, into: &effects.entries) != nil {
            // A commit index alone is not worth a write: it goes with the next one, and applied entries imply it.
            if state != givenHardState { effects.hardState = state }
            givenHardState = state
        }
        effects.ticket = log.writes.lastTicket
        if log.writes.isEmpty {
            effects.messagesNow += effects.messagesAfterPersist
            effects.messagesAfterPersist.removeAll(keepingCapacity: true)
        }
    }

    private var hardStateChanged: Bool { term != givenHardState.term || vote != givenHardState.vote }

    private var currentRole: RoleChange { RoleChange(role: role, term: term, leader: leader) }

    private var owesCommit: Bool { maySendCommit && hasUntoldCommit }

    /// Whether a follower that could hear of a commit has not been told: the next tick's turn does.
    package var hasUntoldCommit: Bool {
        role == .leader
            && tracker.replicas.contains {
                $0.replica != replica && !$0.isPaused && $0.sentCommit < min(log.commit, $0.next - 1)
            }
    }

    // MARK: Reports

    /// Everything in the batches through `ticket` is durable: entries, term and vote.
    ///
    /// Tickets may be skipped, not invented.
    package mutating func persisted(ticket: UInt64) {
        precondition(ticket <= log.writes.lastTicket, "ticket \(ticket), given \(log.writes.lastTicket)")
        while let write = log.takeDurable(through: ticket) {
            durableTerm = write.term
            durableVote = write.vote
        }
        countOwnVote()
        ownEntriesDurable()
    }

    /// Entries through `index` are applied; nothing happens where a later index, or a snapshot beyond it, was reported before.
    /// - Precondition: they were given to apply.
    package mutating func applied(through index: LogIndex) {
        guard index > log.applied else { return }
        log.applied(through: index)
        while let page = applyPages.first, page.last <= index {
            applyingBytes -= page.bytes
            applyPages.removeFirst()
        }
    }

    /// Entries through `index` will be gone from the disk: who needs them needs a snapshot from now on.
    ///
    /// Bounded by what is applied.
    package mutating func cutLog(through index: LogIndex) {
        log.cut(through: index)
    }

    /// Entries through `index` may leave memory; they stay on disk and are asked for where they are needed.
    ///
    /// Bounded by what is applied.
    package mutating func evict(through index: LogIndex) {
        log.evict(through: index)
    }

    // MARK: Applying

    private var mayApply: Bool { installing == nil && applyingBytes < settings.applyingBytesMax }

    /// The next entries to apply, as many as fit a page.
    private mutating func takePage() {
        guard mayApply, log.applying < log.applicable else { return }
        let first = log.applying + 1
        if first < log.firstInMemory, readToApply.isEmpty {
            guard !isReadingToApply else { return }
            isReadingToApply = true
            output.entriesNeeded.append(
                EntryRequest(
                    purpose: .apply,
                    first: first,
                    last: min(log.applicable, log.firstInMemory - 1),
                    bytesMax: settings.applyPageBytesMax
                )
            )
            return
        }
        var bytes = 0
        if first < log.firstInMemory {
            output.entriesToApply = readToApply
            readToApply = []
            for entry in output.entriesToApply { bytes += entry.size }
        } else {
            (output.entriesToApply, bytes) = log.slice(
                from: first,
                through: log.applicable,
                bytesMax: settings.applyPageBytesMax
            )
        }
        guard let last = output.entriesToApply.last?.index else { return }
        log.gaveToApply(through: last)
        applyPages.append(ApplyPage(last: last, bytes: bytes))
        applyingBytes += bytes
    }
}
