package import KVBase
import KVEnvironment
package import KVInspection
import KVLog
import KVRaft
import KVReplication
import KVStorage

/// Makes the data directory of a member of a new cluster from a backup.
///
/// 1. A file `RESTORING` says that the directory is being made: nobody takes it for a node's, and the next attempt clears it.
/// 2. Every file is copied, held against its checksum and synced.
/// 3. For another point in time each tablet takes the log's entries behind the backup, by the node's own state machine.
/// 4. The groups' manifests: all shards in group 1 with the new members, its log cut at the index that the tablets hold.
/// 5. `node.yaml`, which makes it a data directory: the new cluster, the new life, the lives of the other members. Then `RESTORING` goes.
///
/// A crash leaves either a directory that no node starts from and the next attempt clears, or a whole one.
package struct BackupRestore {
    /// What a restore came to.
    package struct Outcome: Sendable, Equatable {
        /// The index that the shards are at.
        package var index: LogIndex
        /// How many entries of the log were applied.
        package var entries: UInt64
        /// Bytes that were copied.
        package var bytes: UInt64
        /// Whether it had been done before.
        package var wasComplete = false
    }

    private static let marker = IdentityStore.restoringName
    /// The lock of a node's data directory.
    private static let lockName = "LOCK"
    /// The epoch under which a new cluster's shards start.
    private static let firstEpoch = Epoch(1)

    private let environment: ToolEnvironment
    private let backup: BackupFolder
    private var fileSystem: any FileSystem { environment.fileSystem }

    /// A restore from the backup in `path`.
    package init(_ environment: ToolEnvironment, from path: String) {
        self.environment = environment
        backup = BackupFolder(environment.fileSystem, path)
    }

    /// Makes the data directory of `node`, up to a point in time where one is given.
    ///
    /// - Throws: `damage` where the backup is not what was saved, `usage` for a directory that is not empty or a point that the backup and its
    ///   log do not reach; nothing that was there before is changed.
    package func restore(
        _ node: NodeID,
        of plan: RestorePlan,
        until end: WALReplay.ReplayEnd? = nil,
        progress: (UInt64) -> Void = { _ in }
    ) throws(BackupError) -> Outcome {
        guard let directory = plan.members[node]?.directory else {
            throw BackupError(.usage, "the plan has no member \(node)")
        }
        let manifest = try backup.manifest()
        guard ClusterID(manifest.cluster) != plan.cluster else {
            throw BackupError(
                .usage,
                "the plan names the cluster that the backup is of: a restored one needs an id of its own"
            )
        }
        guard manifest.groups.count == 1, let group = manifest.groups.first else {
            throw BackupError(.usage, "the backup has \(manifest.groups.count) groups; this version restores one")
        }
        if let tablet = group.tablets.first(where: { $0.epoch != Self.firstEpoch.rawValue }) {
            throw BackupError(
                .usage,
                "shard \(tablet.shard) has epoch \(tablet.epoch): this version does not restore moved shards"
            )
        }
        let target = try target(of: end, group)
        let lock = try lock(directory)
        defer { lock.release() }
        do throws(FileError) {
            if try isComplete(directory, node, plan) {
                return Outcome(index: target.index, entries: 0, bytes: 0, wasComplete: true)
            }
        } catch { throw BackupError(.file, "\(error)") }
        do {
            try begin(directory)
            let copied = try copy(group, into: directory, progress)
            let entries = try replay(group, through: target, in: directory)
            try writeGroups(group, target, plan, directory)
            try complete(directory, node, plan)
            return Outcome(index: target.index, entries: entries, bytes: copied)
        } catch let error as BackupError {
            throw error
        } catch {
            throw BackupError(.file, "\(directory): \(error)")
        }
    }

    // MARK: Where it goes to

    private func target(of end: WALReplay.ReplayEnd?, _ group: BackupManifest.Group) throws(BackupError) -> LogCut {
        var target = LogCut(index: group.index, term: group.term)
        guard let end else { return target }
        let time = group.tablets.map(\.loggedTimeMs).max() ?? 0
        switch end {
        case .index(let index) where index < group.index:
            throw BackupError(
                .usage,
                "the backup holds index \(group.index) already: restore an older one for \(index)"
            )
        case .time(let wanted) where wanted < time:
            throw BackupError(
                .usage,
                "the backup holds entries through \(backupTimeText(time)) already: restore an older one for \(backupTimeText(wanted))"
            )
        case .index(group.index): return target
        default: break
        }
        guard let files = try backup.logIndex()?.files(of: group.group), !files.isEmpty else {
            throw BackupError(
                .usage,
                "no log was saved behind the backup, which holds index \(group.index), \(backupTimeText(time)): 'kvctl snapshot log"
                    + " \(backup.path)' saves it as long as nodes keep it; without --until the backup is restored as it is"
            )
        }
        let reached = files.map(\.timeMs).max() ?? time
        if case .time(let wanted) = end, wanted > reached {
            throw BackupError(
                .usage,
                "the log behind the backup ends at index \(files.last?.last ?? group.index), \(backupTimeText(reached)), before"
                    + " \(backupTimeText(wanted)): '--until end' takes all there is, 'kvctl snapshot log' fetches more"
            )
        }
        let log = RetainedLog(backup, group.group)
        try log.forEachEntry(after: group.index) { entry throws(BackupError) in
            switch end {
            case .index(let index): guard entry.index <= index else { return false }
            case .time(let time): guard entry.time <= time else { return false }
            case .committed: break
            }
            target = LogCut(index: entry.index, term: entry.term)
            // What comes behind the index that was asked for is nobody's business, a gap there neither.
            return end != .index(entry.index)
        }
        if case .index(let index) = end, target.index < index {
            throw BackupError(
                .usage,
                "the log behind the backup ends at index \(target.index), \(backupTimeText(reached)), before index \(index):"
                    + " '--until end' takes all there is, 'kvctl snapshot log' fetches more"
            )
        }
        return target
    }

    // MARK: The directory

    /// Takes the lock that a node takes, so that nobody else makes or uses the directory; a directory that is not to be made stays as it is.
    private func lock(_ directory: String) throws(BackupError) -> any FileLock {
        do {
            if fileSystem.exists(directory) {
                try checkIsFree(directory)
            } else {
                try fileSystem.createDirectory(directory)
                try fileSystem.synchronizeDirectory(parentDirectory(of: directory))
            }
            return try fileSystem.lock(directory + "/" + Self.lockName)
        } catch let error as BackupError {
            throw error
        } catch {
            guard (error as? FileError)?.reason == .locked else { throw BackupError(.file, "\(error)") }
            throw BackupError(.usage, "\(directory) is in use: another restore makes it, or a node runs in it")
        }
    }

    /// Refuses a directory that holds what no restore has begun.
    private func checkIsFree(_ directory: String) throws {
        let names = try fileSystem.list(directory)
        guard names.contains(Self.marker) || names.allSatisfy({ $0 == Self.lockName }) else {
            throw BackupError(.usage, "\(directory) is not empty: name another, or move it away")
        }
    }

    private func isComplete(_ directory: String, _ node: NodeID, _ plan: RestorePlan) throws(FileError) -> Bool {
        let path = directory + "/node.yaml"
        guard fileSystem.exists(path), fileSystem.exists(directory + "/" + Self.marker) else { return false }
        guard try fileSystem.readAll(path) == Array(identity(node, plan).text.utf8) else { return false }
        try fileSystem.remove(directory + "/" + Self.marker)
        try fileSystem.synchronizeDirectory(directory)
        return true
    }

    private func begin(_ directory: String) throws {
        let marker = directory + "/" + Self.marker
        try checkIsFree(directory)
        let names = try fileSystem.list(directory)
        guard !names.contains("node.yaml") else {
            throw BackupError(.usage, "\(directory) is the data directory of a node: name another, or move it away")
        }
        for name in names where name != Self.marker && name != Self.lockName {
            try fileSystem.removeTree(directory + "/" + name)
        }
        if !fileSystem.exists(marker) {
            let file = try fileSystem.open(marker, .createNew)
            try file.synchronize()
            file.close()
        }
        try fileSystem.synchronizeDirectory(directory)
    }

    private func complete(_ directory: String, _ node: NodeID, _ plan: RestorePlan) throws {
        // The name of what is in it comes to the disk before the name that makes it a node's.
        try fileSystem.synchronizeDirectory(directory)
        try fileSystem.replace(directory + "/node.yaml", with: Array(identity(node, plan).text.utf8))
        try fileSystem.remove(directory + "/" + Self.marker)
        try fileSystem.synchronizeDirectory(directory)
    }

    private func identity(_ node: NodeID, _ plan: RestorePlan) -> NodeIdentity {
        var identity = NodeIdentity(cluster: plan.cluster, node: node, incarnation: plan.incarnation(of: node))
        // The cluster's id is not what the configuration would make, and everybody knows everybody's life already.
        identity.isJoined = true
        identity.isFormed = true
        for other in plan.members.keys where other != node { identity.peers[other] = plan.incarnation(of: other) }
        return identity
    }

    // MARK: The data

    private func copy(
        _ group: BackupManifest.Group,
        into directory: String,
        _ progress: (UInt64) -> Void
    ) throws -> UInt64 {
        var copied: UInt64 = 0
        try fileSystem.createDirectory(directory + "/groups")
        try fileSystem.createDirectory(directory + "/groups/1")
        try fileSystem.synchronizeDirectory(directory + "/groups")
        for (place, tablet) in group.tablets.enumerated() {
            let target = directory + "/groups/1/" + Self.name(of: tablet, place).directory
            try fileSystem.createDirectory(target)
            for file in tablet.files {
                try backup.copy(
                    BackupManifest.path(group.group, tablet.shard, file.name),
                    file,
                    to: target + "/" + file.name,
                    progress: progress
                )
                copied += file.size
            }
            try fileSystem.synchronizeDirectory(target)
            if let finding = TabletInspection.verify(fileSystem, target).findings.first {
                throw BackupError(.damage, "\(finding)")
            }
        }
        try fileSystem.synchronizeDirectory(directory + "/groups/1")
        return copied
    }

    private static func name(of tablet: BackupManifest.Tablet, _ place: Int) -> GroupManifestState.TabletName {
        GroupManifestState.TabletName(shard: ShardID(tablet.shard), epoch: firstEpoch, number: UInt64(place) + 1)
    }

    private func replay(
        _ group: BackupManifest.Group,
        through target: LogCut,
        in directory: String
    ) throws -> UInt64 {
        guard target.index > group.index else { return 0 }
        for (place, tablet) in group.tablets.enumerated() {
            let path = directory + "/groups/1/" + Self.name(of: tablet, place).directory
            let offline = try OfflineTablet(environment, directory: path, mark: TabletMark(), creates: false)
            let replay = TabletReplay(offline.tablet, shard: ShardID(tablet.shard), epoch: Self.firstEpoch) {
                offline.pool.runAll()
            }
            try RetainedLog(backup, group.group).forEachEntry(after: group.index) { entry throws(BackupError) in
                guard entry.index <= target.index else { return false }
                guard entry.kind == .commands else { return entry.index < target.index }
                do throws(ApplyError) { try replay.apply(entry) } catch {
                    throw BackupError(
                        .damage,
                        "entry \(entry.index) cannot be applied to shard \(tablet.shard): \(error)"
                    )
                }
                return entry.index < target.index
            }
            try offline.finish()
        }
        return target.index - group.index
    }

    private func writeGroups(
        _ group: BackupManifest.Group,
        _ target: LogCut,
        _ plan: RestorePlan,
        _ directory: String
    ) throws {
        let nodes = Dictionary(uniqueKeysWithValues: plan.members.keys.map { (ReplicaID($0.rawValue), $0) })
        var state = GroupManifestState()
        state.membership =
            GroupMembership(configuration: Configuration(voters: nodes.keys.sorted()), nodes: nodes).encoded
        // Group 0 begins anew: its leader writes down the new cluster.
        var controller = state
        controller.tablets = [.init(shard: ShardID(0), epoch: Self.firstEpoch, number: 1)]
        controller.nextNumber = 2
        controller.highestEpoch[ShardID(0)] = Self.firstEpoch
        try GroupStore.write(controller, into: directory + "/groups/0", fileSystem)
        state.tablets = group.tablets.enumerated().map { Self.name(of: $0.element, $0.offset) }
        state.nextNumber = UInt64(state.tablets.count) + 1
        for tablet in state.tablets { state.highestEpoch[tablet.shard] = tablet.epoch }
        state.cutIndex = target.index
        state.cutTerm = target.term
        state.installedIndex = target.index
        state.membershipIndex = target.index
        try GroupStore.write(state, into: directory + "/groups/1", fileSystem)
    }
}
