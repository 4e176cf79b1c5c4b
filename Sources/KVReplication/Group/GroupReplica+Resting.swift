import KVRaft

// What the log says of a group that is at rest. Term, vote and commit go into it with the next entries; where none come, the last
// ones would stand there for ever without a word that they are committed, and a copy of the directory could not tell.

extension GroupReplica {
    /// So many ticks without a new commit, and the state at rest is compared with that of the other replicas.
    private static let healthRestTicks = 20

    /// Notices where the commit did not change for a tick, and for many.
    func noteRest() {
        guard core.commit == commitAtLastTick else {
            commitAtLastTick = core.commit
            ticksAtRest = 0
            return
        }
        logCommit()
        ticksAtRest += 1
        if ticksAtRest >= Self.healthRestTicks, core.applied == core.commit { noteHealthAtRest(core.applied) }
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
