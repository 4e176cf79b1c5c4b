import KVBase
import KVLinearizability
import KVReplication
import KVService
import KVSimulation

/// One run of a whole cluster in one thread, repeatable from its seed.
///
/// 1. Nodes start on empty simulated disks, meet, and elect.
/// 2. Clients work at random nodes while faults strike; at each step what must always hold is checked.
/// 3. Faults stop, everything is repaired, and the cluster must come to rest: every node leads or follows, everything committed is
///    applied everywhere, and new writes succeed.
/// 4. Replicas at equal applied index must hold equal data, and the clients' history must be linearizable.
package enum Simulation {
    /// Runs one seed.
    /// - Throws: `SimulationViolation` with the invariant that did not hold.
    package static func run(seed: UInt64, _ options: SimulationOptions = SimulationOptions()) throws -> SimulationTotals
    {
        let run = SimulationRun(seed: seed, options)
        return try run.run()
    }
}

// SENDABLE: the simulator runs in one thread.
final class SimulationRun: @unchecked Sendable {
    private let options: SimulationOptions
    private let world: SimulatedWorld
    private var invariants = Invariants()
    private let recorder = SimulatedClient.Recorder()
    private var clients: [SimulatedClient] = []

    init(seed: UInt64, _ options: SimulationOptions) {
        self.options = options
        world = SimulatedWorld(seed: seed)
    }

    func run() throws -> SimulationTotals {
        let cluster = SimulatedCluster(world, options: options) { [unowned self] node, group, entry in
            invariants.applied(node, group, entry)
        }
        let faults = FaultDriver(world, cluster, options)
        for host in cluster.hosts { cluster.start(host) }
        try advance(cluster, seconds: 5, "a new cluster elects leaders") { cluster in
            cluster.hosts.allSatisfy { !$0.isWanted || $0.node?.isReady == true }
        }
        let shared = SimulatedClient.Shared(world: world, cluster: cluster, recorder: recorder, keys: options.keys)
        clients = (0..<options.clients).map { SimulatedClient($0, of: options.clients, shared) }
        for client in clients { client.next() }
        faults.begin()
        try advance(cluster, seconds: 600, "clients get answers") { [self] _ in
            clients.reduce(0) { $0 + $1.finished } >= options.operations
        }
        faults.end()
        for client in clients { client.isStopped = true }
        do {
            try advance(cluster, seconds: 60, "changes of members are carried out after faults stopped") { _ in
                faults.isSteady
            }
        } catch let violation as SimulationViolation {
            throw SimulationViolation(violation.invariant, violation.details + "\n" + faults.memberSummary)
        }
        do {
            try settle(cluster, except: faults.absentHosts)
        } catch let violation as SimulationViolation {
            throw SimulationViolation(violation.invariant, violation.details + "\n" + faults.memberSummary)
        }
        if options.expectsRebuild {
            // What differs since the last entries is seen once nothing more comes.
            let end = world.now + 3_000_000_000
            try advance(cluster, seconds: 4, "time passes") { [world] _ in world.now >= end }
            try settle(cluster, except: faults.absentHosts)
        }
        try compareReplicas(cluster, except: faults.absentHosts)
        if !options.expectsRebuild { try checkHistory() }
        return totals(cluster, faults)
    }

    /// Lets time pass until `condition` holds, checking invariants at each step.
    private func advance(
        _ cluster: SimulatedCluster,
        seconds: UInt64,
        _ what: String,
        until condition: (SimulatedCluster) -> Bool
    ) throws {
        let end = world.now + seconds * 1_000_000_000
        var steps = 0
        while world.now < end {
            guard world.step() else { break }
            steps += 1
            if let violation = invariants.violation { throw violation }
            if steps % 16 == 0 {
                noteLeaders(cluster)
                if condition(cluster) { return }
            }
        }
        guard condition(cluster) else {
            let states = cluster.hosts.map { host in
                "node \(host.id): \(host.refusal ?? host.node?.summary ?? "down")"
            }
            throw SimulationViolation("liveness", "not within \(seconds) s: \(what)\n" + states.joined(separator: "\n"))
        }
    }

