import KVBase
import KVEnvironment
import KVRaft
package import KVStorage
import Synchronization

/// Opens the tablet in a directory, on a storage thread.
package typealias TabletOpener = @Sendable (_ directory: String) throws -> Tablet

/// A group's tablets as they were at one index, in a folder of their own.
struct GroupCheckpoint: Sendable {
    let folder: String
    let manifest: SnapshotManifest
}

// Snapshots: all tablets at one index out, and in.

extension GroupReplica {
    /// Cuts all tablets at the applied index: their memtables are sealed in this turn, then flushed and linked into a
    /// folder beside them.
    ///
    /// `completion` is called on the home scheduler.
    func checkpoint(
        named name: String,
        on workers: any WorkerPool,
        _ completion: @escaping @Sendable (Result<GroupCheckpoint, any Error>) -> Void
    ) {
        let folder = store.path(name)
        let index = core.applied
        // Where the membership is newer than what is applied, after a restart, a copy would say what is not true yet at its index.
        guard !isInstalling, stopReason == nil, quarantine == nil, index >= store.state.membershipIndex,
            let term = core.term(at: index)
        else {
            return completion(.failure(SnapshotReceiver.Refusal(reason: "the group has no state to copy now")))
        }
        let names = machine.tablets.map(\.name)
        let collector = CheckpointCollector(count: machine.tablets.count) { [host, membership] failure in
            workers.submit {
                let result = Result {
                    if let failure { throw failure }
                    return GroupCheckpoint(
                        folder: folder,
                        manifest: try Self.manifest(
                            of: folder,
                            index,
                            term,
                            membership.encoded,
                            host.fileSystem,
                            names: names
                        )
                    )
                }
                host.home.execute { completion(result) }
            }
        }
        do {
            try host.fileSystem.createDirectory(folder)
        } catch {
            return completion(.failure(error))
        }
        for hosted in machine.tablets {
            hosted.tablet.checkpoint(into: "\(folder)/\(hosted.shard)") { result in
                if case .failure(let error) = result { collector.finish(error) } else { collector.finish(nil) }
            }
        }
    }

    private static func manifest(
        of folder: String,
        _ index: LogIndex,
        _ term: Term,
        _ membership: [UInt8],
        _ fileSystem: any FileSystem,
        names: [GroupManifestState.TabletName]
    ) throws -> SnapshotManifest {
        let parts = try names.map { name in
            let directory = "\(folder)/\(name.shard)"
            let files = try fileSystem.list(directory).map { file in
                SnapshotManifest.File(name: file, size: try fileSystem.size(directory + "/" + file))
            }
            return SnapshotManifest.Part(shard: name.shard, epoch: name.epoch, files: files)
        }
        return SnapshotManifest(index: index, term: term, membership: membership, parts: parts)
    }

    /// The follower has all of a snapshot's data: its core is told, with the configuration as it was at the snapshot's index.
    func snapshotDelivered(to peer: ReplicaID, _ manifest: SnapshotManifest) {
        // What this replica wrote itself can be read.
        guard stopReason == nil, let membership = try? GroupMembership(decoding: manifest.membership) else { return }
        core.snapshotDelivered(
            to: peer,
            index: manifest.index,
            term: manifest.term,
            configuration: membership.configuration
        )
        host.turnEnd.ask()
    }

    /// A snapshot did not reach its follower.
    func snapshotFailed(to peer: ReplicaID) {
        guard stopReason == nil else { return }
        core.reportSnapshotFailed(peer)
        host.turnEnd.ask()
    }

    /// The snapshot that the core asked for is not here.
    func snapshotRefused() {
        guard stopReason == nil else { return }
        core.snapshotRefused()
        host.turnEnd.ask()
    }

    /// Puts received tablets in the place of the present ones.
    ///
    /// 1. they get names of their own beside the present ones and are opened;
    /// 2. one synced edit of the manifest makes them the group's, with the cut at the snapshot's index;
    /// 3. the log before the cut is void, the core and the state machine go on from there, the old tablets are removed.
    ///
    /// A crash before 2 leaves the old state, one after it the new: the log that is behind the cut is discarded when it is opened.
    func install(
        _ manifest: SnapshotManifest,
        from folder: String,
        _ offer: SnapshotOffer,
        on workers: any WorkerPool,
        _ completion: @escaping @Sendable (Bool) -> Void
    ) {
        guard stopReason == nil, !isInstalling else { return completion(false) }
        guard logAllows(manifest) else {
            snapshotRefused()
            return completion(false)
        }
        isInstalling = true
        let first = store.state.nextNumber
        let names = manifest.parts.enumerated().map { place, part in
            GroupManifestState.TabletName(shard: part.shard, epoch: part.epoch, number: first + UInt64(place))
        }
        let (fileSystem, openTablet, directory) = (host.fileSystem, openTablet, store.directory)
        workers.submit { [host] in
            var opened: [HostedTablet] = []
            let outcome = Result {
                for name in names {
                    let path = directory + "/" + name.directory
                    // Left by an installation that was given up.
                    if fileSystem.exists(path) { try fileSystem.removeTree(path) }
                    try fileSystem.rename("\(folder)/\(name.shard)", to: path)
                }
                try fileSystem.synchronizeDirectory(directory)
                for name in names {
                    opened.append(HostedTablet(name: name, tablet: try openTablet(directory + "/" + name.directory)))
                }
                return opened
            }
            if case .failure = outcome { Self.remove(opened, directory, fileSystem) }
            host.home.execute { [weak self] in self?.commitInstall(outcome, manifest, offer, on: workers, completion) }
        }
    }

