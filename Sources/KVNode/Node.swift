package import KVBase
import KVEnvironment
import KVLog
package import KVRaft
package import KVReplication
package import KVService
import KVSharding
import KVStorage
import Logging

/// A whole node put together: identity, log, groups, router.
///
/// It knows no socket: edges call it as a `KeyValueService`, the transport calls it as a `PeerReceiver`, and the
/// simulator runs it as it is.
///
/// All state is touched on the home scheduler. The service calls may come from any thread and hop there.
///
/// SENDABLE: see above; what other threads read is constant or guards itself.
package final class Node: KeyValueService, @unchecked Sendable {
    let settings: NodeSettings
    let environment: NodeEnvironment
    let log: Logger
    let host: GroupHost
    let identity: NodeIdentity
    let identityStore: IdentityStore
    let snapshots: SnapshotCoordinator
    let directoryLock: any FileLock

    /// What the cluster's controller says of shards; what the configuration says until it is heard.
    var shardMap: ShardMap
    var controller: ControllerStateMachine
    var groups: [GroupID: GroupReplica] = [:]
    /// The state machines of the groups that own shards.
    var shardMachines: [GroupID: ShardGroupMachine] = [:]
    /// The groups in the order of their ids.
    var sortedGroups: [GroupReplica] = []
    /// Who is connected, with what it said of itself.
    var connected: [NodeID: PeerHello] = [:]
    var waiting: WaitingRequests
    var proxies: OutgoingProxies
    var repliesReady: [IncomingProxy] = []
    let scanPositions: ScanPositions
    /// Whether every member met this node's incarnation, so that it may vote and acknowledge.
    var isFormed: Bool
    var isForming = false
    /// Whether the cluster removed this node.
    var isRemoved = false
    /// Whether it is being found out which replicas have left their groups.
    var isCheckingDepartures = false
    var transport: (any PeerTransport)?
    /// Whether leadership is given away and not taken, since the node is about to stop.
    var isHandingOver = false
    /// Stops the process gracefully, where an administrator asks for it; nil where nobody can.
    package var onStopRequested: (@Sendable () -> Void)?
    /// Whether no more requests are taken.
    var isStopping = false
    /// Whether a compaction that an operator asked for is under way.
    var isCompactingOnRequest = false
    /// Whether what was taken is answered, or given up, and the groups end.
    private var isClosing = false
    /// Snapshots that are held for backups.
    var backups = OpenBackups()
    /// What an operator should look at, by a name that clears it.
    var alarms: [String: String] = [:]
    /// What the host watches for.
    var hostAlarms: [NodeAlarm: String] = [:]
    /// The newest slow request that was logged.
    var slowLogged: UInt64 = 0
    let shared: SharedResources
    private let reporter: FlushReporter
    private var ticker: (any ScheduledJob)?
    private var tickCount: UInt64 = 0
    /// How many ticks were taken at the last wake, and how many turns ended since.
    private var ticksTaken = 1
    private var turnsSinceTick = 0
    /// How often the node woke for ticks, of which several may pass at once; for tests.
    package private(set) var tickWakes: UInt64 = 0

    /// The users, for the edges of this node.
    package let access: AccessControl
    /// The administrator whom this node is to make, and whether that is a recovery.
    var firstAdministrator: (name: String, hash: String, isRecovery: Bool)?
    /// The sizes that edges enforce.
    package let requestLimits: RequestLimits
    /// Sees every entry that is applied here; for tests.
    package var onApply: ((GroupID, AppliedEntry) -> Void)?

    init(
        settings: NodeSettings,
        environment: NodeEnvironment,
        log: Logger,
        parts: NodeParts
    ) {
        self.settings = settings
        self.environment = environment
        self.log = log
        host = parts.host
        shared = parts.shared
        host.timings = GroupTimings(
            slowNanoseconds: settings.slowRequestNanoseconds,
            isTiming: settings.timesRequests
        )
        identity = parts.identityStore.identity
        identityStore = parts.identityStore
        // Who joins is known to group 0 by its incarnation before it has a replica.
        isFormed = parts.identityStore.identity.isFormed || parts.identityStore.identity.isJoined
        directoryLock = parts.lock
        controller = parts.controller
        shardMap = parts.controller.state.shardMap ?? parts.initialShardMap
        snapshots = SnapshotCoordinator(
            host: parts.host,
            background: environment.background,
            fileSystem: environment.fileSystem
        )
        scanPositions = ScanPositions(
            node: settings.node,
            capacity: settings.scanPositionsMax,
            random: environment.randomness.next()
        )
        proxies = OutgoingProxies(firstID: environment.randomness.next())
        waiting = WaitingRequests(countMax: settings.leaderWaitersMax)
        requestLimits = settings.limits
        access = AccessControl(isDemanded: settings.demandsAuthentication)
        reporter = parts.reporter
        if let place = parts.recovered.tornTail {
            log.warning("the log's last write was torn and is cut", metadata: ["at": "\(place)"])
        }
    }

    /// Makes the groups of what was opened.
    func adopt(_ opened: [OpenedGroup]) {
        for group in opened {
            let replica = GroupReplica(
                group.id,
                replica: group.core.replica,
                host: host,
                settings: settings.group,
                machine: group.machine,
                core: group.core,
                membership: group.membership,
                store: group.store,
                openTablet: group.openTablet,
                observer: self
            )
            groups[group.id] = replica
            sortedGroups.append(replica)
            snapshots.host(replica)
            if let machine = group.machine as? ShardGroupMachine { shardMachines[group.id] = machine }
        }
    }

    var home: any Scheduler { environment.home }
    var clock: any Clock { environment.clock }
    var outbox: Outbox { host.outbox }
    var turnEnd: TurnEnd { host.turnEnd }

    /// Takes part from now on.
    ///
    /// Home scheduler, once.
    package func start(_ transport: any PeerTransport) {
        outbox.attach(transport)
        self.transport = transport
        turnEnd.onEnd { [weak self] in self?.endTurn() }
        controller.onChange = { [weak self] in self?.controllerChanged() }
        controller.onAccessChange = { [weak self] in self?.accessChanged() }
        accessChanged()
        reporter.notify = { [weak self] id in self?.groups[id]?.noteFlushes() }
        host.log.setEvents(
            NodeLogEvents(
                failed: { [weak self] error in self?.logFailed(error) },
                spaceChanged: { [weak self] reason in self?.logSpaceChanged(reason) },
                dropped: { [weak self] in self?.logDropped() }
            )
        )
        for group in sortedGroups { group.resumeQuarantine() }
        syncPeers()
        snapshots.onAbandoned = { [weak self] group, node, reason in
            self?.alarms["snapshot-\(group)-\(node)"] = reason.map {
                "the snapshot of group \(group) for node \(node) was given up: \($0). Raise it, or peer.bulk_bytes_per_second, or lower the load"
            }
            if let reason {
                self?.log.error(
                    "a snapshot was given up",
                    metadata: ["group": "\(group)", "node": "\(node)", "reason": "\(reason)"]
                )
            }
        }
        formIfComplete()
        scheduleTick()
        turnEnd.ask()
    }

    private func scheduleTick() {
        let now = clock.monotonicNanoseconds
        // Where more happened than ticks and heartbeats bring, more is about to: to plan anew each time would cost what is saved.
        let isQuiet = turnsSinceTick <= 2 + 2 * ticksTaken
        turnsSinceTick = 0
        host.pace.plan(isQuiet ? ticksUntilDue : 1, of: settings.group.tickNanoseconds, from: now)
        scheduleTick(from: now)
    }

    private func scheduleTick(from now: UInt64) {
        let due = host.pace.due
        ticker = home.schedule(afterNanoseconds: due > now ? due - now : 0) { [weak self] in
            guard let self, !self.isClosing else { return }
            self.tick(self.host.pace.take())
            self.scheduleTick()
        }
    }

    /// Takes the next tick sooner than it was planned, where something has begun that waits for one.
    private func tickSoonerIfDue() {
        guard host.pace.planned > 1, !isClosing else { return }
        let now = clock.monotonicNanoseconds
        guard host.pace.draw(to: ticksUntilDue, at: now) else { return }
        ticker?.cancel()
        scheduleTick(from: now)
    }

    /// With how many ticks after the last something may happen.
    private var ticksUntilDue: Int {
        guard isFormed, waiting.count == 0, proxies.count == 0, snapshots.transferCount == 0 else { return 1 }
        return sortedGroups.reduce(Int.max) { min($0, $1.ticksUntilDue) }
    }

    private func tick(_ count: Int) {
        let now = clock.monotonicNanoseconds
        ticksTaken = count
        if isFormed {
            if sortedGroups.contains(where: { $0.isHeartbeatDue(with: count) }) {
                for group in sortedGroups { group.joinHeartbeat(with: count) }
            }
            for group in sortedGroups { group.tick(count) }
        }
        if waiting.count > 0 { waiting.expire(at: now, noLeaderError) }
        for id in proxies.expired(at: now) { failProxied(id, because: "the leader did not answer in time") }
        snapshots.tick(now: now)
        tickWakes += 1
        let before = tickCount
        tickCount += UInt64(count)
        func isTime(every ticks: UInt64) -> Bool { before / ticks != tickCount / ticks }
        if isTime(every: 20) {
            maintain()
            let isGoingOn = !isTime(every: 100)
            for group in sortedGroups { group.sweep(on: environment.background, isGoingOn: isGoingOn) }
        }
        initializeController()
        makeFirstAdministrator()
        // At rest there seldom is anything to pursue; what there is keeps the groups from resting.
        if isTime(every: count > 1 ? 20 : 5) { pursueMembership() }
        retryWaiting()
        turnEnd.ask()
    }

    /// What is seen to now and then: logs that grow past their bound, jobs that failed and are due again.
    private func maintain() {
        logSlowRequests()
        expireBackups()
        host.log.dropExpired()
        for pinned in host.log.oldestPinned { groups[pinned.group]?.flush(through: pinned.throughIndex) }
        for group in sortedGroups {
            group.noteFlushes()
            for hosted in group.tablets {
                hosted.tablet.flushIfDue()
                hosted.tablet.maintain()
            }
        }
    }

    private func logFailed(_ error: LogError) {
        let reason = "its log cannot be written (\(error)); check the disk and restart the node"
        for group in sortedGroups { group.stop(reason) }
    }

    private func logSpaceChanged(_ reason: FileError?) {
        if let reason {
            log.error("no room for the log: writes are refused until there is", metadata: ["reason": "\(reason)"])
        } else {
            log.notice("there is room for the log again: writes are taken")
        }
    }

    private func logDropped() {
        for group in sortedGroups { group.logDropped() }
    }

    /// What every turn ends with: groups propose and act, answers and messages leave.
    private func endTurn() {
        turnsSinceTick += 1
        if isFormed {
            for group in sortedGroups { group.endTurn() }
        }
        let ready = repliesReady
        repliesReady.removeAll(keepingCapacity: true)
        for proxy in ready { proxy.sendReplies() }
        for (node, requests) in proxies.takeFilled() { outbox.add(.requests(requests), to: node) }
        // The disk begins before the messages are written: it needs no processor, and they take a while to write.
        host.submitWork()
        outbox.flush { [self] _, requests in takeBack(requests) }
        tickSoonerIfDue()
    }

    /// How long the writes that were taken have to be committed before the node stops without knowing.
    private static let drainNanosecondsMax: UInt64 = 1_000_000_000
    private static let drainCheckNanoseconds: UInt64 = 2_000_000

    /// Stops taking requests, lets the writes that were taken finish, and closes log and tablets.
    ///
    /// `completion` is called on the home scheduler when all is closed. Call `handOver` before, so that clients notice nothing.
    package func stop(completion: @escaping @Sendable () -> Void) {
        home.execute { [self] in
            guard !isStopping else { return completion() }
            isStopping = true
            for request in waiting.takeAll() { request.origin.fail(stoppingError) }
            drain(until: clock.monotonicNanoseconds + Self.drainNanosecondsMax, completion)
        }
    }

    private func drain(until deadline: UInt64, _ completion: @escaping @Sendable () -> Void) {
        let isDrained = sortedGroups.allSatisfy { $0.stopReason != nil || !$0.hasWritesInFlight }
        guard isDrained || clock.monotonicNanoseconds >= deadline else {
            _ = home.schedule(afterNanoseconds: Self.drainCheckNanoseconds) { [self] in
                drain(until: deadline, completion)
            }
            return
        }
        close(completion)
    }

    private func close(_ completion: @escaping @Sendable () -> Void) {
        isClosing = true
        ticker?.cancel()
        for group in sortedGroups { group.logCommit() }
        host.submitWork()
        for group in sortedGroups { group.stop("the node is stopping") }
        host.log.close { [self] error in
            if let error { log.error("the log was not closed cleanly", metadata: ["error": "\(error)"]) }
            closeFiles(of: sortedGroups[...]) { [self] in
                environment.background.submit { [self] in
                    directoryLock.release()
                    home.execute(completion)
                }
            }
        }
    }

    /// Closes the groups' tablets and manifests, one group after the other.
    private func closeFiles(of groups: ArraySlice<GroupReplica>, _ completion: @escaping @Sendable () -> Void) {
        guard let group = groups.first else { return completion() }
        group.closeFiles { [self] in closeFiles(of: groups.dropFirst(), completion) }
    }

    /// Why this node serves nobody any more; nil where it does.
    var retirement: ServiceError? {
        if isStopping { return stoppingError }
        guard isRemoved else { return nil }
        return ServiceError(.unavailable, "node \(settings.node) was removed from the cluster; ask another")
    }

    var stoppingError: ServiceError {
        ServiceError(.unavailable, "node \(settings.node) is stopping; ask another")
    }
}