    private func noteLeaders(_ cluster: SimulatedCluster) {
        for host in cluster.live {
            if !options.expectsRebuild, let found = host.node?.quarantines.first {
                invariants.report(
                    "replicas equal while they run",
                    "node \(host.id), group \(found.group): \(found.reason)"
                )
            }
            for reign in host.node?.reigns ?? [] { invariants.leads(host.id, reign.group, reign.term) }
        }
    }

    private func settle(_ cluster: SimulatedCluster, except wiped: Set<NodeID>) throws {
        try advance(cluster, seconds: 60, "the cluster comes to rest after faults stopped") { [self] cluster in
            let hosts = cluster.hosts.filter { !wiped.contains($0.id) }
            return clients.allSatisfy(\.isIdle) && hosts.allSatisfy { $0.node?.isReady == true } && areLevel(hosts)
        }
    }

    /// Whether all have applied the same and as much as any has committed.
    private func areLevel(_ hosts: [SimulatedCluster.Host]) -> Bool {
        guard let first = hosts.first?.node?.appliedIndexes else { return false }
        return hosts.allSatisfy { $0.node?.appliedIndexes == first && $0.node?.commitIndexes == first }
    }

    private func compareReplicas(_ cluster: SimulatedCluster, except wiped: Set<NodeID>) throws {
        final class Box: @unchecked Sendable {  // SENDABLE: one thread.
            var digests: [NodeID: [ShardDigest]] = [:]
            var failure: String?
        }
        let box = Box()
        let hosts = cluster.hosts.filter { !wiped.contains($0.id) }
        for host in hosts {
            host.node?.digest { result in
                switch result {
                case .success(let digests): box.digests[host.id] = digests
                case .failure(let error): box.failure = "node \(host.id): \(error)"
                }
            }
        }
        try advance(cluster, seconds: 20, "digests of all replicas") { _ in
            box.failure != nil || box.digests.count == hosts.count
        }
        if let failure = box.failure { throw SimulationViolation("replicas can be read", failure) }
        guard let first = hosts.first, let expected = box.digests[first.id] else { return }
        for host in hosts {
            guard let found = box.digests[host.id] else { continue }
            for (one, two) in zip(expected, found)
            where one.appliedIndex == two.appliedIndex && (one.hash != two.hash || one.keys != two.keys) {
                throw SimulationViolation(
                    "replicas equal at equal applied index",
                    "node \(first.id): \(one)\nnode \(host.id): \(two)"
                )
            }
        }
    }

    private func checkHistory() throws {
        let checker = LinearizabilityChecker(KeyValueModel())
        switch checker.check(recorder.operations) {
        case .linearizable: break
        case .violation(let report): throw SimulationViolation("linearizability", report.description)
        case .undecided(let key):
            throw SimulationViolation("linearizability undecided", "key \(key) has too many orders")
        }
    }

    private func totals(_ cluster: SimulatedCluster, _ faults: FaultDriver) -> SimulationTotals {
        var totals = faults.allTotals
        totals.runs = 1
        for client in clients {
            totals.ok += client.ok
            totals.refused += client.refused
            totals.unknown += client.unknown
            totals.transactions += client.transactions
            totals.sessionWrites += client.sessionWrites
            totals.sessionRetries += client.sessionRetries
        }
        totals.elections = invariants.elections
        totals.applied = invariants.appliedCount
        let network = cluster.network.totals
        totals.cuts = network.cut
        totals.delivered = network.delivered
        totals.dropped = network.dropped
        totals.duplicated = network.duplicated
        totals.reordered = network.reordered
        totals.damaged = network.damaged
        for host in cluster.hosts {
            totals.tornSectors += host.disk.statistics.sectorsTorn
            totals.lostSectors += host.disk.statistics.sectorsDropped
            if let storage = host.node?.storageCounters {
                totals.flushes += Int(storage.flushes)
                totals.logCuts += Int(storage.logCuts)
                totals.snapshots += Int(storage.snapshotsInstalled)
                totals.stepsAway += host.node?.stepsAway ?? 0
                totals.rebuilds += host.node?.rebuilds ?? 0
            }
        }
        return totals
    }
}
