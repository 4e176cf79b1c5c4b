package import KVBase
package import KVNode
package import KVRaft

/// What a simulated run does.
package struct SimulationOptions: Sendable {
    /// Kinds of faults that a run may inject.
    package struct Faults: OptionSet, Sendable {
        /// The bits.
        package let rawValue: Int
        /// Faults from bits.
        package init(rawValue: Int) { self.rawValue = rawValue }
        /// Raft messages are lost.
        package static let loss = Faults(rawValue: 1)
        /// Raft messages arrive twice.
        package static let duplication = Faults(rawValue: 2)
        /// Raft messages overtake each other.
        package static let reordering = Faults(rawValue: 4)
        /// Links are cut, both ways or one way.
        package static let partition = Faults(rawValue: 8)
        /// Nodes crash and come back; what was not synced is lost, kept, or torn.
        package static let crash = Faults(rawValue: 16)
        /// Wall clocks jump and run at different speeds.
        package static let clock = Faults(rawValue: 32)
        /// Nodes stand still for a while.
        package static let pause = Faults(rawValue: 64)
        /// Entries are damaged on their way.
        package static let damage = Faults(rawValue: 128)
        /// A node's disk is slow for a while.
        package static let slowDisk = Faults(rawValue: 256)
        /// A node loses its data directory and comes back empty (at most once a run; it must be refused).
        package static let wipe = Faults(rawValue: 512)
        /// Members are added, removed and replaced, wiped ones too, and leadership is handed over.
        package static let membership = Faults(rawValue: 1024)
        /// A node's log stands still for seconds.
        package static let stuckDisk = Faults(rawValue: 2048)
        /// All but `wipe`, `membership` and `stuckDisk`.
        package static let standard: Faults = [
            .loss, .duplication, .reordering, .partition, .crash, .clock, .pause, .damage, .slowDisk,
        ]
    }

    /// How many nodes, 1 … 7.
    package var nodes = 3
    /// How many further hosts may join where `membership` is on.
    package var spareNodes = 2
    /// How many client operations, at least.
    package var operations = 500
    /// How many clients work at once.
    package var clients = 8
    /// How many keys they work on.
    package var keys = 12
    /// What goes wrong.
    package var faults: Faults = .standard
    /// Bugs switched on, to see that they are found.
    package var bugs: PlantedNodeBugs = []
    /// Only this node has `bugs`; nil for all.
    package var buggyNode: NodeID?
    /// A replica that differs from the others is to be found and rebuilt: no violation in itself, and what clients read from it
    /// meanwhile is not judged.
    package var expectsRebuild = false
    /// Bugs of the consensus core switched on.
    package var raftBugs: PlantedBugs = []
    /// After how many ticks without a leader a replica campaigns, at least; nil for the default.
    package var electionTicks: Int?

    /// Prints what the nodes log.
    package var logsEvents = false

    /// Three nodes, 500 operations, every standard fault.
    package init() {}
}

