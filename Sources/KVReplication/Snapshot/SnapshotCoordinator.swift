package import KVBase
package import KVEnvironment
package import KVRaft

/// Snapshots of groups on their way from and to this node.
///
/// The data travels beside Raft: the leader's host cuts all tablets of the group at one index, sends their files over
/// the bulk connection, and tells its core when they arrived; the follower's core then asks its host to switch over.
///
/// SENDABLE: touched on the home scheduler only.
package final class SnapshotCoordinator: @unchecked Sendable {
    private struct Target: Hashable {
        let group: GroupID
        let node: NodeID
    }

    private let host: GroupHost
    private let workers: any WorkerPool
    private let fileSystem: any FileSystem
    private var outgoing: [Target: SnapshotSender] = [:]
    private var preparing: Set<Target> = []
    private var incoming: [GroupID: SnapshotReceiver] = [:]
    private var groups: [GroupID: GroupReplica] = [:]
    private var lastTransfer: UInt64
    /// How many snapshots were installed here.
    package private(set) var installedCount: UInt64 = 0
    /// How many snapshots were sent and installed there.
    package private(set) var sentCount: UInt64 = 0
    /// How many transfers to others were given up or refused.
    package private(set) var failedCount: UInt64 = 0
    /// How many transfers are under way, from here and to here.
    package var transferCount: Int { outgoing.count + preparing.count + incoming.count }

    /// A transfer on which nothing moved for this long is given up.
    private static let patienceNanoseconds: UInt64 = 30_000_000_000
    /// A transfer that was given up because the log grew is not begun again for so long.
    private static let restNanoseconds: UInt64 = 60_000_000_000
    /// So long the log behind an installed snapshot is kept for the receiver to follow.
    private static let lingerNanoseconds: UInt64 = 30_000_000_000

    /// Until when no snapshot is sent there.
    private var resting: [Target: UInt64] = [:]
    /// What receivers of installed snapshots ask the log for first, and until when it is kept for them.
    private var lingering: [Target: (first: LogIndex, until: UInt64)] = [:]
    /// Hears why a transfer was given up for the log's sake, and nil when one succeeded after all.
    package var onAbandoned: ((GroupID, NodeID, String?) -> Void)?

    /// A coordinator without transfers.
    package init(host: GroupHost, background: any WorkerPool, fileSystem: any FileSystem) {
        self.host = host
        self.fileSystem = fileSystem
        workers = background
        lastTransfer = host.clock.wallMilliseconds
    }

    /// Makes a group known, so that its snapshots can be received.
    package func host(_ group: GroupReplica) {
        groups[group.id] = group
    }

    // MARK: Sending

    /// Makes a snapshot and sends it to a follower; one at a time to each.
    package func send(_ group: GroupReplica, _ request: SnapshotRequest) {
        guard let node = group.node(of: request.replica) else { return }
        let target = Target(group: group.id, node: node)
        if let until = resting[target], host.clock.monotonicNanoseconds < until {
            return group.snapshotFailed(to: request.replica)
        }
        if let other = replicas[target], other != request.replica {
            // Its host has another life now: nobody is there to take the old one's.
            end(target, group, other, succeeded: false)
        }
        guard !preparing.contains(target) else {
            // Perhaps for an earlier replica of that node: it is asked for again.
            return group.snapshotFailed(to: request.replica)
        }
        if let sender = outgoing[target], sender.isDelivered {
            // It may not have heard that all is there.
            return group.snapshotDelivered(to: request.replica, sender.manifest)
        }
        guard outgoing[target] == nil, preparing.insert(target).inserted else { return }
        lastTransfer += 1
        let transfer = lastTransfer
        group.checkpoint(named: "outgoing-\(transfer)", on: workers) { [weak self] result in
            guard let self else { return }
            self.preparing.remove(target)
            switch result {
            case .failure: group.snapshotFailed(to: request.replica)
            case .success(let checkpoint): self.begin(transfer, checkpoint, group, request.replica, target)
            }
        }
    }

    private func begin(
        _ transfer: UInt64,
        _ checkpoint: GroupCheckpoint,
        _ group: GroupReplica,
        _ replica: ReplicaID,
        _ target: Target
    ) {
        let manifest = checkpoint.manifest
        let sender = SnapshotSender(
            group: group.id,
            transfer: transfer,
            target: target.node,
            manifest: manifest,
            folder: checkpoint.folder,
            chunkBytes: group.settings.snapshotChunkBytes,
            fileSystem: fileSystem,
            workers: workers,
            home: host.home,
            now: host.clock.monotonicNanoseconds,
            send: { [host] chunk in host.outbox.sendNow(.snapshotChunk(chunk), to: target.node) },
            delivered: { group.snapshotDelivered(to: replica, manifest) },
            failed: { [weak self] _ in self?.end(target, group, replica, succeeded: false) }
        )
        outgoing[target] = sender
        replicas[target] = replica
        sender.begin()
        sender.sendMore()
    }

    private var replicas: [Target: ReplicaID] = [:]

    private func end(_ target: Target, _ group: GroupReplica?, _ replica: ReplicaID?, succeeded: Bool) {
        guard let sender = outgoing.removeValue(forKey: target) else { return }
        replicas[target] = nil
        if succeeded {
            sentCount += 1
            let until = host.clock.monotonicNanoseconds + Self.lingerNanoseconds
            lingering[target] = (sender.manifest.index + 1, until)
            resting[target] = nil
            onAbandoned?(target.group, target.node, nil)
        } else {
            failedCount += 1
        }
        sender.end()
        let (fileSystem, folder) = (fileSystem, sender.folder)
        // A folder that cannot be removed now is removed when the group is opened.
        workers.submit { try? fileSystem.removeTree(folder) }
        if !succeeded, let group, let replica { group.snapshotFailed(to: replica) }
    }

    /// The receiver said how far it is.
    package func receive(_ progress: SnapshotProgress, from node: NodeID) {
        let target = Target(group: progress.group, node: node)
        guard let sender = outgoing[target], sender.transfer == progress.transfer else { return }
        switch progress.state {
        case .receiving: sender.progressed(chunks: progress.chunks, now: host.clock.monotonicNanoseconds)
        case .installed: end(target, groups[progress.group], replicas[target], succeeded: true)
        case .refused: end(target, groups[progress.group], replicas[target], succeeded: false)
        }
    }

    // MARK: Receiving

    /// A piece of a snapshot arrived.
    package func receive(_ chunk: SnapshotChunk, from node: NodeID) {
        guard let group = groups[chunk.group] else { return }
        let now = host.clock.monotonicNanoseconds
        if let known = incoming[chunk.group], known.transfer == chunk.transfer, known.sender == node {
            known.receive(chunk, now: now)
            return
        }
        // Only the first piece of a transfer begins one; what is left of an older one is forgotten.
        guard chunk.file == SnapshotManifest.fileName else {
            // This node was started anew meanwhile, or gave the transfer up: the sender is to begin it again.
            let nothing = SnapshotProgress(group: chunk.group, transfer: chunk.transfer, state: .receiving, chunks: 0)
            host.outbox.add(.snapshotProgress(nothing), to: node)
            host.turnEnd.ask()
            return
        }
        let receiver = SnapshotReceiver(
            group: chunk.group,
            transfer: chunk.transfer,
            sender: node,
            folder: group.store.path("incoming-\(chunk.transfer)"),
            fileSystem: fileSystem,
            workers: workers,
            home: host.home,
            now: now,
            report: { [host] progress in
                host.outbox.add(.snapshotProgress(progress), to: node)
                host.turnEnd.ask()
            }
        )
        if let old = incoming[chunk.group] { discard(old.folder) }
        incoming[chunk.group] = receiver
        receiver.receive(chunk, now: now)
    }

    private func discard(_ folder: String) {
        let fileSystem = fileSystem
        // What cannot be removed now is removed when the group is opened.
        workers.submit { try? fileSystem.removeTree(folder) }
    }

    /// The core asks to switch over to a snapshot that it heard of.
    package func install(_ group: GroupReplica, _ offer: SnapshotOffer) {
        guard let receiver = incoming[group.id], receiver.isComplete, let manifest = receiver.manifest,
            manifest.index == offer.index, manifest.term == offer.term
        else {
            group.snapshotRefused()
            return
        }
        incoming[group.id] = nil
        group.install(manifest, from: receiver.folder, offer, on: workers) { [weak self] isInstalled in
            guard let self else { return }
            if isInstalled { self.installedCount += 1 }
            let state: SnapshotProgress.State = isInstalled ? .installed : .refused
            let progress = SnapshotProgress(
                group: group.id,
                transfer: receiver.transfer,
                state: state,
                chunks: receiver.chunks
            )
            self.host.outbox.add(.snapshotProgress(progress), to: receiver.sender)
            self.discard(receiver.folder)
            self.host.turnEnd.ask()
        }
    }

    // MARK: Time

    /// Gives up what does not move, and goes on where the transport had no room.
    package func tick(now: UInt64) {
        for target in outgoing.keys.sorted(by: { ($0.group, $0.node) < ($1.group, $1.node) }) {
            guard let sender = outgoing[target] else { continue }
            if now > sender.lastHeard + Self.patienceNanoseconds {
                end(target, groups[target.group], replicas[target], succeeded: false)
            } else if let group = groups[target.group], host.log.retainedBytes > group.settings.snapshotLogBytesMax {
                resting[target] = now + Self.restNanoseconds
                let bytes = host.log.retainedBytes
                end(target, group, replicas[target], succeeded: false)
                let text = "the log kept for it grew to \(bytes) bytes, past log.retained_max"
                onAbandoned?(target.group, target.node, text)
            } else {
                sender.tick(now: now)
            }
        }
        lingering = lingering.filter { $0.value.until > now }
        for (group, receiver) in incoming
        where !receiver.isComplete && now > receiver.lastHeard + Self.patienceNanoseconds {
            incoming[group] = nil
            discard(receiver.folder)
        }
    }

    /// The lowest index that a follower under way with a snapshot of the group will ask the log for; nil where none is.
    package func retainFrom(_ group: GroupID) -> LogIndex? {
        let sending = outgoing.filter { $0.key.group == group }.values.map { $0.manifest.index + 1 }
        guard let group = groups[group], host.log.retainedBytes <= group.settings.snapshotLogBytesMax else {
            return nil
        }
        return (sending + lingering.filter { $0.key.group == group.id }.values.map(\.first)).min()
    }
}
