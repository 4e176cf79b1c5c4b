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
        /// Whether it is one of those that form the cluster, rather than one that joins it.
        var isFounder = true
        /// Whether it is to run.
        var isWanted = true
        /// Set where the node refused to start or to go on.
        var refusal: String?
        /// When a member last answered its wish to join.
        var lastAnswer: UInt64 = 0
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
    private(set) var settings: [NodeID: NodeSettings]

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
        let founders = (1...options.nodes).map { NodeID(UInt64($0)) }
        let spares = options.faults.contains(.membership) ? options.spareNodes : 0
        let ids = (1...(options.nodes + spares)).map { NodeID(UInt64($0)) }
        hosts = ids.map {
            Host(id: $0, disk: SimulatedFileSystem(seed: randomness.next()), clock: SimulatedClock(world))
        }
        for host in hosts where !founders.contains(host.id) {
            host.isFounder = false
            host.isWanted = false
        }
        let members = founders.map { NodeSettings.Member(id: $0, peerAddress: Self.address($0)) }
        settings = Dictionary(
            uniqueKeysWithValues: ids.map { id in
                let own = [NodeSettings.Member(id: id, peerAddress: Self.address(id))]
                return (id, Self.settings(for: id, members: founders.contains(id) ? members : own, options: options))
            }
        )
    }

    static func address(_ id: NodeID) -> String { "node\(id):7400" }

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
        if let ticks = options.electionTicks { settings.group.electionTicks = ticks }
        settings.group.raftBugs = options.raftBugs
        settings.tablet.memtableBytes = 8 * 1024
        settings.blockCacheBytes = 256 * 1024
        if options.buggyNode.map({ $0 == id }) ?? true { settings.plantedBugs = options.bugs }
        return settings
    }

    /// From its next start on a host runs a program that supports this feature level.
    func setFeatureLevel(_ level: UInt32, of host: Host) { settings[host.id]?.featureLevel = level }

    func host(_ id: NodeID) -> Host { hosts[Int(id.rawValue) - 1] }

    var live: [Host] { hosts.filter { $0.node != nil } }

    /// Starts a node on what its disk holds; one that is to join asks members until it is placed.
    func start(_ host: Host) {
        guard host.isWanted, host.node == nil, host.domain == nil, let settings = settings[host.id] else { return }
        let environment = makeEnvironment(for: host)
        guard !host.isFounder else { return open(host, settings, environment) }
        do {
            switch try Node.joinProgress(settings, host.disk) {
            case .done: open(host, settings, environment)
            case .begun(let identity): ask(host, settings, environment, identity, life: host.life)
            case .fresh: ask(host, settings, environment, nil, life: host.life)
            }
        } catch {
            refuse(host, error)
        }
    }

    private func refuse(_ host: Host, _ error: any Error) {
        host.refusal = "\(error)"
        host.domain?.kill()
        host.domain = nil
    }

    /// Asks a member after a while, again and again.
    private func ask(
        _ host: Host,
        _ settings: NodeSettings,
        _ environment: NodeEnvironment,
        _ identity: NodeIdentity?,
        life: Int
    ) {
        world.after(20_000_000 + UInt64(randomness.below(100_000_000))) { [self] in
            guard host.life == life, host.domain != nil, host.node == nil else { return }
            let others = live.filter { $0 !== host }
            guard !others.isEmpty else { return ask(host, settings, environment, identity, life: life) }
            let other = others[randomness.below(others.count)]
            guard let member = other.node else { return }
            other.home?.execute { [self] in
                member.join(Node.joinHello(settings, identity)) { [self] answer in
                    world.after(200_000) { [self] in
                        guard host.life == life, host.domain != nil, host.node == nil else { return }
                        take(answer, host, settings, environment, identity, life: life)
                    }
                }
            }
            // No answer came where the member died meanwhile, or is cut off.
            world.after(400_000_000) { [self] in
                guard host.life == life, host.node == nil, host.domain != nil, host.lastAnswer < world.now - 300_000_000
                else { return }
                ask(host, settings, environment, identity, life: life)
            }
        }
    }

    private func take(
        _ answer: JoinAnswer,
        _ host: Host,
        _ settings: NodeSettings,
        _ environment: NodeEnvironment,
        _ identity: NodeIdentity?,
        life: Int
    ) {
        host.lastAnswer = world.now
        do {
            let identity = try identity ?? Node.beginJoin(settings, cluster: answer.cluster, environment)
            switch answer.state {
            case .unknown: ask(host, settings, environment, identity, life: life)
            case .refused: refuse(host, NodeError(answer.text))
            case .placed:
                var joining = settings
                joining.join = answer
                open(host, joining, environment)
            }
        } catch {
            refuse(host, error)
        }
    }

    private func makeEnvironment(for host: Host) -> NodeEnvironment {
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
        return environment
    }

    private func open(_ host: Host, _ settings: NodeSettings, _ environment: NodeEnvironment) {
        do {
            let node = try Node.open(
                settings,
                environment: environment,
                log: logger(of: host)
            )
            let apply = onApply
            node.onApply = { group, entry in apply(host.id, group, entry) }
            host.node = node
            host.refusal = nil
            let life = host.life
            guard let home = host.home else { return }
            home.execute { [self] in
                node.start(SimulatedTransport(network, host.id))
                world.after(0) { [self] in
                    guard host.life == life, host.node != nil else { return }
                    network.attach(host.id, life: life, receiver: node, home: home)
                }
            }
        } catch {
            refuse(host, error)
        }
    }

    private func logger(of host: Host) -> Logger {
        Logger(label: "sim") { _ -> any LogHandler in
            if options.logsEvents { SimulationLog(host.id, world) } else { SwiftLogNoOpLogHandler() }
        }
    }

    /// A node's power goes: nothing that it queued happens any more, and the disk keeps what it must and perhaps more.
    func crash(_ host: Host, _ survival: CrashSurvival) {
        guard host.domain != nil else { return }
        if options.logsEvents { print("\(world.now / 1_000_000) ms node \(host.id): CRASH \(survival)") }
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
