extension Metric {
    /// Metrics past the registry's bound.
    static let droppedTotal = Metric(
        "kv_metrics_dropped_total",
        .counter,
        help: "Metrics past the bound that are not shown."
    )

    /// Every metric that the program defines; libraries' own come beside them.
    ///
    /// docs/operations/metrics.md has the same, and a test compares the two.
    package static let all: [Metric] = [
        .operationsTotal, .operationsLatency, .requestsTotal, .requestsSeconds, .httpRequestDuration, .connections,
        .connectionsTotal, .rejectedTotal, .receivedBytesTotal, .sentBytesTotal, .raftState, .raftTerm,
        .raftIsLeader, .raftLeaderID, .raftCommittedIndex, .raftAppliedIndex, .raftLogSize, .raftLogBytes,
        .raftReplicationLag, .raftNodeHealth, .raftRequestLatency, .raftElectionsTotal, .raftCommitStage,
        .raftBatchEntries, .levelFileCount, .levelSizeBytes, .flushesTotal, .compactionsTotal, .logCutsTotal,
        .tables, .tableBytes, .snapshotsInstalledTotal, .processCPU, .processResidentBytes, .processOpenDescriptors,
        .processStartTime, .buildInfo, .raftLeaderChangesTotal, .raftMessagesRefusedTotal, .raftBatchRequests,
        .raftReadBatchRequests, .slowRequestsTotal, .snapshotsSentTotal, .snapshotsFailedTotal, .snapshotTransfers,
        .logWriteSeconds, .logSyncSeconds, .logWrittenBytesTotal, .logSegments, .queueLength, .queueBytes,
        .peerConnected, .peerQueueBytes, .peerSentBytesTotal, .flushedBytesTotal, .compactionReadBytesTotal,
        .compactionWrittenBytesTotal, .compactionBacklogBytes, .trivialMovesTotal, .writeStallsTotal,
        .writeStallSecondsTotal, .storageFailuresTotal, .storagePressure, .memtableBytes, .memtableLimitBytes,
        .sealedMemtables, .blockCacheHitsTotal, .blockCacheMissesTotal, .blockCacheBytes, .blockCacheLimitBytes,
        .bloomNegativesTotal, .bloomFalsePositivesTotal, .shardBytes, .shardMemtableBytes, .alarm, .featureLevel,
        .diskFreeBytes, .diskSizeBytes, .memoryLimitBytes, .processMaxDescriptors, .processThreads,
        .processVirtualBytes, .droppedTotal,
    ]
}
