import KVBase
import KVEnvironment
import KVLog
import KVRaft
import KVReplication
import KVSharding
import KVStorage
import KVTelemetry
package import Logging

/// What a node is made of once its data directory is open.
struct NodeParts {
    let lock: any FileLock
    let identityStore: IdentityStore
    let host: GroupHost
    let controller: ControllerStateMachine
    let initialShardMap: ShardMap
    let groups: [OpenedGroup]
    let shared: SharedResources
    let recovered: RecoveredLog
    let reporter: FlushReporter
}

/// A group whose tablets and log are open and which does not run yet.
struct OpenedGroup {
    let id: GroupID
    let core: RaftCore
    let store: GroupStore
    let membership: GroupMembership
    let machine: any GroupStateMachine
    let openTablet: TabletOpener
}

/// Tells the node, on its home scheduler, that a tablet was flushed.
///
/// SENDABLE: `notify` is set once on the home scheduler before any flush is reported there.
final class FlushReporter: @unchecked Sendable {
    private let home: any Scheduler
    var notify: ((GroupID) -> Void)?

    init(_ home: any Scheduler) {
        self.home = home
    }

    func flushed(_ group: GroupID) {
        home.execute { self.notify?(group) }
    }
}

extension Node {
    /// Opens a data directory, or makes one, and puts the node together.
    ///
    /// Blocks; call before the home scheduler serves anybody.
    /// - Throws: `NodeError` with what is wrong and what to do; nothing was changed then that would not be changed again.
    package static func open(_ settings: NodeSettings, environment: NodeEnvironment, log: Logger) throws -> Node {
        let opener = NodeOpener(settings: settings, environment: environment, log: log)
        do {
            let parts = try opener.open()
            let node = Node(settings: settings, environment: environment, log: log, parts: parts)
            node.adopt(parts.groups)
            return node
        } catch let error as NodeError {
            throw error
        } catch {
            throw NodeError("node \(settings.node) cannot open \(settings.dataDirectory): \(error)")
        }
    }
}

/// Opens what a node stands on, from the bottom up: lock, identity, group manifests, log, tablets, cores.
private struct NodeOpener {
    let settings: NodeSettings
    let environment: NodeEnvironment
    let log: Logger

    private var fileSystem: any FileSystem { environment.fileSystem }
    /// The first entry that may be the one that the planted bug loses.
    private static let lostEntry: LogIndex = 100
    private static let groupIDs = [GroupID.controller, GroupID(1)]

    func open() throws -> NodeParts {
        let directory = settings.dataDirectory
        try fileSystem.createDirectory(directory)
        try fileSystem.synchronizeDirectory(parentDirectory(of: directory))
        let lock = try takeLock(directory + "/LOCK")
        do {
            return try open(directory, lock)
        } catch {
            lock.release()
            throw error
        }
    }