/// What happened in a run, or in many.
package struct SimulationTotals: Sendable {
    /// Runs summed up.
    package var runs = 0
    /// Operations that succeeded.
    package var ok = 0
    /// Operations refused without effect.
    package var refused = 0
    /// Operations whose outcome the client never learned.
    package var unknown = 0
    /// Transactions sent.
    package var transactions = 0
    /// Writes sent in a session.
    package var sessionWrites = 0
    /// How often such writes were sent again.
    package var sessionRetries = 0
    /// Terms in which a leader was seen.
    package var elections = 0
    /// Nodes that crashed.
    package var crashes = 0
    /// Nodes that stood still.
    package var pauses = 0
    /// Links cut.
    package var cuts = 0
    /// Clocks that jumped or changed speed.
    package var clockChanges = 0
    /// Disks made slow.
    package var slowDisks = 0
    /// Data directories wiped.
    package var wipes = 0
    /// Changes of members that were accepted.
    package var memberChanges = 0
    /// Of those, changes that were carried out.
    package var memberChangesDone = 0
    /// Leaderships that were handed over.
    package var transfers = 0
    /// Messages delivered.
    package var delivered = 0
    /// Messages lost.
    package var dropped = 0
    /// Messages doubled.
    package var duplicated = 0
    /// Messages made late.
    package var reordered = 0
    /// Messages with a flipped bit.
    package var damaged = 0
    /// Sectors torn in crashes.
    package var tornSectors = 0
    /// Sectors lost in crashes.
    package var lostSectors = 0
    /// Memtables flushed.
    package var flushes = 0
    /// Log segments dropped.
    package var logCuts = 0
    /// Snapshots installed.
    package var snapshots = 0
    /// Replicas whose state was void and that were rebuilt.
    package var rebuilds = 0
    /// Logs that stood still.
    package var stuckDisks = 0
    /// Leaderships given away since the own disk did not follow.
    package var stepsAway = 0
    /// Entries applied on all nodes.
    package var applied = 0

    /// Nothing yet.
    package init() {}

    /// Adds another run's numbers.
    package mutating func add(_ other: SimulationTotals) {
        runs += other.runs
        ok += other.ok
        refused += other.refused
        unknown += other.unknown
        transactions += other.transactions
        sessionWrites += other.sessionWrites
        sessionRetries += other.sessionRetries
        elections += other.elections
        crashes += other.crashes
        pauses += other.pauses
        cuts += other.cuts
        clockChanges += other.clockChanges
        slowDisks += other.slowDisks
        wipes += other.wipes
        memberChanges += other.memberChanges
        memberChangesDone += other.memberChangesDone
        transfers += other.transfers
        delivered += other.delivered
        dropped += other.dropped
        duplicated += other.duplicated
        reordered += other.reordered
        damaged += other.damaged
        tornSectors += other.tornSectors
        lostSectors += other.lostSectors
        flushes += other.flushes
        logCuts += other.logCuts
        snapshots += other.snapshots
        rebuilds += other.rebuilds
        stuckDisks += other.stuckDisks
        stepsAway += other.stepsAway
        applied += other.applied
    }

    /// The enabled kinds of faults that never happened: a batch of runs with any has proved nothing about it.
    package func missing(of faults: SimulationOptions.Faults) -> [String] {
        var names: [String] = []
        func need(_ fault: SimulationOptions.Faults, _ count: Int, _ name: String) {
            if faults.contains(fault), count == 0 { names.append(name) }
        }
        need(.loss, dropped, "loss")
        need(.duplication, duplicated, "duplication")
        need(.reordering, reordered, "reordering")
        need(.partition, cuts, "partition")
        need(.crash, crashes, "crash")
        need(.crash, tornSectors, "torn write")
        need(.crash, lostSectors, "un-synced data lost")
        need(.clock, clockChanges, "clock change")
        need(.pause, pauses, "pause")
        need(.damage, damaged, "damaged entry")
        need(.slowDisk, slowDisks, "slow disk")
        need(.wipe, wipes, "wipe")
        need(.stuckDisk, stuckDisks, "stuck disk")
        need(.stuckDisk, stepsAway, "leader that steps away from its disk")
        need(.membership, memberChangesDone, "member change")
        need(.membership, transfers, "transfer")
        if elections == 0 { names.append("election") }
        if flushes == 0 { names.append("flush") }
        if transactions == 0 { names.append("transaction") }
        if sessionWrites == 0 { names.append("write in a session") }
        if faults.contains(.crash), sessionRetries == 0 { names.append("retry in a session") }
        if ok == 0 { names.append("successful operation") }
        return names
    }

    /// One line for each number.
    package var table: String {
        [
            ("runs", runs), ("operations ok", ok), ("refused", refused), ("unknown", unknown),
            ("transactions", transactions),
            ("writes in sessions", sessionWrites), ("retries in sessions", sessionRetries), ("elections", elections),
            ("crashes", crashes), ("pauses", pauses), ("cuts", cuts), ("clock changes", clockChanges),
            ("slow disks", slowDisks),
            ("wipes", wipes), ("member changes", memberChanges), ("member changes done", memberChangesDone),
            ("transfers", transfers), ("messages delivered", delivered), ("dropped", dropped),
            ("duplicated", duplicated),
            ("reordered", reordered), ("damaged", damaged), ("sectors torn", tornSectors),
            ("sectors lost", lostSectors),
            ("entries applied", applied), ("flushes", flushes), ("log cuts", logCuts),
            ("snapshots installed", snapshots), ("replicas rebuilt", rebuilds),
            ("logs that stood still", stuckDisks), ("leaders that stepped away from their disk", stepsAway),
        ].map { "\($0.0): \($0.1)" }.joined(separator: "\n")
    }
}

/// What a run found wrong: the named invariant, and what was seen.
package struct SimulationViolation: Error, Sendable, CustomStringConvertible {
    /// The invariant's name.
    package let invariant: String
    /// What was seen.
    package let details: String

    /// A violation of an invariant.
    package init(_ invariant: String, _ details: String) {
        self.invariant = invariant
        self.details = details
    }

    /// One line.
    package var description: String { "\(invariant): \(details)" }
}
