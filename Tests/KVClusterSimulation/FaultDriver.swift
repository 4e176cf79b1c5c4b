import KVBase
import KVSimulation

/// Makes things go wrong at random moments, and right again after a while.
///
// SENDABLE: the simulator runs in one thread.
final class FaultDriver: @unchecked Sendable {
    private let world: SimulatedWorld
    private let cluster: SimulatedCluster
    private let options: SimulationOptions
    private let randomness: SeededRandomness
    private var isStopped = false
    private(set) var totals = SimulationTotals()
    private var wiped: Set<NodeID> = []
    private lazy var members = MemberDriver(world, cluster)

    init(_ world: SimulatedWorld, _ cluster: SimulatedCluster, _ options: SimulationOptions) {
        self.world = world
        self.cluster = cluster
        self.options = options
        randomness = world.randomness.split()
    }

    func begin() {
        let network = cluster.network
        if options.faults.contains(.loss) { network.lossProbability = Double(randomness.below(8)) / 100 }
        if options.faults.contains(.duplication) { network.duplicateProbability = 0.03 }
        if options.faults.contains(.reordering) { network.reorderProbability = 0.03 }
        if options.faults.contains(.damage) { network.damageProbability = 0.01 }
        later()
        if options.faults.contains(.membership) { members.begin() }
    }

    /// No new faults; everything is repaired.
    func end() {
        isStopped = true
        members.end()
        let network = cluster.network
        network.lossProbability = 0
        network.duplicateProbability = 0
        network.reorderProbability = 0
        network.damageProbability = 0
        network.heal()
        for host in cluster.hosts {
            host.domain?.resume()
            host.clock.rate = 1
            host.diskNanosecondsMax = 400_000
            host.logNanosecondsMax = 400_000
            cluster.start(host)
        }
    }

    private func later() {
        world.after(50_000_000 + UInt64(randomness.below(500_000_000))) { [self] in
            guard !isStopped else { return }
            strike()
            later()
        }
    }

    private func strike() {
        let kinds: [SimulationOptions.Faults] = [
            .partition, .crash, .clock, .pause, .slowDisk, .wipe, .stuckDisk,
        ].filter {
            options.faults.contains($0)
        }
        guard !kinds.isEmpty else { return }
        let host = cluster.hosts[randomness.below(cluster.hosts.count)]
        switch kinds[randomness.below(kinds.count)] {
        case .partition: partition(host)
        case .crash: crash(host)
        case .clock: changeClock(host)
        case .pause: pause(host)
        case .slowDisk: slowDisk(host)
        case .stuckDisk: stickDisk(host)
        default: wipe(host)
        }
    }

    private func partition(_ host: SimulatedCluster.Host) {
        let others = cluster.hosts.filter { $0 !== host }
        guard !others.isEmpty else { return }
        switch randomness.below(3) {
        case 0:
            for other in others {
                cluster.network.cut(host.id, other.id)
                cluster.network.cut(other.id, host.id)
            }
        case 1:
            let other = others[randomness.below(others.count)]
            cluster.network.cut(host.id, other.id)
            cluster.network.cut(other.id, host.id)
        default:
            for other in others { cluster.network.cut(host.id, other.id) }
        }
        world.after(300_000_000 + UInt64(randomness.below(2_000_000_000))) { [self] in cluster.network.heal() }
    }

    private func crash(_ host: SimulatedCluster.Host) {
        guard host.node != nil else { return }
        totals.crashes += 1
        cluster.crash(host, [.loseAll, .keepAll, .random, .random][randomness.below(4)])
        restart(host)
        // At times everything goes at once.
        guard randomness.below(6) == 0 else { return }
        for other in cluster.live {
            totals.crashes += 1
            cluster.crash(other, .random)
            restart(other)
        }
    }

    private func restart(_ host: SimulatedCluster.Host) {
        world.after(20_000_000 + UInt64(randomness.below(1_500_000_000))) { [self] in
            if !isStopped { cluster.start(host) }
        }
    }

    private func changeClock(_ host: SimulatedCluster.Host) {
        totals.clockChanges += 1
        switch randomness.below(3) {
        case 0: host.clock.wallOffsetMilliseconds += UInt64(randomness.below(60_000))
        case 1: host.clock.wallOffsetMilliseconds -= UInt64(randomness.below(60_000))
        default: host.clock.rate = [0.9, 0.97, 1.03, 1.1][randomness.below(4)]
        }
    }

    private func pause(_ host: SimulatedCluster.Host) {
        guard let domain = host.domain else { return }
        totals.pauses += 1
        domain.pause()
        world.after(50_000_000 + UInt64(randomness.below(1_000_000_000))) { domain.resume() }
    }

    private func slowDisk(_ host: SimulatedCluster.Host) {
        totals.slowDisks += 1
        let (disk, log) = [(20_000_000, 20_000_000), (400_000, 60_000_000), (20_000_000, 400_000)][randomness.below(3)]
        host.diskNanosecondsMax = disk
        host.logNanosecondsMax = log
        let duration = 200_000_000 + UInt64(randomness.below(800_000_000))
        world.after(duration) {
            host.diskNanosecondsMax = 400_000
            host.logNanosecondsMax = 400_000
        }
        // A disk that is slow is often one that fails.
        guard options.faults.contains(.crash), randomness.chance(0.5) else { return }
        world.after(UInt64(randomness.below(Int(duration)))) { [self] in if !isStopped { crash(host) } }
    }

    /// Each write of the log takes seconds.
    private func stickDisk(_ host: SimulatedCluster.Host) {
        totals.stuckDisks += 1
        host.logNanosecondsMax = 6_000_000_000
        world.after(3_000_000_000) { host.logNanosecondsMax = 400_000 }
    }

    /// One host loses its data and comes back empty, then another goes down: the cluster may be unavailable, never wrong.
    private func wipe(_ host: SimulatedCluster.Host) {
        guard wiped.isEmpty, host.node != nil, cluster.hosts.count > 2 else { return }
        totals.wipes += 1
        wiped.insert(host.id)
        cluster.wipe(host)
        cluster.start(host)
        let others = cluster.live.filter { $0 !== host }
        guard !others.isEmpty else { return }
        crash(others[randomness.below(others.count)])
    }

    /// How the members stood last, for a failed run.
    var memberSummary: String { options.faults.contains(.membership) ? members.lastSeen : "" }

    /// Whether every change of members that was accepted is carried out.
    var isSteady: Bool { !options.faults.contains(.membership) || members.isSteady }

    /// Hosts that are not expected to catch up: whose data was wiped, so that they must be refused, and who are no members.
    var absentHosts: Set<NodeID> {
        guard options.faults.contains(.membership) else { return wiped }
        return wiped.union(Set(cluster.hosts.map(\.id)).subtracting(members.members))
    }

    /// What happened, with the changes of members.
    var allTotals: SimulationTotals {
        var all = totals
        all.memberChanges = members.changes
        all.memberChangesDone = members.changesDone
        all.transfers = members.transfers
        return all
    }
}