    private func open(_ directory: String, _ lock: any FileLock) throws -> NodeParts {
        let marker = directory + "/" + IdentityStore.restoringName
        if fileSystem.exists(marker), !fileSystem.exists(directory + "/node.yaml") {
            throw NodeError(
                "data directory \(directory) is being restored from a backup and not whole: there is \(marker). Let 'kvctl snapshot"
                    + " restore' end; where it was interrupted, give the same command again, which begins anew"
            )
        }
        let identity = try IdentityStore.open(
            directory,
            cluster: settings.join?.cluster ?? settings.clusterID,
            node: settings.node,
            isJoined: settings.join != nil,
            fileSystem: fileSystem,
            workers: environment.background,
            home: environment.home,
            randomness: environment.randomness
        )
        try check(identity.identity)
        var stores: [GroupID: GroupStore] = [:]
        try fileSystem.createDirectory(directory + "/groups")
        try fileSystem.synchronizeDirectory(directory)
        for id in Self.groupIDs { stores[id] = try openStore(id, identity.identity) }
        let (nodeLog, recovered) = try openLog(identity.identity, stores)
        let outbox = Outbox()
        let host = GroupHost(
            fileSystem: fileSystem,
            home: environment.home,
            readers: environment.readers,
            clock: environment.clock,
            randomness: environment.randomness,
            log: nodeLog,
            outbox: outbox,
            turnEnd: TurnEnd(environment.home)
        )
        let shared = SharedResources(
            blockCacheBytes: settings.blockCacheBytes,
            tablesOpenMax: settings.tablet.tablesOpenMax,
            memtableBytesMax: settings.tablet.memoryBudgetBytes,
            ballast: try Self.ballast(fileSystem, directory)
        )
        let reporter = FlushReporter(environment.home)
        var groups: [OpenedGroup] = []
        var controller: ControllerStateMachine?
        for id in Self.groupIDs {
            guard let store = stores[id] else { continue }
            let opener = tabletOpener(id, shared, reporter)
            let tablets = try store.state.tablets.sorted { $0.shard < $1.shard }.map { name in
                HostedTablet(
                    name: name,
                    tablet: try openOrCreate(
                        store.path(name.directory),
                        name,
                        opener,
                        isUncut: store.state.cutIndex == 0,
                        id,
                        shared,
                        reporter
                    )
                )
            }
            let machine: any GroupStateMachine
            if id == .controller {
                guard let hosted = tablets.first else {
                    throw NodeError("group 0 has no tablet; its manifest is damaged")
                }
                let made: ControllerStateMachine
                do {
                    made = try ControllerStateMachine(hosted, supportedLevel: settings.featureLevel)
                } catch let error as ApplyError {
                    throw NodeError("data directory \(directory): \(error)")
                }
                controller = made
                machine = made
            } else {
                let shards = ShardGroupMachine(tablets, readers: environment.readers, home: environment.home)
                shards.losesEntry = settings.plantedBugs.contains(.losesAnEntry) ? Self.lostEntry : 0
                shards.dropsSessions = settings.plantedBugs.contains(.snapshotDropsSessions)
                machine = shards
            }
            groups.append(try openGroup(id, store, machine, opener, nodeLog, recovered))
        }
        guard let controller else { throw NodeError("group 0 is missing") }
        return NodeParts(
            lock: lock,
            identityStore: identity,
            host: host,
            controller: controller,
            initialShardMap: try ShardMap(
                shardCount: settings.join?.shardCount ?? settings.shardCount,
                group: GroupID(1)
            ),
            groups: groups,
            shared: shared,
            recovered: recovered,
            reporter: reporter
        )
    }

    private func takeLock(_ path: String) throws -> any FileLock {
        do {
            return try fileSystem.lock(path)
        } catch  where error.reason == .locked {
            throw IdentityStore.Failure.inUse(directory: settings.dataDirectory)
        }
    }

    // MARK: Groups on disk

    /// Refuses a directory whose node may not start.
    private func check(_ identity: NodeIdentity) throws {
        if identity.isRemoved {
            throw NodeError(
                "node \(identity.node) was removed from cluster \(identity.cluster): its data directory takes no part in it any more."
                    + " To bring the host back as a new member, move \(settings.dataDirectory) away, 'kvctl member add' it, and start"
                    + " it with --join"
            )
        }
        if identity.isJoined, !identity.isFormed, settings.join == nil {
            throw NodeError(
                "node \(identity.node) has not finished joining cluster \(identity.cluster): start it with --join HOST:PORT of a member"
            )
        }
    }

    private func openStore(_ id: GroupID, _ identity: NodeIdentity) throws -> GroupStore {
        let directory = settings.dataDirectory + "/groups/\(id)"
        if identity.isFormed, !fileSystem.exists(directory + "/MANIFEST") {
            throw NodeError(
                "\(directory)/MANIFEST is missing: the data directory lost a part. Restore it, or move the directory away and"
                    + " replace the node"
            )
        }
        return try GroupStore.open(
            directory,
            fileSystem: fileSystem,
            workers: environment.background,
            home: environment.home,
            initial: { settings.join.map { joiningState(of: id, $0) } ?? initialState(of: id) }
        )
    }

    /// A replica that knows nothing: a snapshot brings the configuration and the tablets.
    ///
    /// Group 0's own needs a tablet to stand on.
    private func joiningState(of id: GroupID, _ join: JoinAnswer) -> GroupManifestState {
        var state = GroupManifestState()
        state.membership = GroupMembership(configuration: Configuration(), nodes: [:]).encoded
        state.replica = join.replicas[id]?.rawValue ?? 0
        if id == .controller {
            let name = GroupManifestState.TabletName(shard: ShardID(0), epoch: Epoch(1), number: 1)
            state.tablets = [name]
            state.highestEpoch[name.shard] = name.epoch
            state.nextNumber = 2
        }
        return state
    }

