// The names of all metrics: each is written once, here. docs/operations/metrics.md maps other systems' synonyms.

extension Metric {
    // MARK: Edges

    /// Operations by edge, operation and outcome.
    package static let operationsTotal = Metric(
        "kv_operations_total",
        .counter,
        labels: [.transport, .operation, .outcome],
        help: "Key-value operations that were answered."
    )
    /// Time from a request's bytes to its reply's.
    package static let operationsLatency = Metric(
        "kv_operations_latency_seconds",
        .histogram(bounds: latencyBounds),
        .seconds,
        labels: [.transport, .operation],
        help: "Time from reading an operation to writing its reply."
    )
    /// Requests by edge, method, route and status.
    package static let requestsTotal = Metric(
        "requests_total",
        .counter,
        labels: [.transport, .method, .endpoint, .code],
        help: "Requests that were answered."
    )
    /// Time by edge, method, route and status.
    package static let requestsSeconds = Metric(
        "requests_seconds",
        .histogram(bounds: latencyBounds),
        .seconds,
        labels: [.transport, .method, .endpoint, .code],
        help: "Time from a request's head to its response."
    )
    /// Time by HTTP method, route and status.
    package static let httpRequestDuration = Metric(
        "http_request_duration_seconds",
        .histogram(bounds: latencyBounds),
        .seconds,
        labels: [.method, .endpoint, .code],
        help: "Time from an HTTP request's head to its response."
    )
    /// Open client connections.
    package static let connections = Metric(
        "kv_connections",
        .gauge,
        labels: [.transport],
        help: "Client connections that are open."
    )
    /// Connections accepted since the start.
    package static let connectionsTotal = Metric(
        "kv_connections_total",
        .counter,
        labels: [.transport],
        help: "Client connections that were accepted."
    )
    /// Connections and requests turned away.
    package static let rejectedTotal = Metric(
        "kv_rejected_total",
        .counter,
        labels: [.transport, .reason],
        help: "Connections and requests that were turned away."
    )
    /// Bytes read from clients.
    package static let receivedBytesTotal = Metric(
        "kv_received_bytes_total",
        .counter,
        .bytes,
        labels: [.transport],
        help: "Bytes read from clients."
    )
    /// Bytes written to clients.
    package static let sentBytesTotal = Metric(
        "kv_sent_bytes_total",
        .counter,
        .bytes,
        labels: [.transport],
        help: "Bytes written to clients."
    )

    // MARK: Consensus

    /// 0 follower, 1 candidate, 2 leader.
    package static let raftState = Metric(
        "raft_state",
        .gauge,
        labels: [.group],
        help: "Role of this replica: 0 follower, 1 candidate, 2 leader."
    )
    /// The replica's term.
    package static let raftTerm = Metric("raft_term", .gauge, labels: [.group], help: "Term of this replica.")
    /// 1 on the leader.
    package static let raftIsLeader = Metric(
        "raft_is_leader",
        .gauge,
        labels: [.group],
        help: "Whether this replica leads its group."
    )
    /// The leader's node.
    package static let raftLeaderID = Metric(
        "raft_leader_id",
        .gauge,
        labels: [.group],
        help: "Node that leads the group; 0 where none is known."
    )
    /// The commit index.
    package static let raftCommittedIndex = Metric(
        "raft_committed_index",
        .gauge,
        labels: [.group],
        help: "Highest log index known to be committed."
    )
    /// The applied index.
    package static let raftAppliedIndex = Metric(
        "raft_applied_index",
        .gauge,
        labels: [.group],
        help: "Highest log index applied."
    )
    /// Entries in the log.
    package static let raftLogSize = Metric(
        "raft_log_size",
        .gauge,
        labels: [.group],
        help: "Entries in the group's log."
    )
    /// Bytes of the log.
    package static let raftLogBytes = Metric(
        "raft_log_bytes",
        .gauge,
        .bytes,
        labels: [.group],
        help: "Bytes of the group's log."
    )
    /// How far a follower is behind.
    package static let raftReplicationLag = Metric(
        "raft_replication_lag",
        .gauge,
        labels: [.group, .peer],
        help: "Entries that the follower is behind the leader's log end."
    )
    /// 1 where the node serves.
    package static let raftNodeHealth = Metric(
        "raft_node_health",
        .gauge,
        help: "Whether the node serves: every group has a leader that it knows."
    )
    /// Latency of requests inside the node.
    package static let raftRequestLatency = Metric(
        "raft_request_latency_seconds",
        .histogram(bounds: latencyBounds),
        .seconds,
        labels: [.operation],
        help: "Time from a request's arrival at its group to its outcome."
    )
    /// Elections begun here.
    package static let raftElectionsTotal = Metric(
        "raft_elections_total",
        .counter,
        labels: [.group],
        help: "Elections that this replica began."
    )
    /// Time of each stage of a commit.
    package static let raftCommitStage = Metric(
        "raft_commit_stage_seconds",
        .histogram(bounds: latencyBounds),
        .seconds,
        labels: [.stage],
        help: "Time a batch spends in each stage: append, sync, replicate, apply."
    )
    /// Entries a batch.
    package static let raftBatchEntries = Metric(
        "raft_batch_entries",
        .histogram(bounds: countBounds),
        help: "Entries appended at once."
    )

    // MARK: Storage

    /// Tables by level.
    package static let levelFileCount = Metric(
        "kv_level_file_count",
        .gauge,
        labels: [.level],
        help: "Tables on a level, over all tablets of the node."
    )
    /// Bytes by level.
    package static let levelSizeBytes = Metric(
        "kv_level_size_bytes",
        .gauge,
        .bytes,
        labels: [.level],
        help: "Bytes of a level's tables, over all tablets of the node."
    )
    /// Memtables flushed.
    package static let flushesTotal = Metric(
        "kv_flushes_total",
        .counter,
        help: "Memtables written to tables."
    )
    /// Compactions finished.
    package static let compactionsTotal = Metric(
        "kv_compactions_total",
        .counter,
        help: "Compactions that finished."
    )
    /// Log segments removed.
    package static let logCutsTotal = Metric("kv_log_cuts_total", .counter, help: "Log segments removed.")
    /// Tables in all.
    package static let tables = Metric("kv_tables", .gauge, help: "Tables of all tablets.")
    /// Bytes of tables in all.
    package static let tableBytes = Metric("kv_table_bytes", .gauge, .bytes, help: "Bytes of all tables.")
    /// Snapshots installed.
    package static let snapshotsInstalledTotal = Metric(
        "kv_snapshots_installed_total",
        .counter,
        help: "Snapshots installed from a peer."
    )

    // MARK: Process

    /// Processor time used.
    package static let processCPU = Metric(
        "process_cpu_seconds_total",
        .counter,
        .seconds,
        help: "Processor time used by the process."
    )
    /// Resident memory.
    package static let processResidentBytes = Metric(
        "process_resident_memory_bytes",
        .gauge,
        .bytes,
        help: "Resident memory of the process."
    )
    /// Open descriptors.
    package static let processOpenDescriptors = Metric(
        "process_open_fds",
        .gauge,
        help: "Open file descriptors of the process."
    )
    /// When the process started.
    package static let processStartTime = Metric(
        "process_start_time_seconds",
        .gauge,
        .seconds,
        help: "When the process started, in seconds since 1970."
    )
    /// Always 1; the version is a label.
    package static let buildInfo = Metric(
        "kv_build_info",
        .gauge,
        labels: [.version],
        help: "The program's version as a label; always 1."
    )
}
