import KVService
import KVTelemetry
import Synchronization

/// Shows a node's standing and the process in the metrics.
///
/// A scrape does not wait for the node: it shows the standing as it was last told, at most about a second ago.
final class NodeMetrics: Sendable {
    private let last = Mutex<NodeStatus?>(nil)
    private let startSeconds: Double

    init(_ registry: MetricRegistry, startMilliseconds: UInt64) {
        startSeconds = Double(startMilliseconds) / 1_000
        registry.collect { [weak self] registry in self?.show(in: registry) }
    }

    /// Any thread.
    func update(_ status: NodeStatus) {
        last.withLock { $0 = status }
    }

    private func show(in registry: MetricRegistry) {
        registry.counter(.processCPU).set(HostProcess.processorNanoseconds)
        registry.gauge(.processResidentBytes).set(Double(HostProcess.residentBytes))
        registry.gauge(.processOpenDescriptors).set(Double(HostProcess.openDescriptors))
        registry.gauge(.processStartTime).set(startSeconds)
        registry.gauge(.buildInfo, Version.text).set(1)
        guard let status = last.withLock({ $0 }) else { return }
        registry.gauge(.raftNodeHealth).set(status.isReady ? 1 : 0)
        // A follower's lag is known to the leader alone: what an earlier reign knew must not stay.
        registry.removeAll(.raftReplicationLag)
        for group in status.groups { show(group, in: registry) }
        let storage = status.storage
        registry.counter(.flushesTotal).set(storage.flushes)
        registry.counter(.compactionsTotal).set(storage.compactions)
        registry.counter(.logCutsTotal).set(storage.logCuts)
        registry.counter(.snapshotsInstalledTotal).set(storage.snapshotsInstalled)
        registry.gauge(.tables).set(Double(storage.tables))
        registry.gauge(.tableBytes).set(Double(storage.tableBytes))
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
}