    /// Room to give back when the disk is full: a sixteenth of what is free, within bounds.
    private static func ballast(_ fileSystem: any FileSystem, _ directory: String) throws(FileError) -> Ballast {
        let free = try fileSystem.freeSpace(directory)
        return Ballast(fileSystem, path: directory + "/room", bytes: min(max(free / 16, 1 << 20), 64 << 20))
    }

    private func initialState(of id: GroupID) -> GroupManifestState {
        var state = GroupManifestState()
        let nodes = Dictionary(uniqueKeysWithValues: settings.members.map { (ReplicaID($0.id.rawValue), $0.id) })
        state.membership =
            GroupMembership(
                configuration: Configuration(voters: nodes.keys.sorted()),
                nodes: nodes
            ).encoded
        let shards = id == .controller ? 1 : settings.shardCount
        state.tablets = (0..<shards).map { number in
            GroupManifestState.TabletName(shard: ShardID(UInt32(number)), epoch: Epoch(1), number: UInt64(number) + 1)
        }
        state.nextNumber = UInt64(shards) + 1
        for tablet in state.tablets { state.highestEpoch[tablet.shard] = tablet.epoch }
        return state
    }

    private func openLog(
        _ identity: NodeIdentity,
        _ stores: [GroupID: GroupStore]
    ) throws -> (NodeLog, RecoveredLog) {
        var options = NodeLogOptions()
        options.segmentBytes = settings.logSegmentBytes
        options.retainedBytes = settings.group.retainedLogBytes
        options.retainedEntries = settings.group.retainedLogEntries
        options.retainedNanoseconds = settings.group.retainedLogNanoseconds
        options.queueBytesMax = settings.group.uncommittedBytesMax * 2
        options.clock = environment.clock
        options.acknowledgeBeforeSync = settings.plantedBugs.contains(.acknowledgeBeforeSync)
        var bytes: [UInt8] = []
        bytes.append(littleEndian: identity.logCluster.high)
        bytes.append(littleEndian: identity.logCluster.low)
        bytes.append(littleEndian: identity.node.rawValue)
        bytes.append(littleEndian: identity.incarnation.rawValue)
        let cuts = stores.mapValues { store in
            ManifestCut(
                LogCut(index: store.state.cutIndex, term: store.state.cutTerm),
                isInstalled: store.state.installedIndex == store.state.cutIndex
            )
        }
        return try NodeLog.open(
            fileSystem,
            directory: settings.logDirectory ?? settings.dataDirectory + "/log",
            identity: bytes,
            home: environment.home,
            lane: environment.logLane,
            pool: environment.background,
            options: options,
            cuts: cuts
        )
    }

    // MARK: Tablets

    private func tabletOpener(_ id: GroupID, _ shared: SharedResources, _ reporter: FlushReporter) -> TabletOpener {
        { [self] directory in try Tablet.open(options(directory, id, shared, reporter)) }
    }

    private func options(
        _ directory: String,
        _ id: GroupID,
        _ shared: SharedResources,
        _ reporter: FlushReporter
    ) -> TabletOptions {
        var options = settings.tablet.options(directory, environment, shared) { _ in reporter.flushed(id) }
        options.onStateChange = { [log] state in
            let place: Logger.Metadata = .keys([.group: "\(id)", .path: directory])
            guard let problem = state.problem else { return log.notice("tablet is well again", metadata: place) }
            log.error("tablet has a problem", metadata: place.merging(.keys([.error: problem])) { $1 })
        }
        return options
    }

