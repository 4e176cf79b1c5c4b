package import KVRaft

/// The bounds and times of a group's replica.
package struct GroupSettings: Sendable {
    /// How often `tick` is called, in nanoseconds.
    package var tickNanoseconds: UInt64 = 10_000_000
    /// How many ticks lie between heartbeats.
    package var heartbeatTicks = 5
    /// The least ticks without a leader before a replica campaigns; drawn from [this, twice this).
    package var electionTicks = 25
    /// How many bytes of requests one entry takes, beyond its first.
    package var entryBytesMax = 1024 * 1024
    /// How many bytes an append message carries, beyond its first entry.
    package var appendBytesMax = 1024 * 1024
    /// How many append messages may be on their way to one follower.
    package var appendsInFlightMax = 64
    /// How many bytes may be on their way to one follower.
    package var appendBytesInFlightMax = 16 * 1024 * 1024
    /// How many bytes may be proposed and not yet committed, waiting ones included; past it writes hear "overloaded".
    package var uncommittedBytesMax = 64 * 1024 * 1024
    /// How many writes of the own log may be under way before the next proposal waits and grows instead.
    package var logWritesInFlightMax = 1
    /// How many reads may wait for their round.
    package var readsWaitingMax = 200_000
    /// How many scans and counts may wait for their index.
    package var barriersMax = 1_000
    /// How long a write waits for its commit before its caller hears "outcome unknown", in nanoseconds; a read "timeout".
    package var requestTimeoutNanoseconds: UInt64 = 5_000_000_000
    /// How many bytes of committed entries are applied in one turn.
    package var applyBytesMax = 4 * 1024 * 1024
    /// How many bytes of log are kept behind the cut for followers that lag.
    package var retainedLogBytes: UInt64 = 512 * 1024 * 1024
    /// How many entries behind the cut are enough for them; 0: as many as the bytes hold.
    package var retainedLogEntries: UInt64 = 0
    /// How long they are kept for them, in nanoseconds; 0: as long as the bytes allow.
    package var retainedLogNanoseconds: UInt64 = 0
    /// How many bytes of log a snapshot under way may keep from being dropped: past it the transfer is given up.
    package var snapshotLogBytesMax: UInt64 = 2 * 1024 * 1024 * 1024
    /// How many bytes of applied entries stay in memory for followers that lag a little.
    package var logBytesInMemoryMax = 32 * 1024 * 1024
    package var snapshotChunkBytes = 256 * 1024
    /// The most time that a follower waits, in ticks' nanoseconds, before it campaigns when its leader's connection was closed.
    package var quickElectionNanosecondsMax: UInt64 = 20_000_000
    /// How long no write of the own log ends, while a majority has what it holds, before a leader hands leadership over.
    package var slowDiskNanoseconds: UInt64 = 1_000_000_000
    /// How long it then waits before it does so again.
    package var slowDiskRestNanoseconds: UInt64 = 10_000_000_000

    /// Bugs of the consensus core that a test switched on.
    package var raftBugs: PlantedBugs = []

    /// The defaults.
    package init() {}
}
