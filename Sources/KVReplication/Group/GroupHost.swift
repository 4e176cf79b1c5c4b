package import KVBase
package import KVEnvironment
package import KVRaft
package import KVService

/// What all groups of a node share.
///
/// SENDABLE: the references never change; what they refer to says itself where it may be touched.
package final class GroupHost: @unchecked Sendable {
    /// Files.
    package let fileSystem: any FileSystem
    /// Where all state of groups is touched.
    package let home: any Scheduler
    /// Runs jobs that read blocks.
    package let readers: any WorkerPool
    /// Time.
    package let clock: any Clock
    /// Chance: election time-outs.
    package let randomness: any Randomness
    /// The log of all groups.
    package let log: NodeLog
    /// What goes to other nodes at the end of the turn.
    package let outbox: Outbox
    /// Asks for the end of the turn.
    package let turnEnd: TurnEnd

    /// Where the time of requests goes.
    package var timings = GroupTimings(slowNanoseconds: 0)

    /// When ticks pass.
    package var pace = TickPace()

    private var work: [NodeLogWork] = []

    /// Queues a write of the log for the end of the turn: one hand-over for all groups.
    func queue(_ work: NodeLogWork) {
        self.work.append(work)
    }

    /// Hands the turn's writes to the log.
    package func submitWork() {
        guard !work.isEmpty else { return }
        log.append(work)
        work.removeAll(keepingCapacity: true)
    }

    /// A host with these parts.
    package init(
        fileSystem: any FileSystem,
        home: any Scheduler,
        readers: any WorkerPool,
        clock: any Clock,
        randomness: any Randomness,
        log: NodeLog,
        outbox: Outbox,
        turnEnd: TurnEnd
    ) {
        self.fileSystem = fileSystem
        self.home = home
        self.readers = readers
        self.clock = clock
        self.randomness = randomness
        self.log = log
        self.outbox = outbox
        self.turnEnd = turnEnd
    }
}

/// What a group tells the node that hosts it.
///
/// Home scheduler.
package protocol GroupObserver: AnyObject {
    /// The role, term or leader changed.
    func groupChanged(_ group: GroupReplica)
    /// A request that the group took and did nothing with, because it leads no more: route it anew.
    func reroute(_ bytes: UnsafeRawBufferPointer, item: RequestBatch.Item, origin: Origin)
    /// The group cannot go on: its data or log is damaged. It neither votes, acknowledges nor applies from here on.
    func groupStopped(_ group: GroupReplica, reason: String)
    /// The replica's state is void: it applies nothing, leads nobody and waits for a snapshot.
    func groupQuarantined(_ group: GroupReplica, reason: String)
    /// A snapshot took the place of the void state.
    func groupRebuilt(_ group: GroupReplica)
    /// The leader hands leadership over because its own disk does not follow.
    func groupStepsAway(_ group: GroupReplica, to node: NodeID)
    /// The first index that a snapshot on its way will be followed by; nil where none is under way.
    func retainFrom(_ group: GroupReplica) -> LogIndex?
    /// An entry was applied.
    func entryApplied(_ group: GroupReplica, _ entry: AppliedEntry)
    /// A follower needs the group's snapshot.
    func snapshotNeeded(_ group: GroupReplica, _ request: SnapshotRequest)
    /// A leader asks this replica to install the snapshot whose data it received before.
    func installSnapshot(_ group: GroupReplica, _ offer: SnapshotOffer)
}

/// What tells an applied entry from another, for observers.
package struct AppliedEntry: Sendable, Equatable {
    /// Its place.
    package let index: LogIndex
    /// Its term.
    package let term: Term
    /// Its time.
    package let time: UInt64
    /// Its checksum.
    package let checksum: UInt32

    /// What tells `entry` from another.
    init(_ entry: Entry) {
        index = entry.index
        term = entry.term
        time = entry.time
        checksum = entry.checksum
    }
}
