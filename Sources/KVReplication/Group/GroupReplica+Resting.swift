import KVRaft

// What the log says of a group that is at rest. Term, vote and commit go into it with the next entries; where none come, the last
// ones would stand there for ever without a word that they are committed, and a copy of the directory could not tell.

extension GroupReplica {
    /// How many ticks may pass at once: as many as come before the core does something, one where something waits for a tick.
    package var ticksUntilDue: Int {
        guard stopReason == nil else { return .max }
        return isAtRest ? core.ticksUntilDue : 1
    }

    private var isAtRest: Bool {
        !hasWritesInFlight && logWritesInFlight == 0 && reads.count == 0 && barriers.count == 0 && applyQueue.isEmpty
            && !isStorageFull && !isStorageBehind && !isInstalling && quarantine == nil && !core.hasUntoldCommit
            && core.commit <= max(loggedCommit, host.log.commit(id))
    }

    /// Has the log told through where the group is committed, once that did not change for a tick.
    func logCommitAtRest() {
        defer { commitAtLastTick = core.commit }
        guard core.commit == commitAtLastTick else { return }
        logCommit()
    }

    /// Has the log told through where the group is committed, where it does not say so yet.
    ///
    /// Home scheduler only.
    package func logCommit() {
        guard stopReason == nil, logWritesInFlight == 0, !core.hasEffects, core.commit > host.log.commit(id),
            core.commit > loggedCommit
        else { return }
        loggedCommit = core.commit
        host.queue(NodeLogWork(group: id, hardState: core.hardState) {})
    }
}
