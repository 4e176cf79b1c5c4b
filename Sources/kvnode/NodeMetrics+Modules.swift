import KVNode
import KVTelemetry

// What the modules counted, under the names that dashboards know.

extension NodeMetrics {
    func showRequests(_ node: NodeMeasurements, in registry: MetricRegistry) {
        let timings = node.timings
        for (stage, times) in [
            ("queue", timings.queue), ("propose", timings.propose), ("sync", timings.sync),
            ("replicate", timings.replicate), ("apply", timings.apply),
        ] {
            registry.histogram(.raftCommitStage, stage).set(times)
        }
        registry.histogram(.raftRequestLatency, "write").set(timings.writes)
        registry.histogram(.raftRequestLatency, "read").set(timings.reads)
        registry.histogram(.raftBatchRequests).set(timings.requestsPerEntry)
        registry.histogram(.raftReadBatchRequests).set(timings.readsPerRound)
        registry.counter(.slowRequestsTotal).set(timings.slow.total)
        registry.histogram(.raftBatchEntries).set(node.log.entriesPerSync)
        registry.histogram(.logWriteSeconds).set(node.log.writes)
        registry.histogram(.logSyncSeconds).set(node.log.syncs)
        registry.counter(.logWrittenBytesTotal).set(node.log.bytes)
        registry.gauge(.logSegments).set(Double(node.logSegments))
        let queues = node.queues
        for (queue, length) in [
            ("leader", queues.leader), ("proxied", queues.proxied), ("reads", queues.reads),
            ("barriers", queues.barriers), ("apply", queues.apply),
        ] {
            registry.gauge(.queueLength, queue).set(Double(length))
        }
        registry.gauge(.queueBytes, "proposals").set(Double(queues.proposalBytes))
        registry.gauge(.queueBytes, "log").set(Double(queues.logBytes))
        registry.counter(.snapshotsInstalledTotal).set(node.status.storage.snapshotsInstalled)
        registry.counter(.snapshotsSentTotal).set(node.snapshots.sent)
        registry.counter(.snapshotsFailedTotal).set(node.snapshots.failed)
        registry.gauge(.snapshotTransfers).set(Double(node.snapshots.transfers))
    }

    func showStorage(_ node: NodeMeasurements, in registry: MetricRegistry) {
        let (storage, told) = (node.storage, node.status.storage)
        registry.counter(.flushesTotal).set(told.flushes)
        registry.counter(.flushedBytesTotal).set(storage.flushedBytes)
        registry.counter(.compactionsTotal).set(told.compactions)
        registry.counter(.trivialMovesTotal).set(storage.trivialMoves)
        registry.counter(.compactionReadBytesTotal).set(storage.compactionBytesRead)
        registry.counter(.compactionWrittenBytesTotal).set(storage.compactionBytesWritten)
        registry.gauge(.compactionBacklogBytes).set(Double(storage.compactionBacklogBytes))
        registry.counter(.logCutsTotal).set(told.logCuts)
        registry.gauge(.tables).set(Double(told.tables))
        registry.gauge(.tableBytes).set(Double(told.tableBytes))
        for level in storage.tablesPerLevel.indices {
            registry.gauge(.levelFileCount, "\(level)").set(Double(storage.tablesPerLevel[level]))
            registry.gauge(.levelSizeBytes, "\(level)").set(Double(storage.bytesPerLevel[level]))
        }
        registry.counter(.writeStallsTotal).set(storage.stalls)
        registry.counter(.storageFailuresTotal).set(storage.failures)
        registry.gauge(.storagePressure).set(storage.pressure)
        registry.gauge(.sealedMemtables).set(Double(storage.sealedMemtables))
        registry.gauge(.memtableBytes).set(Double(storage.memtableBytes))
        registry.gauge(.memtableLimitBytes).set(Double(storage.memtableBytesMax))
        registry.counter(.blockCacheHitsTotal).set(storage.cacheHits)
        registry.counter(.blockCacheMissesTotal).set(storage.cacheMisses)
        registry.gauge(.blockCacheBytes).set(Double(storage.cacheBytes))
        registry.gauge(.blockCacheLimitBytes).set(Double(storage.cacheBytesMax))
        registry.counter(.bloomNegativesTotal).set(storage.filterNegatives)
        registry.counter(.bloomFalsePositivesTotal).set(storage.filterFalsePositives)
        for shard in node.shards {
            registry.gauge(.shardBytes, "\(shard.group)", "\(shard.shard)").set(Double(shard.bytes))
            registry.gauge(.shardMemtableBytes, "\(shard.group)", "\(shard.shard)").set(Double(shard.memtableBytes))
        }
    }
}
