import KVBase
import KVSimulation

/// A cluster whose nodes get a newer program one after the other, and then one of them an older one again.
package enum UpgradeRun {
    /// What came of it.
    package struct Outcome: Sendable {
        /// The cluster's feature level before any node was newer, when all but one were, and when all were.
        package var levels: [UInt32] = []
        /// What the node said that came back with the older program.
        package var refusal: String?
    }

    /// Runs it.
    /// - Throws: `SimulationViolation` where the cluster does not come up again.
    package static func run(seed: UInt64) throws -> Outcome {
        let world = SimulatedWorld(seed: seed)
        var options = SimulationOptions()
        options.faults = []
        let cluster = SimulatedCluster(world, options: options) { _, _, _ in }
        for host in cluster.hosts { cluster.start(host) }
        var outcome = Outcome()
        try settle(world, cluster)
        outcome.levels.append(level(cluster))
        for (place, host) in cluster.hosts.enumerated() {
            restart(host, at: 2, cluster)
            try settle(world, cluster)
            if place >= cluster.hosts.count - 2 { outcome.levels.append(level(cluster)) }
        }
        if let host = cluster.hosts.last {
            restart(host, at: 1, cluster)
            outcome.refusal = host.refusal
        }
        return outcome
    }

    private static func restart(_ host: SimulatedCluster.Host, at level: UInt32, _ cluster: SimulatedCluster) {
        cluster.crash(host, .keepAll)
        cluster.setFeatureLevel(level, of: host)
        cluster.start(host)
    }

    private static func level(_ cluster: SimulatedCluster) -> UInt32 {
        cluster.live.compactMap { $0.node?.clusterFeatureLevel }.max() ?? 0
    }

    private static func settle(_ world: SimulatedWorld, _ cluster: SimulatedCluster) throws {
        // Long enough for an election and for the leader to hear of what the others support.
        let end = world.now + 5_000_000_000
        while world.now < end, world.step() {}
        guard cluster.hosts.allSatisfy({ $0.node?.isReady == true }) else {
            let states = cluster.hosts.map { $0.refusal ?? $0.node?.summary ?? "down" }
            throw SimulationViolation("liveness", "a node does not come back: \(states)")
        }
    }
}
