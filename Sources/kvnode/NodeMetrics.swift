import KVBase
import KVNode
import KVPeer
import KVService
import KVTelemetry
import Synchronization

/// Shows a node's numbers and the process in the metrics.
///
/// A scrape does not wait for the node: it shows the numbers as they were last gathered, at most about a second ago.
final class NodeMetrics: Sendable {
    private struct Last {
        var node: NodeMeasurements
        var peers: [NodeID: PeerStatistics]
    }

    private let last = Mutex<Last?>(nil)
    private let startSeconds: Double
    private let watch: HostWatch

    init(_ registry: MetricRegistry, _ watch: HostWatch, startMilliseconds: UInt64) {
        self.watch = watch
        startSeconds = Double(startMilliseconds) / 1_000
        registry.collect { [weak self] registry in self?.show(in: registry) }
    }

    /// Any thread.
    func update(_ node: NodeMeasurements, _ peers: [NodeID: PeerStatistics]) {
        last.withLock { $0 = Last(node: node, peers: peers) }
    }

    private func show(in registry: MetricRegistry) {
        showProcess(in: registry)
        guard let last = last.withLock({ $0 }) else { return }
        let node = last.node
        registry.gauge(.raftNodeHealth).set(node.status.isReady ? 1 : 0)
        for alarm in NodeAlarm.allCases {
            registry.gauge(.alarm, alarm.rawValue).set(node.alarms.contains(alarm) ? 1 : 0)
        }
        // What is labelled by a peer, a group or a shard must not stay when that is gone; a follower's lag is known to the leader alone.
        for metric in [Metric.raftReplicationLag, .peerConnected, .peerQueueBytes, .shardBytes, .shardMemtableBytes] {
            registry.removeAll(metric)
        }
        registry.gauge(.featureLevel).set(Double(node.featureLevel))
        for group in node.status.groups { show(group, in: registry) }
        for group in node.groups { show(group, in: registry) }
        for (peer, numbers) in last.peers { show(peer, numbers, in: registry) }
        showRequests(node, in: registry)
        showStorage(node, in: registry)
    }

    private func showProcess(in registry: MetricRegistry) {
        let host = watch.readings
        registry.counter(.processCPU).set(HostProcess.processorNanoseconds)
        registry.gauge(.processResidentBytes).set(Double(HostProcess.residentBytes))
        registry.gauge(.processVirtualBytes).set(Double(host.virtualBytes))
        registry.gauge(.processOpenDescriptors).set(Double(host.openDescriptors))
        registry.gauge(.processMaxDescriptors).set(Double(host.descriptorsMax))
        registry.gauge(.processThreads).set(Double(host.threads))
        registry.gauge(.processStartTime).set(startSeconds)
        registry.gauge(.buildInfo, Version.text).set(1)
        registry.gauge(.memoryLimitBytes).set(Double(host.memoryLimitBytes))
        for disk in host.disks {
            registry.gauge(.diskFreeBytes, disk.place).set(Double(disk.free))
            registry.gauge(.diskSizeBytes, disk.place).set(Double(disk.size))
        }
    }

    private func show(_ group: NodeStatus.Group, in registry: MetricRegistry) {
        let id = "\(group.id)"
        registry.gauge(.raftState, id).set(Double(group.role.rawValue))
        registry.gauge(.raftTerm, id).set(Double(group.term))
        registry.gauge(.raftIsLeader, id).set(group.role == .leader ? 1 : 0)
        registry.gauge(.raftLeaderID, id).set(Double(group.leader?.rawValue ?? 0))
        registry.gauge(.raftCommittedIndex, id).set(Double(group.commitIndex))
        registry.gauge(.raftAppliedIndex, id).set(Double(group.appliedIndex))
        let entries = group.lastIndex >= group.firstIndex ? group.lastIndex - group.firstIndex + 1 : 0
        registry.gauge(.raftLogSize, id).set(Double(entries))
        registry.gauge(.raftLogBytes, id).set(Double(group.logBytes))
        for (peer, lag) in group.lag { registry.gauge(.raftReplicationLag, id, "\(peer)").set(Double(lag)) }
    }

    private func show(_ group: NodeMeasurements.Group, in registry: MetricRegistry) {
        let id = "\(group.id)"
        registry.counter(.raftElectionsTotal, id).set(group.elections)
        registry.counter(.raftLeaderChangesTotal, id).set(group.leaderChanges)
        registry.counter(.raftMessagesRefusedTotal, id, "damaged").set(group.damagedMessages)
        registry.counter(.raftMessagesRefusedTotal, id, "stray").set(group.strayMessages)
        registry.counter(.writeStallSecondsTotal, id).set(group.stalledNanoseconds)
    }

    private func show(_ peer: NodeID, _ numbers: PeerStatistics, in registry: MetricRegistry) {
        registry.gauge(.peerConnected, "\(peer)").set(numbers.isConnected ? 1 : 0)
        registry.gauge(.peerQueueBytes, "\(peer)").set(Double(numbers.queuedBytes))
        registry.counter(.peerSentBytesTotal, "\(peer)").set(numbers.sentBytes)
    }
}