// MARK: What groups tell

extension Node: GroupObserver {
    package func groupChanged(_ group: GroupReplica) {
        log.info(
            "role",
            metadata: [
                "group": "\(group.id)", "role": "\(group.role)", "term": "\(group.term)",
                "leader": "\(group.leaderNode.map { "\($0)" } ?? "none")",
            ]
        )
        retryWaiting()
    }

    package func reroute(_ bytes: UnsafeRawBufferPointer, item: RequestBatch.Item, origin: Origin) {
        if let retirement { origin.fail(retirement) } else { wait(bytes, item: item, origin: origin) }
    }

    package func groupStopped(_ group: GroupReplica, reason: String) {
        // The node said so itself.
        guard !isStopping, !isRemoved else { return }
        alarms["group-\(group.id)-stopped"] = "group \(group.id) stopped on this node: \(reason)"
        log.critical("group stopped", metadata: ["group": "\(group.id)", "reason": "\(reason)"])
    }

    package func groupQuarantined(_ group: GroupReplica, reason: String) {
        guard !isStopping, !isRemoved else { return }
        log.error("replica quarantined", metadata: ["group": "\(group.id)", "reason": "\(reason)"])
    }

    package func groupRebuilt(_ group: GroupReplica) {
        log.notice("replica rebuilt", metadata: ["group": "\(group.id)", "index": "\(group.appliedIndex)"])
    }

