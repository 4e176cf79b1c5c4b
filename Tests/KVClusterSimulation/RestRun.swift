import KVBase
import KVSimulation

/// A cluster that nobody asks anything: its nodes sleep, and nobody may lose the leader over it.
package enum RestRun {
    /// What came of it.
    package struct Outcome: Sendable {
        /// How many elections were begun while it rested, on all nodes together.
        package var elections: UInt64 = 0
        /// How often a node woke for ticks meanwhile, all nodes together.
        package var ticks: UInt64 = 0
        /// The same while single ticks passed, which is what rest saves.
        package var ticksWithoutRest: UInt64 = 0
    }

    /// Runs a cluster with so short an election time-out for ten seconds, once it leads.
    /// - Throws: `SimulationViolation` where the cluster does not come up.
    package static func run(seed: UInt64, electionTicks: Int) throws -> Outcome {
        let world = SimulatedWorld(seed: seed)
        var options = SimulationOptions()
        options.faults = []
        options.electionTicks = electionTicks
        let cluster = SimulatedCluster(world, options: options) { _, _, _ in }
        for host in cluster.hosts { cluster.start(host) }
        pass(5_000_000_000, world)
        guard cluster.hosts.allSatisfy({ $0.node?.isReady == true }) else {
            throw SimulationViolation("liveness", "a node does not come up: \(cluster.hosts.map { $0.node?.summary })")
        }
        let before = elections(cluster)
        let ticksBefore = ticks(cluster)
        let seconds: UInt64 = 10
        pass(seconds * 1_000_000_000, world)
        return Outcome(
            elections: elections(cluster) - before,
            ticks: ticks(cluster) - ticksBefore,
            ticksWithoutRest: seconds * 100 * UInt64(cluster.hosts.count)
        )
    }

    private static func pass(_ nanoseconds: UInt64, _ world: SimulatedWorld) {
        let end = world.now + nanoseconds
        while world.now < end, world.step() {}
    }

    private static func elections(_ cluster: SimulatedCluster) -> UInt64 {
        cluster.live.compactMap(\.node).flatMap { $0.measurements.groups.map(\.elections) }.reduce(0, +)
    }

    private static func ticks(_ cluster: SimulatedCluster) -> UInt64 {
        cluster.live.compactMap { $0.node?.tickWakes }.reduce(0, +)
    }
}