    /// A tablet that the manifest names exists, unless the node stopped while it was being set up.
    ///
    /// While the group's log was never cut, all that a tablet held can be applied again.
    private func openOrCreate(
        _ directory: String,
        _ name: GroupManifestState.TabletName,
        _ open: TabletOpener,
        isUncut: Bool,
        _ id: GroupID,
        _ shared: SharedResources,
        _ reporter: FlushReporter
    ) throws -> Tablet {
        if Tablet.exists(fileSystem, directory) { return try open(directory) }
        guard isUncut else {
            throw NodeError(
                "tablet \(directory) is missing or has lost its CURRENT; restore the directory or replace the node"
            )
        }
        var mark = TabletMark()
        mark.epoch = name.epoch
        return try Tablet.create(options(directory, id, shared, reporter), mark: mark)
    }

    // MARK: Cores

    private func openGroup(
        _ id: GroupID,
        _ store: GroupStore,
        _ machine: any GroupStateMachine,
        _ openTablet: @escaping TabletOpener,
        _ nodeLog: NodeLog,
        _ recovered: RecoveredLog
    ) throws -> OpenedGroup {
        var membership = try GroupMembership(decoding: store.state.membership)
        let stored = store.state.replica
        // The first nodes' replicas have the nodes' numbers. One that was removed goes on until it is told so by a member: until all
        // others know of it, its vote may be needed.
        let replica =
            stored > 0
            ? ReplicaID(stored) : membership.replica(on: settings.node) ?? ReplicaID(settings.node.rawValue)
        if settings.standsAlone {
            membership = GroupMembership(
                configuration: Configuration(voters: [replica]),
                nodes: [replica: settings.node]
            )
        }
        let cut = LogCut(index: store.state.cutIndex, term: store.state.cutTerm)
        let found = recovered.groups[id]
        var hard = found?.hardState ?? HardState()
        hard.term = max(hard.term, cut.term)
        // The commit may be recorded past entries that a torn tail took: it is learned again from the leader.
        hard.commit = max(cut.index, min(hard.commit, found?.lastIndex ?? cut.index))
        for hosted in machine.tablets where hosted.tablet.mark.appliedIndex > max(found?.lastIndex ?? 0, cut.index) {
            throw NodeError(
                "shard \(hosted.shard) of group \(id) holds index \(hosted.tablet.mark.appliedIndex), the log ends at"
                    + " \(found?.lastIndex ?? 0): acknowledged entries are lost. This node must not vote with what is left: move its"
                    + " data directory away and replace the node"
            )
        }
        // What a tablet holds durably was committed.
        let held = machine.tablets.map(\.tablet.mark.appliedIndex).max() ?? 0
        hard.commit = max(hard.commit, held)
        var tail = RecoveredTail(cut: cut, bytesMax: settings.group.logBytesInMemoryMax)
        try nodeLog.forEachEntry(id, from: cut.index + 1) { entry in
            tail.take(entry)
            return true
        }
        let restored = RestoredState(
            replica: replica,
            hardState: hard,
            configuration: membership.configuration,
            cutIndex: cut.index,
            cutTerm: cut.term,
            evictedTerms: tail.terms,
            evictedThrough: tail.evictedThrough,
            evictedConfigurations: tail.configurations,
            entries: Array(tail.entries),
            applied: settings.plantedBugs.contains(.appliedIndexApart) ? hard.commit : cut.index,
            lastTime: tail.lastTime
        )
        let core = try RaftCore(raftSettings(id), restored: restored, seed: environment.randomness.next())
        return OpenedGroup(
            id: id,
            core: core,
            store: store,
            membership: membership,
            machine: machine,
            openTablet: openTablet
        )
    }

    private func raftSettings(_ id: GroupID) -> RaftSettings {
        var raft = RaftSettings()
        raft.electionTicks = settings.group.electionTicks
        raft.heartbeatTicks = settings.group.heartbeatTicks
        // One may still be missed before anybody campaigns.
        raft.restingHeartbeatTicks = min(2 * settings.group.heartbeatTicks, settings.group.electionTicks * 2 / 5)
        raft.messageBytesMax = settings.group.appendBytesMax
        raft.inflightMessagesMax = settings.group.appendsInFlightMax
        raft.inflightBytesMax = settings.group.appendBytesInFlightMax
        raft.uncommittedBytesMax = settings.group.uncommittedBytesMax
        raft.applyPageBytesMax = settings.group.applyBytesMax
        raft.group = id
        raft.tellsCommitAtTicks = true
        raft.plantedBugs = settings.group.raftBugs
        return raft
    }
}
