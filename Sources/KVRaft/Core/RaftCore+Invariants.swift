extension RaftCore {
    /// Traps where the parts contradict each other.
    ///
    /// For tests and simulations, after each input. - Complexity: O(replicas + term runs).
    package func checkInvariants() {
        log.checkInvariants()
        precondition(durableTerm <= term, "durable term \(durableTerm) past \(term)")
        precondition(vote == nil || term > 0, "a vote in term 0")
        switch role {
        case .leader:
            precondition(leader == replica, "a leader that follows \(String(describing: leader))")
            precondition(vote == replica && durableTerm == term, "a leader whose vote in term \(term) is not durable")
            checkProgress()
        case .candidate:
            precondition(leader == nil && vote == replica, "a candidate that voted for \(String(describing: vote))")
        case .preCandidate:
            precondition(leader == nil, "a pre-candidate that follows \(String(describing: leader))")
        case .follower:
            precondition(leader != replica, "a follower of itself")
            precondition(leaderReads.count == 0, "\(leaderReads.count) reads wait at a follower")
        }
        precondition(installing == nil || role != .leader, "a leader installs a snapshot")
        precondition(leader != nil || forwardedReads.count == 0, "reads wait for a leader nobody knows")
        precondition(!lostLeader || (role == .follower && leader == nil), "a lost leader \(String(describing: leader))")
        precondition(role == .leader || tracker.replicas.allSatisfy(\.isIdle), "progress at a \(role)")
        precondition(
            applyingBytes == applyPages.reduce(0) { $0 + $1.bytes } && applyPages.allSatisfy { $0.bytes > 0 },
            "\(applyingBytes) bytes are being applied, the pages are \(applyPages)"
        )
        precondition(
            applyPages.first.map { $0.last > log.applied } ?? true
                && applyPages.last.map(\.last) ?? log.applied == log.applying,
            "applied \(log.applied) and given \(log.applying), the pages are \(applyPages)"
        )
        precondition(uncommittedBytes >= 0, "\(uncommittedBytes) uncommitted bytes")
        precondition(
            leaderReads.count <= settings.pendingReadsMax && forwardedReads.count <= settings.pendingReadsMax,
            "more reads than \(settings.pendingReadsMax) wait"
        )
    }

    private func checkProgress() {
        for progress in tracker.replicas {
            let name = "replica \(progress.replica)"
            precondition(progress.match < progress.next, "\(name): match \(progress.match), next \(progress.next)")
            precondition(progress.match <= log.lastIndex, "\(name): match \(progress.match) past \(log.lastIndex)")
            if progress.replica == replica {
                precondition(
                    progress.match <= log.durable || settings.plantedBugs.contains(.acknowledgeBeforeSync),
                    "the leader counts itself for \(progress.match), durable \(log.durable)"
                )
            } else if progress.state == .replicate {
                precondition(progress.next <= log.lastIndex + 1, "\(name): next \(progress.next) past \(log.lastIndex)")
            }
            precondition(
                progress.state == .replicate || progress.inflight.count == 0,
                "\(name): a window outside replication"
            )
            precondition(
                !progress.awaitsEntries
                    || (progress.state != .snapshot && !progress.isFlowPaused && !progress.inflight.isFull),
                "\(name): awaits entries that could not be sent"
            )
            precondition(progress.confirmedRead <= leaderReads.started, "\(name) confirmed a read round that never was")
            precondition(
                progress.isLearner == tracker.configuration.isLearner(progress.replica),
                "\(name): learner or not"
            )
        }
        precondition(
            tracker.replicas.map(\.replica) == tracker.configuration.replicas,
            "progress of others than the group"
        )
    }
}

extension Progress {
    /// Whether nothing goes on: as it is where its holder does not lead.
    fileprivate var isIdle: Bool { state == .probe && !awaitsEntries && !isRebuilding }
}

extension RaftLog {
    func checkInvariants() {
        precondition(cutIndex <= applied, "cut \(cutIndex), applied \(applied)")
        precondition(applied <= applying, "applied \(applied), given \(applying)")
        precondition(applying <= commit, "given to apply \(applying), committed \(commit)")
        precondition(commit <= lastIndex, "committed \(commit), last \(lastIndex)")
        precondition(durable <= given, "durable \(durable), given to write \(given)")
        precondition(given <= lastIndex, "given to write \(given), last \(lastIndex)")
        precondition(
            applying <= durable || plantedBugs.contains(.appliedAheadOfOwnLog),
            "given to apply \(applying), durable \(durable)"
        )
        precondition(firstInMemory <= given + 1, "first in memory \(firstInMemory), given \(given)")
        precondition(firstInMemory > cutIndex, "first in memory \(firstInMemory), cut \(cutIndex)")
        precondition(entries.first?.index ?? firstInMemory == firstInMemory, "entries start elsewhere")
        precondition(entries.last?.term ?? lastTerm == lastTerm, "the last term is \(lastTerm)")
        precondition(configurations.first ?? .max > applied, "an applied configuration entry waits")
        precondition(terms.runs[0].first == cutIndex, "terms start at \(terms.runs[0].first), cut \(cutIndex)")
        precondition(terms.runs[terms.runs.count - 1].first <= lastIndex, "a term run past the end")
    }
}