    /// Whether the log goes on behind a snapshot.
    ///
    /// What it holds beyond was acknowledged; only a log that does not hold the snapshot's last entry is void.
    private func keepsLog(_ manifest: SnapshotManifest) -> Bool { core.term(at: manifest.index) == manifest.term }

    /// Whether the log is void, or durable as far as the snapshot goes.
    private func logAllows(_ manifest: SnapshotManifest) -> Bool {
        !keepsLog(manifest) || manifest.index <= core.durableIndex
    }

    /// Closes tablets that are not to be used, and removes them.
    private static func remove(_ tablets: [HostedTablet], _ directory: String, _ fileSystem: any FileSystem) {
        for hosted in tablets {
            hosted.tablet.close {
                // What cannot be removed now is removed when the group is opened.
                try? fileSystem.removeTree(directory + "/" + hosted.name.directory)
            }
        }
    }

    private func commitInstall(
        _ opened: Result<[HostedTablet], any Error>,
        _ manifest: SnapshotManifest,
        _ offer: SnapshotOffer,
        on workers: any WorkerPool,
        _ completion: @escaping @Sendable (Bool) -> Void
    ) {
        guard stopReason == nil, case .success(let tablets) = opened,
            let received = try? GroupMembership(decoding: manifest.membership),  // refused like any other damage
            logAllows(manifest)
        else {
            if case .success(let tablets) = opened { Self.remove(tablets, store.directory, host.fileSystem) }
            isInstalling = false
            snapshotRefused()
            return completion(false)
        }
        let keepsLog = self.keepsLog(manifest)
        store.change { state in
            state.tablets = tablets.map(\.name)
            state.nextNumber = (tablets.map(\.name.number).max() ?? 0) + 1
            state.cutIndex = manifest.index
            state.cutTerm = manifest.term
            state.installedIndex = manifest.index
            state.membership = manifest.membership
            state.membershipIndex = manifest.index
            for tablet in tablets {
                state.highestEpoch[tablet.shard] = max(state.highestEpoch[tablet.shard] ?? tablet.epoch, tablet.epoch)
            }
        } completion: { [weak self] error in
            guard let self else { return }
            guard error == nil, self.stopReason == nil else {
                self.stop("its manifest cannot be written: \(error.map { "\($0)" } ?? "the group stopped")")
                return completion(false)
            }
            self.durableCut = LogCut(index: manifest.index, term: manifest.term)
            let finish: @Sendable () -> Void = { [weak self] in
                self?.finishInstall(tablets, received, on: workers)
                completion(true)
            }
            if keepsLog { finish() } else { self.host.log.reset(self.id, to: self.durableCut, completion: finish) }
        }
    }

    private func finishInstall(_ tablets: [HostedTablet], _ received: GroupMembership, on workers: any WorkerPool) {
        isInstalling = false
        guard stopReason == nil else { return }
        let old = machine.tablets
        do {
            try machine.replace(tablets)
        } catch {
            return stop("the installed snapshot cannot be read: \(error)")
        }
        membership = received
        applyQueue.removeAll()
        isApplyBlocked = false
        applyBlocks += 1
        readFailures = 0
        failApplying("this node went on from a snapshot that may hold it")
        proposals.failAllWaiters()
        core.snapshotInstalled()
        endQuarantine()
        Self.remove(old, store.directory, host.fileSystem)
        host.turnEnd.ask()
    }
}

/// Waits for the checkpoints of all tablets.
///
/// SENDABLE: a mutex guards its state.
private final class CheckpointCollector: Sendable {
    private struct State {
        var open: Int
        var failure: (any Error)?
    }

    private let state: Mutex<State>
    private let completion: @Sendable ((any Error)?) -> Void

    init(count: Int, _ completion: @escaping @Sendable ((any Error)?) -> Void) {
        state = Mutex(State(open: count))
        self.completion = completion
    }

    func finish(_ error: (any Error)?) {
        let outcome = state.withLock { state -> State? in
            state.open -= 1
            if state.failure == nil { state.failure = error }
            return state.open == 0 ? state : nil
        }
        if let outcome { completion(outcome.failure) }
    }
}
