import KVRaft

// What the log says of a group that is at rest. Term, vote and commit go into it with the next entries; where none come, the last
// ones would stand there for ever without a word that they are committed, and a copy of the directory could not tell.

extension GroupReplica {
    /// With how many ticks from the last one on that the node took something may happen here, 1 or more; 1 where something waits for a tick.
    package var ticksUntilDue: Int {
        guard stopReason == nil else { return .max }
        guard isAtRest else { return ticksAhead + 1 }
        let (ticks, isOver) = ticksAhead.addingReportingOverflow(core.ticksUntilDue)
        return isOver ? .max : ticks
    }

    private var isAtRest: Bool {
        !hasWritesInFlight && logWritesInFlight == 0 && reads.count == 0 && barriers.count == 0 && applyQueue.isEmpty
            && !isStorageFull && !isStorageBehind && !isInstalling && quarantine == nil && core.transferTarget == nil
            && !core.hasUntoldCommit && core.commit <= max(loggedCommit, host.log.commit(id))
    }

    /// Whether this leader's heartbeats go out with the last of the ticks that are taken now, or before.
    package func isHeartbeatDue(with ticks: Int) -> Bool {
        stopReason == nil && core.ticksUntilHeartbeat.map { ticksAhead + $0 <= ticks } ?? false
    }

    /// Another group's heartbeats go out with the last of these ticks: its own are to go with them.
    package func joinHeartbeat(with ticks: Int) {
        if stopReason == nil, ticks > ticksAhead { core.hastenHeartbeat(toTick: ticks - ticksAhead) }
    }

    /// Lets the ticks pass that a resting node has slept through: whatever arrives is to meet the clocks of the core as they stand.
    func catchUp() {
        let passed = host.pace.passed(at: host.clock.monotonicNanoseconds)
        while ticksAhead < passed {
            // It counts, and nothing else: unless the turn took so long that what began in it is due by now.
            ticksAhead += 1
            core.tick()
        }
    }

    /// So many ticks without a new commit, and the state at rest is compared with that of the other replicas.
    private static let healthRestTicks = 20

    /// From so many seconds on a commit that stands still is worth an alarm: longer than any request waits.
    private static let stalledSecondsMin = 10

    /// For how long this leader committed nothing although entries wait, in seconds, where that is long.
    package var commitStalledSeconds: Int? {
        let seconds = Int(UInt64(ticksStalled) * settings.tickNanoseconds / 1_000_000_000)
        return isLeader && seconds >= Self.stalledSecondsMin ? seconds : nil
    }

    /// Notices where the commit did not change for a tick, and for many.
    func noteRest(_ ticks: Int) {
        guard core.commit == commitAtLastTick else {
            commitAtLastTick = core.commit
            ticksAtRest = 0
            ticksStalled = 0
            return
        }
        ticksStalled = core.role == .leader && core.lastIndex > core.commit ? ticksStalled + ticks : 0
        logCommit()
        ticksAtRest += ticks
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
