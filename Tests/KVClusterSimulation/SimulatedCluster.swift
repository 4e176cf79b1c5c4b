import KVBase
import KVEnvironment
import KVNode
import KVReplication
import KVService
import KVSimulation
import Logging

/// The nodes of a simulated cluster: the very code of `kvnode` but for sockets, each on a disk, schedulers and a clock of its own.
///
// SENDABLE: the simulator runs in one thread.
final class SimulatedCluster: @unchecked Sendable {
    /// One host: what survives a crash, and what does not.
    ///
    // SENDABLE: the simulator runs in one thread.
    final class Host: @unchecked Sendable {
        let id: NodeID
        let disk: SimulatedFileSystem
        let clock: SimulatedClock
        var life = 0
        var domain: SimulatedDomain?
        var node: Node?
        var home: SimulatedScheduler?
        var logLane: SimulatedScheduler?
        /// Set where the node refused to start or to go on.
        var refusal: String?
        /// How long a disk job takes, at most, in nanoseconds.
        var diskNanosecondsMax = 400_000
        /// How long a write of the log takes, at most, in nanoseconds; the log may have a disk of its own.
        var logNanosecondsMax = 400_000

        init(id: NodeID, disk: SimulatedFileSystem, clock: SimulatedClock) {
            self.id = id
            self.disk = disk
            self.clock = clock
        }
    }

    let world: SimulatedWorld
    let network: SimulatedNetwork
    let hosts: [Host]
    let options: SimulationOptions
    /// Sees every entry that a node applies.
    let onApply: (NodeID, GroupID, AppliedEntry) -> Void
    private let randomness: SeededRandomness
    private let settings: [NodeID: NodeSettings]

    init(
        _ world: SimulatedWorld,
        options: SimulationOptions,
        onApply: @escaping (NodeID, GroupID, AppliedEntry) -> Void
    ) {
        self.world = world
        self.options = options
        self.onApply = onApply
        network = SimulatedNetwork(world)
        let randomness = world.randomness.split()
        self.randomness = randomness
        let ids = (1...options.nodes).map { NodeID(UInt64($0)) }
        hosts = ids.map {
            Host(id: $0, disk: SimulatedFileSystem(seed: randomness.next()), clock: SimulatedClock(world))
        }
        let members = ids.map { NodeSettings.Member(id: $0, peerAddress: "node\($0):7400") }
        settings = Dictionary(
            uniqueKeysWithValues: ids.map { ($0, Self.settings(for: $0, members: members, options: options)) }
        )
    }

    /// Tiny limits, so that a short run flushes, compacts and cuts the log.
    private static func settings(
        for id: NodeID,
        members: [NodeSettings.Member],
        options: SimulationOptions
    ) -> NodeSettings {
        var settings = NodeSettings(node: id, members: members, dataDirectory: "data")
        settings.shardCount = 4
        settings.logSegmentBytes = 32 * 1024
        settings.group.retainedLogBytes = 48 * 1024
        settings.group.entryBytesMax = 2_048
        settings.group.appendBytesMax = 4_096
        settings.group.raftBugs = options.raftBugs
        settings.tablet.memtableBytes = 8 * 1024
        settings.blockCacheBytes = 256 * 1024
        settings.plantedBugs = options.bugs
        return settings
    }

    func host(_ id: NodeID) -> Host { hosts[Int(id.rawValue) - 1] }

    var live: [Host] { hosts.filter { $0.node != nil } }

    /// Starts a node on what its disk holds.
    func start(_ host: Host) {
        guard host.node == nil, let settings = settings[host.id] else { return }
        host.life += 1
        let domain = SimulatedDomain("n\(host.id).\(host.life)")
        let random = randomness.split()
        let home = world.makeScheduler("home", in: domain)
        let logLane = world.makeScheduler("log", in: domain)
        let readers = world.makeWorkerPool("readers", in: domain)
        let background = world.makeWorkerPool("background", in: domain)
        home.jobCost = { UInt64(random.below(20_000)) }
        logLane.jobCost = { UInt64(50_000 + random.below(host.logNanosecondsMax)) }
        readers.jobCost = { UInt64(20_000 + random.below(host.diskNanosecondsMax)) }
        background.jobCost = { UInt64(50_000 + random.below(host.diskNanosecondsMax)) }
        let environment = NodeEnvironment(
            fileSystem: host.disk,
            home: home,
            logLane: logLane,
            readers: readers,
            background: background,
            clock: host.clock,
            randomness: random
        )
        host.domain = domain
        host.home = home
        host.logLane = logLane
        do {
            let node = try Node.open(
                settings,
                environment: environment,
                log: Logger(label: "sim", factory: { _ in SwiftLogNoOpLogHandler() })
            )
            let apply = onApply
            node.onApply = { group, entry in apply(host.id, group, entry) }
            host.node = node
            host.refusal = nil
            let life = host.life
            home.execute { [self] in
                node.start(SimulatedTransport(network, host.id))
                world.after(0) { [self] in
                    guard host.life == life, host.node != nil else { return }
                    network.attach(host.id, life: life, receiver: node, home: home)
                }
            }
        } catch {
            host.refusal = "\(error)"
            domain.kill()
            host.domain = nil
        }
    }

    /// A node's power goes: nothing that it queued happens any more, and the disk keeps what it must and perhaps more.
    func crash(_ host: Host, _ survival: CrashSurvival) {
        guard host.node != nil else { return }
        host.domain?.kill()
        host.domain = nil
        host.node = nil
        network.detach(host.id)
        host.disk.crash(survival)
    }

    /// A host loses its disk.
    func wipe(_ host: Host) {
        crash(host, .loseAll)
        try? host.disk.removeTree("data")  // what cannot be removed is found by the node when it starts
        try? host.disk.synchronizeDirectory("/")
    }
}
