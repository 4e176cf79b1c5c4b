// What a node and its modules count; the edges' and the first names are in Metric+Names.swift. Each name is written once.

extension Metric {
    // MARK: Consensus

    /// Times that this replica heard of another leader than before.
    package static let raftLeaderChangesTotal = Metric(
        "raft_leader_changes_total",
        .counter,
        labels: [.group],
        help: "Times that this replica heard of another leader than before."
    )
    /// Messages from other replicas that were dropped: damaged on the way, or stray.
    package static let raftMessagesRefusedTotal = Metric(
        "raft_messages_refused_total",
        .counter,
        labels: [.group, .reason],
        help: "Messages from other replicas that were dropped: damaged on the way, or stray."
    )
    /// Writes that one log entry carries.
    package static let raftBatchRequests = Metric(
        "raft_batch_requests",
        .histogram(bounds: countBounds),
        help: "Writes that one log entry carries."
    )
    /// Linearizable reads that share a round.
    package static let raftReadBatchRequests = Metric(
        "raft_read_batch_requests",
        .histogram(bounds: countBounds),
        help: "Linearizable reads that share a round."
    )
    /// Entries and rounds of reads that took longer than logging.slow_request.
    package static let slowRequestsTotal = Metric(
        "kv_slow_requests_total",
        .counter,
        help: "Entries and rounds of reads that took longer than logging.slow_request."
    )
    /// Snapshots sent to a peer and installed there.
    package static let snapshotsSentTotal = Metric(
        "kv_snapshots_sent_total",
        .counter,
        help: "Snapshots sent to a peer and installed there."
    )
    /// Snapshots to a peer that were given up or refused.
    package static let snapshotsFailedTotal = Metric(
        "kv_snapshots_failed_total",
        .counter,
        help: "Snapshots to a peer that were given up or refused."
    )
    /// Snapshots that are being sent or received.
    package static let snapshotTransfers = Metric(
        "kv_snapshot_transfers",
        .gauge,
        help: "Snapshots that are being sent or received."
    )

    // MARK: The log

    /// Time to frame and write a batch of the log, before its sync.
    package static let logWriteSeconds = Metric(
        "kv_log_write_seconds",
        .histogram(bounds: latencyBounds),
        .seconds,
        help: "Time to frame and write a batch of the log, before its sync."
    )
    /// Time of a sync of the log (fdatasync).
    package static let logSyncSeconds = Metric(
        "kv_log_sync_seconds",
        .histogram(bounds: latencyBounds),
        .seconds,
        help: "Time of a sync of the log (fdatasync)."
    )
    /// Bytes written to the log.
    package static let logWrittenBytesTotal = Metric(
        "kv_log_written_bytes_total",
        .counter,
        .bytes,
        help: "Bytes written to the log."
    )
    /// Files of the log.
    package static let logSegments = Metric(
        "kv_log_segments",
        .gauge,
        help: "Files of the log."
    )

    // MARK: Queues and peers

    /// What waits: leader (requests without a leader), proxied (sent to another node), reads, barriers (scans), apply (entries).
    package static let queueLength = Metric(
        "kv_queue_length",
        .gauge,
        labels: [.queue],
        help:
            "What waits: leader (requests without a leader), proxied (sent to another node), reads, barriers (scans), apply (entries)."
    )
    /// Bytes that wait: proposals (not committed yet), log (not durable yet).
    package static let queueBytes = Metric(
        "kv_queue_bytes",
        .gauge,
        .bytes,
        labels: [.queue],
        help: "Bytes that wait: proposals (not committed yet), log (not durable yet)."
    )
    /// Whether the connection to another node stands.
    package static let peerConnected = Metric(
        "kv_peer_connected",
        .gauge,
        labels: [.peer],
        help: "Whether the connection to another node stands."
    )
    /// Bytes that wait to be sent to another node.
    package static let peerQueueBytes = Metric(
        "kv_peer_queue_bytes",
        .gauge,
        .bytes,
        labels: [.peer],
        help: "Bytes that wait to be sent to another node."
    )
    /// Bytes sent to another node, snapshots aside.
    package static let peerSentBytesTotal = Metric(
        "kv_peer_sent_bytes_total",
        .counter,
        .bytes,
        labels: [.peer],
        help: "Bytes sent to another node, snapshots aside."
    )

    // MARK: Storage

