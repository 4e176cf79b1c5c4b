package import KVBase
import KVRaft
import KVReplication
package import KVService

// How the node stands.

extension Node {
    package func status(completion: @escaping @Sendable (NodeStatus) -> Void) {
        onHome { [self] in completion(currentStatus) }
    }

    /// Runs at once on the home scheduler, else there later.
    func onHome(_ job: @escaping @Sendable () -> Void) {
        if home.isCurrent { job() } else { home.execute(job) }
    }

    /// How the node stands now.
    ///
    /// Home scheduler.
    var currentStatus: NodeStatus {
        var status = NodeStatus(
            node: settings.node,
            cluster: identity.cluster,
            incarnation: identity.incarnation,
            softwareVersion: settings.softwareVersion,
            isReady: isReady,
            alarms: currentAlarms,
            groups: sortedGroups.map(status(of:)),
            peers: members.keys.filter { $0 != settings.node }.sorted().map { id in
                NodeStatus.Peer(
                    id: id,
                    isConnected: isConnected(id),
                    addresses: connected[id]?.addresses ?? controller.state.nodes[id]?.addresses ?? [:]
                )
            },
            storage: storageCounters
        )
        status.isRemoved = isRemoved
        status.slotRanges = slotRanges
        status.addresses = settings.addresses
        return status
    }

    /// Who serves which slots, neighbours of one group put together.
    private var slotRanges: [NodeStatus.SlotRange] {
        var ranges: [NodeStatus.SlotRange] = []
        for number in 0..<shardMap.shardCount {
            let shard = ShardID(UInt32(number))
            let (slots, group) = (shardMap.slots(of: shard), shardMap.owner(of: shard).group)
            if let last = ranges.indices.last, ranges[last].group == group {
                ranges[last].last = slots.upperBound - 1
            } else {
                ranges.append(NodeStatus.SlotRange(first: slots.lowerBound, last: slots.upperBound - 1, group: group))
            }
        }
        return ranges
    }

    /// Whether every group knows a leader and works here.
    ///
    /// Home scheduler.
    package var isReady: Bool {
        isFormed && !isStopping
            && sortedGroups.allSatisfy {
                $0.stopReason == nil && $0.quarantine == nil && ($0.isLeader || $0.leaderNode != nil)
            }
    }

    /// What an operator should look at.
    private var currentAlarms: [String] { standingAlarms.map(\.text) }

    private func status(of group: GroupReplica) -> NodeStatus.Group {
        var lag: [NodeID: UInt64] = [:]
        if group.isLeader {
            for progress in group.progress where progress.replica != group.replica {
                guard let node = group.node(of: progress.replica) else { continue }
                lag[node] = group.lastIndex - min(progress.match, group.lastIndex)
            }
        }
        let role: NodeStatus.Role =
            switch group.role {
            // One that stopped leads nobody.
            case .leader: group.isLeader ? .leader : .follower
            case .candidate, .preCandidate: .candidate
            case .follower: .follower
            }
        return NodeStatus.Group(
            id: group.id,
            replica: group.replica,
            role: role,
            term: group.term,
            leader: group.leaderNode,
            commitIndex: group.commitIndex,
            appliedIndex: group.appliedIndex,
            firstIndex: group.firstIndex,
            lastIndex: group.lastIndex,
            logBytes: host.log.retainedBytes,
            lag: lag,
            shards: group.id == .controller ? [] : group.tablets.map(\.shard)
        )
    }

    /// What storage did since the process started.
    ///
    /// Home scheduler.
    package var storageCounters: NodeStatus.Storage {
        var storage = NodeStatus.Storage()
        for group in sortedGroups {
            for hosted in group.tablets {
                let statistics = hosted.tablet.statistics
                storage.flushes += statistics.flushes
                storage.compactions += statistics.compactions
                storage.tables += UInt64(statistics.tablesPerLevel.reduce(0, +))
                storage.tableBytes += statistics.bytesPerLevel.reduce(0, +)
            }
        }
        storage.logCuts = UInt64(host.log.segmentsDropped)
        storage.snapshotsInstalled = snapshots.installedCount
        return storage
    }

    /// The groups that this node leads, and the terms.
    ///
    /// Home scheduler.
    package var reigns: [(group: GroupID, term: Term)] {
        sortedGroups.filter(\.isLeader).map { ($0.id, $0.term) }
    }

    /// Groups whose state here is void until a snapshot took its place, and why.
    package var quarantines: [(group: GroupID, reason: String)] {
        sortedGroups.compactMap { group in group.quarantine.map { (group.id, $0) } }
    }

    /// The feature level that the cluster uses.
    package var clusterFeatureLevel: UInt32 { controller.state.featureLevel }

    /// How often leadership was given away since the own disk did not follow.
    package var stepsAway: Int { sortedGroups.reduce(0) { $0 + Int($1.stepsAway) } }

    /// How many replicas were rebuilt since the process started.
    package var rebuilds: Int { sortedGroups.reduce(0) { $0 + Int($1.rebuilds) } }

    /// The applied index of each group, in the order of ids.
    package var appliedIndexes: [LogIndex] { sortedGroups.map(\.appliedIndex) }

    /// The commit index of each group, in the order of ids.
    package var commitIndexes: [LogIndex] { sortedGroups.map(\.commitIndex) }

    /// One line for a failed test.
    package var summary: String {
        sortedGroups.map { group in
            "group \(group.id) \(group.role) term \(group.term) leader \(group.leaderNode.map { "\($0)" } ?? "-")"
                + " commit \(group.commitIndex) applied \(group.appliedIndex) last \(group.lastIndex)"
                + (group.stopReason.map { " stopped: \($0)" } ?? "")
        }.joined(separator: "; ") + (isFormed ? "" : "; not formed")
    }
}
