import KVRaft

// What the log says of a group that is at rest. Term, vote and commit go into it with the next entries; where none come, the last
// ones would stand there for ever without a word that they are committed, and a copy of the directory could not tell.

extension GroupReplica {
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