    /// Bytes of tables that flushes wrote.
    package static let flushedBytesTotal = Metric(
        "kv_flushed_bytes_total",
        .counter,
        .bytes,
        help: "Bytes of tables that flushes wrote."
    )
    /// Bytes that compactions read.
    package static let compactionReadBytesTotal = Metric(
        "kv_compaction_read_bytes_total",
        .counter,
        .bytes,
        help: "Bytes that compactions read."
    )
    /// Bytes that compactions wrote.
    package static let compactionWrittenBytesTotal = Metric(
        "kv_compaction_written_bytes_total",
        .counter,
        .bytes,
        help: "Bytes that compactions wrote."
    )
    /// Bytes of tables that are above their level's target and wait for compaction.
    package static let compactionBacklogBytes = Metric(
        "kv_compaction_backlog_bytes",
        .gauge,
        .bytes,
        help: "Bytes of tables that are above their level's target and wait for compaction."
    )
    /// Tables that changed their level without being rewritten.
    package static let trivialMovesTotal = Metric(
        "kv_trivial_moves_total",
        .counter,
        help: "Tables that changed their level without being rewritten."
    )
    /// Batches refused by a tablet whose memtables were full.
    package static let writeStallsTotal = Metric(
        "kv_write_stalls_total",
        .counter,
        help: "Batches refused by a tablet whose memtables were full."
    )
    /// Time in which nothing was proposed because flush or compaction is behind.
    package static let writeStallSecondsTotal = Metric(
        "kv_write_stall_seconds_total",
        .counter,
        .seconds,
        labels: [.group],
        help: "Time in which nothing was proposed because flush or compaction is behind."
    )
    /// Flushes and compactions that failed and are retried.
    package static let storageFailuresTotal = Metric(
        "kv_storage_failures_total",
        .counter,
        help: "Flushes and compactions that failed and are retried."
    )
    /// How far flush and compaction are behind: 0 idle, 1 writes wait.
    package static let storagePressure = Metric(
        "kv_storage_pressure",
        .gauge,
        help: "How far flush and compaction are behind: 0 idle, 1 writes wait."
    )
    /// Memory that holds what is not in tables yet.
    package static let memtableBytes = Metric(
        "kv_memtable_bytes",
        .gauge,
        .bytes,
        help: "Memory that holds what is not in tables yet."
    )
    /// How much of it there may be before memtables are flushed early.
    package static let memtableLimitBytes = Metric(
        "kv_memtable_limit_bytes",
        .gauge,
        .bytes,
        help: "How much of it there may be before memtables are flushed early."
    )
    /// Memtables that wait for their flush.
    package static let sealedMemtables = Metric(
        "kv_sealed_memtables",
        .gauge,
        help: "Memtables that wait for their flush."
    )
    /// Blocks found in memory.
    package static let blockCacheHitsTotal = Metric(
        "kv_block_cache_hits_total",
        .counter,
        help: "Blocks found in memory."
    )
    /// Blocks that were not in memory.
    package static let blockCacheMissesTotal = Metric(
        "kv_block_cache_misses_total",
        .counter,
        help: "Blocks that were not in memory."
    )
    /// Memory that holds blocks of tables.
    package static let blockCacheBytes = Metric(
        "kv_block_cache_bytes",
        .gauge,
        .bytes,
        help: "Memory that holds blocks of tables."
    )
    /// How much memory blocks may take.
    package static let blockCacheLimitBytes = Metric(
        "kv_block_cache_limit_bytes",
        .gauge,
        .bytes,
        help: "How much memory blocks may take."
    )
    /// Tables that a lookup left out because the filter said that the key is not there.
    package static let bloomNegativesTotal = Metric(
        "kv_bloom_negatives_total",
        .counter,
        help: "Tables that a lookup left out because the filter said that the key is not there."
    )
    /// Tables that a lookup searched in vain although the filter let it.
    package static let bloomFalsePositivesTotal = Metric(
        "kv_bloom_false_positives_total",
        .counter,
        help: "Tables that a lookup searched in vain although the filter let it."
    )
    /// Bytes of a shard's tables on this node.
    package static let shardBytes = Metric(
        "kv_shard_bytes",
        .gauge,
        .bytes,
        labels: [.group, .shard],
        help: "Bytes of a shard's tables on this node."
    )
    /// Bytes of a shard's memtable that takes writes.
    package static let shardMemtableBytes = Metric(
        "kv_shard_memtable_bytes",
        .gauge,
        .bytes,
        labels: [.group, .shard],
        help: "Bytes of a shard's memtable that takes writes."
    )

    // MARK: The node

    /// 1 while an alarm stands; docs/operations/alarms.md says what to do.
    package static let alarm = Metric(
        "kv_alarm",
        .gauge,
        labels: [.alarm],
        help: "1 while an alarm stands; docs/operations/alarms.md says what to do."
    )
    /// The feature level that the cluster uses; a program that supports a lower one refuses its data.
    package static let featureLevel = Metric(
        "kv_feature_level",
        .gauge,
        help: "The feature level that the cluster uses; a program that supports a lower one refuses its data."
    )
    /// Room left on the disk.
    package static let diskFreeBytes = Metric(
        "kv_disk_free_bytes",
        .gauge,
        .bytes,
        labels: [.place],
        help: "Room left on the disk."
    )
    /// Size of the disk.
    package static let diskSizeBytes = Metric(
        "kv_disk_size_bytes",
        .gauge,
        .bytes,
        labels: [.place],
        help: "Size of the disk."
    )
    /// Memory that the process may use: its control group's bound, else the machine's.
    package static let memoryLimitBytes = Metric(
        "kv_memory_limit_bytes",
        .gauge,
        .bytes,
        help: "Memory that the process may use: its control group's bound, else the machine's."
    )
    /// File descriptors that the process may open.
    package static let processMaxDescriptors = Metric(
        "process_max_fds",
        .gauge,
        help: "File descriptors that the process may open."
    )
    /// Threads of the process.
    package static let processThreads = Metric(
        "process_threads",
        .gauge,
        help: "Threads of the process."
    )
    /// Address space of the process.
    package static let processVirtualBytes = Metric(
        "process_virtual_memory_bytes",
        .gauge,
        .bytes,
        help: "Address space of the process."
    )
}
