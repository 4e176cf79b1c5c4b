import KVBase
package import KVNode
import KVSimulation

/// A cluster whose leader is answered by all, but whose entries arrive nowhere.
package enum StallRun {
    /// What the nodes said.
    package struct Outcome: Sendable {
        /// The alarms of all nodes before, ten seconds after the first entry was lost, and after entries arrived again.
        package var alarms: [[NodeAlarm]] = []
    }

    /// Runs it.
    /// - Throws: `SimulationViolation` where the cluster does not come up.
    package static func run(seed: UInt64) throws -> Outcome {
        let world = SimulatedWorld(seed: seed)
        var options = SimulationOptions()
        options.faults = []
        let cluster = SimulatedCluster(world, options: options) { _, _, _ in }
        for host in cluster.hosts { cluster.start(host) }
        let recorder = SimulatedClient.Recorder()
        let shared = SimulatedClient.Shared(world: world, cluster: cluster, recorder: recorder, keys: options.keys)
        pass(5, world)
        guard cluster.hosts.allSatisfy({ $0.node?.isReady == true }) else {
            throw SimulationViolation("liveness", "a node does not come up: \(cluster.hosts.map { $0.node?.summary })")
        }
        var outcome = Outcome()
        let client = SimulatedClient(0, of: 1, shared)
        client.next()
        pass(1, world)
        outcome.alarms.append(alarms(cluster))
        cluster.network.losesEntries = true
        pass(15, world)
        outcome.alarms.append(alarms(cluster))
        cluster.network.losesEntries = false
        pass(5, world)
        outcome.alarms.append(alarms(cluster))
        return outcome
    }

    private static func pass(_ seconds: UInt64, _ world: SimulatedWorld) {
        let end = world.now + seconds * 1_000_000_000
        while world.now < end, world.step() {}
    }

    private static func alarms(_ cluster: SimulatedCluster) -> [NodeAlarm] {
        cluster.live.compactMap(\.node).flatMap { $0.standingAlarms.map(\.alarm) }
    }
}