    package func groupStepsAway(_ group: GroupReplica, to node: NodeID) {
        log.warning(
            "leadership is handed over: the log's disk does not follow",
            metadata: ["group": "\(group.id)", "to": "\(node)"]
        )
    }

    package func snapshotNeeded(_ group: GroupReplica, _ request: SnapshotRequest) {
        log.info("sending a snapshot", metadata: ["group": "\(group.id)", "replica": "\(request.replica)"])
        snapshots.send(group, request)
    }

    package func installSnapshot(_ group: GroupReplica, _ offer: SnapshotOffer) {
        log.info("installing a snapshot", metadata: ["group": "\(group.id)", "index": "\(offer.index)"])
        snapshots.install(group, offer)
    }

    package func retainFrom(_ group: GroupReplica) -> LogIndex? {
        snapshots.retainFrom(group.id)
    }

    package func entryApplied(_ group: GroupReplica, _ entry: AppliedEntry) {
        onApply?(group.id, entry)
    }
}

// MARK: The controller

extension Node {
    /// The leader of group 0 writes down what the cluster starts with.
    private func initializeController() {
        guard controller.state.cluster == nil, let group = groups[.controller], group.isLeader,
            !group.hasControlInFlight
        else {
            return
        }
        let replicas = Dictionary(uniqueKeysWithValues: settings.members.map { (ReplicaID($0.id.rawValue), $0.id) })
        let plan = ControllerCommand.Plan(
            cluster: identity.cluster,
            featureLevel: settings.featureLevel,
            nodes: Dictionary(uniqueKeysWithValues: settings.members.map { ($0.id, ["peer": $0.peerAddress]) }),
            groups: [.controller: replicas, GroupID(1): replicas],
            shardMap: shardMap
        )
        group.proposeControl(ControllerCommand.initialize(plan).encoded)
    }

    private func controllerChanged() {
        // Not in the middle of an apply: it may close connections.
        home.execute { [weak self] in self?.syncPeers() }
        guard let map = controller.state.shardMap, map != shardMap else { return }
        shardMap = map
    }
}
