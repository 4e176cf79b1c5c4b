import KVBase
import KVReplication
package import KVService
import KVStorage

// All numbers of the node, for whoever shows them.

extension Node {
    /// Gathers all numbers.
    ///
    /// Any thread; `completion` is called on the home scheduler.
    package func measure(completion: @escaping @Sendable (NodeMeasurements) -> Void) {
        onHome { [self] in completion(measurements) }
    }

    package func slowRequests(completion: @escaping @Sendable ([SlowRequest]) -> Void) {
        onHome { [self] in completion(host.timings.slow.newestFirst) }
    }

    /// All numbers now: a walk over the groups' tablets, without I/O.
    ///
    /// Home scheduler.
    package var measurements: NodeMeasurements {
        var found = NodeMeasurements(
            status: currentStatus,
            alarms: Set(standingAlarms.map(\.alarm)),
            timings: host.timings,
            log: host.log.timings,
            logSegments: host.log.segmentCount,
            snapshots: (snapshots.sentCount, snapshots.failedCount, snapshots.transferCount)
        )
        found.featureLevel = clusterFeatureLevel
        found.queues.leader = waiting.count
        found.queues.proxied = proxies.count
        found.queues.logBytes = host.log.queuedBytes
        for group in sortedGroups {
            add(group, to: &found)
            for hosted in group.tablets { add(hosted, of: group.id, to: &found) }
        }
        addShared(to: &found.storage)
        return found
    }

    private func add(_ group: GroupReplica, to found: inout NodeMeasurements) {
        found.groups.append(
            NodeMeasurements.Group(
                id: group.id,
                elections: group.electionsBegun,
                leaderChanges: group.leaderChanges,
                damagedMessages: group.damagedEntriesReceived,
                strayMessages: group.strayMessages,
                stalledNanoseconds: group.stalledTicks * settings.group.tickNanoseconds
            )
        )
        let queues = group.queues
        found.queues.reads += queues.reads
        found.queues.barriers += queues.barriers
        found.queues.apply += queues.applyEntries
        found.queues.proposalBytes += queues.proposalBytes
    }

    private func add(_ hosted: HostedTablet, of group: GroupID, to found: inout NodeMeasurements) {
        let statistics = hosted.tablet.statistics
        found.shards.append(
            NodeMeasurements.Shard(
                group: group,
                shard: hosted.shard,
                bytes: statistics.bytesPerLevel.reduce(0, +),
                memtableBytes: UInt64(statistics.activeMemtableBytes)
            )
        )
        found.storage.flushedBytes += statistics.flushedBytes
        found.storage.trivialMoves += statistics.trivialMoves
        found.storage.compactionBytesRead += statistics.compactionBytesRead
        found.storage.compactionBytesWritten += statistics.compactionBytesWritten
        found.storage.compactionBacklogBytes += hosted.tablet.compactionBacklogBytes
        found.storage.stalls += statistics.stalls
        found.storage.failures += statistics.failures
        found.storage.sealedMemtables += UInt64(statistics.sealedMemtables)
        found.storage.pressure = max(found.storage.pressure, hosted.tablet.pressure)
        found.storage.tablesPerLevel.add(statistics.tablesPerLevel.map { UInt64($0) })
        found.storage.bytesPerLevel.add(statistics.bytesPerLevel)
    }

    private func addShared(to storage: inout NodeMeasurements.Storage) {
        storage.memtableBytes = UInt64(max(0, shared.memtableBytes))
        storage.memtableBytesMax = UInt64(max(0, shared.memtableBytesMax))
        let lookups = shared.blockCache.lookups
        storage.cacheHits = lookups.hits
        storage.cacheMisses = lookups.misses
        storage.cacheBytes = UInt64(max(0, shared.blockCache.bytes))
        storage.cacheBytesMax = UInt64(max(0, shared.blockCache.bytesMax))
        storage.filterNegatives = shared.blockCache.filterNegatives
        storage.filterFalsePositives = shared.blockCache.filterFalsePositives
    }
}

extension [UInt64] {
    /// Adds number by number; grows where `other` is longer.
    fileprivate mutating func add(_ other: [UInt64]) {
        if count < other.count { append(contentsOf: repeatElement(0, count: other.count - count)) }
        for place in other.indices { self[place] += other[place] }
    }
}
