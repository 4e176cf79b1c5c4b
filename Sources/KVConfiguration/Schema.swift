import KVBase

/// The table of all settings: the only place where a key, its range, its default and its meaning are written down.
enum Schema {
    /// What the name of every overriding variable begins with.
    static let variablePrefix = "KVNODE_"

    /// Variables with the prefix that are no settings: where the file is.
    static let reservedVariables: Set<String> = ["KVNODE_CONFIG"]

    /// What the first key of a path groups, in the order of the reference file.
    static let sections: [(name: String, documentation: String)] = [
        ("insecure", ""),
        ("node", "This node."),
        (
            "cluster",
            "The cluster as it is first set up. Read when the data directory is created; later changes go through kvctl."
        ),
        ("resp", "The listener for Redis clients."),
        (
            "resp_cluster",
            "A second listener for Redis clients, for those that speak to Redis Cluster: it sends them to the node that leads a "
                + "key's shard (MOVED) instead of serving every key."
        ),
        ("http", "The listener for HTTP: API, administration, metrics and health."),
        ("grpc", "The listener for gRPC: docs/grpc.md."),
        ("peer", "The listener for other nodes, and the connections to them."),
        ("tls", "Certificates; renewed files are taken over without a restart. scripts/certificates makes some."),
        ("auth", "Who may do what: kvctl user, docs/operations/security.md."),
        ("raft", "Consensus."),
        ("log", "The log that all groups of this node share."),
        ("storage", "The storage engine; memory is shared by all tablets of this node."),
        ("limits", "What one client may ask for."),
        ("request", "How long a request may take."),
        ("threads", "Processors."),
        ("logging", "What this node writes to standard error."),
        ("metrics", "What this node measures."),
        ("alarms", "From when on this node says that it runs short; each alarm clears itself."),
    ]

    /// Every setting, in the order of the reference file.
    static let all: [Setting] = basics + listeners + security + consensus + storage + serving + watching

    /// The settings by their paths.
    static let byPath: [String: Setting] = Dictionary(uniqueKeysWithValues: all.map { ($0.path, $0) })

    private static let basics: [Setting] = [
        .flag(
            "insecure",
            \.isInsecure,
            "false",
            "Allows listeners that other machines can reach and that lack TLS or authentication: whoever reaches one may read and write."
        ),
        .nodeID(
            "node.id",
            \.node.id,
            example: "1",
            "The number of this node, never used again for another host."
        ),
        .text(
            "node.data_dir",
            \.node.dataDirectory,
            .required(example: "data"),
            bytesMax: 4096,
            "Where everything is stored; a relative path starts at the working directory. Created where it is missing."
        ),
        .text(
            "cluster.name",
            \.cluster.name,
            .text("kv"),
            bytesMax: 128,
            "Part of the id that tells this cluster from others; the same on every node, fixed once the cluster exists."
        ),
        .members(
            "cluster.nodes",
            \.cluster.nodes,
            "This node alone, at peer.advertise.",
            "The nodes of the first configuration and where they reach each other. The same on every node. "
                + "In the environment: 1=host:port,2=host:port."
        ),
        .count(
            "cluster.shards",
            \.cluster.shards,
            String(Limits.shardCountDefault),
            1...1024,
            "Into how many shards the keys are split; fixed once the cluster exists."
        ),
    ]

    private static let listeners: [Setting] = [
        .address("resp.listen", \.resp.listen, "127.0.0.1:6400", "Where to listen; port 0 lets the system choose."),
        .optionalAddress(
            "resp.advertise",
            \.resp.advertise,
            "The same as resp.listen.",
            "What clients are told, if it differs from where this node listens."
        ),
        .flag("resp.tls", \.tls.isOnRESP, "false", "Whether it speaks TLS; needs tls.certificate and tls.key."),
        .duration(
            "resp.idle_timeout",
            \.respLimits.idleTimeout,
            "1h",
            .milliseconds(0)...(.seconds(86_400)),
            "How long a client may be connected without sending a command; 0ms for as long as it likes."
        ),
        .duration(
            "resp.command_timeout",
            \.respLimits.commandTimeout,
            "60s",
            .milliseconds(100)...(.seconds(3_600)),
            "How long a command may take to come whole."
        ),
        .duration(
            "resp.write_timeout",
            \.respLimits.writeTimeout,
            "60s",
            .milliseconds(100)...(.seconds(3_600)),
            "How long a client may leave replies unread."
        ),
        .optionalAddress(
            "resp_cluster.listen",
            \.respCluster.listen,
            "There is none.",
            "Where to listen; port 0 lets the system choose."
        ),
        .optionalAddress(
            "resp_cluster.advertise",
            \.respCluster.advertise,
            "The same as resp_cluster.listen.",
            "What clients are told, if it differs from where this node listens."
        ),
        .address("http.listen", \.http.listen, "127.0.0.1:8080", "Where to listen; port 0 lets the system choose."),
        .optionalAddress(
            "http.advertise",
            \.http.advertise,
            "The same as http.listen.",
            "What clients are told, if it differs from where this node listens."
        ),
        .flag("http.tls", \.tls.isOnHTTP, "false", "Whether it speaks TLS; needs tls.certificate and tls.key."),
        .flag(
            "http.query_routes",
            \.httpLimits.queryRoutes,
            "false",
            "Serves GET /put?key=&val=, /get?key= and /delete?key=, for load tools that can only send GET."
        ),
        .optionalText(
            "http.cors_origins",
            \.httpLimits.corsOrigins,
            .none("None."),
            bytesMax: 4096,
            "The origins whose pages may call this listener from a browser, with spaces between them, such as "
                + "https://app.example.com; * is any."
        ),
        .duration(
            "http.idle_timeout",
            \.httpLimits.idleTimeout,
            "60s",
            .milliseconds(100) ... .seconds(3_600),
            "How long a connection may be without a whole request, or a part of its body."
        ),
        .duration(
            "http.body_timeout",
            \.httpLimits.bodyTimeout,
            "30s",
            .milliseconds(100) ... .seconds(3_600),
            "How long a request's body may take to come."
        ),
        .duration(
            "http.write_timeout",
            \.httpLimits.writeTimeout,
            "60s",
            .milliseconds(100) ... .seconds(3_600),
            "How long a client may leave an answer unread."
        ),
        .address("grpc.listen", \.grpc.listen, "127.0.0.1:9080", "Where to listen; port 0 lets the system choose."),
        .optionalAddress(
            "grpc.advertise",
            \.grpc.advertise,
            "The same as grpc.listen.",
            "What clients are told, if it differs from where this node listens."
        ),
        .flag("grpc.tls", \.tls.isOnGRPC, "false", "Whether it speaks TLS; needs tls.certificate and tls.key."),
        .count(
            "grpc.calls",
            \.grpcLimits.calls,
            "128",
            1...65_536,
            "How many calls of one connection may be open at once; clients know of it and wait."
        ),
        .duration(
            "grpc.idle_timeout",
            \.grpcLimits.idleTimeout,
            "5m",
            .milliseconds(100) ... .seconds(86_400),
            "How long a connection may be without a call."
        ),
        .duration(
            "grpc.message_timeout",
            \.grpcLimits.messageTimeout,
            "30s",
            .milliseconds(100) ... .seconds(3_600),
            "How long a call's message may take to come once the call has begun."
        ),
        .duration(
            "grpc.write_timeout",
            \.grpcLimits.writeTimeout,
            "60s",
            .milliseconds(100) ... .seconds(3_600),
            "How long a client may leave an answer unread."
        ),
        .address("peer.listen", \.peer.listen, "127.0.0.1:7400", "Where to listen; port 0 lets the system choose."),
        .optionalAddress(
            "peer.advertise",
            \.peer.advertise,
            "This node's address in cluster.nodes, else the same as peer.listen.",
            "Where other nodes reach this one; resolved again at every new connection."
        ),
        .flag(
            "peer.tls",
            \.tls.isOnPeer,
            "false",
            "Whether nodes prove to each other who they are, both sides by certificates of tls.ca; the same on every node."
        ),
        .duration(
            "peer.connect_timeout",
            \.peerLinks.connectTimeout,
            "1s",
            .milliseconds(50)...(.seconds(60)),
            "How long a connection to another node may take to open, handshake included."
        ),
        .duration(
            "peer.idle_timeout",
            \.peerLinks.idleTimeout,
            "2s",
            .milliseconds(100)...(.seconds(300)),
            "A connection on which nothing arrived for this long is closed and opened anew; at least four heartbeats."
        ),
        .bytes(
            "peer.queue_bytes_max",
            \.peerLinks.queueBytesMax,
            "64MiB",
            1 << 20...1 << 32,
            "How much may wait for one other node before messages to it are dropped (they are sent again later)."
        ),
        .bytes(
            "peer.bulk_bytes_per_second",
            \.peerLinks.bulkBytesPerSecond,
            "64MiB",
            64 << 10...1 << 36,
            "How fast snapshots are sent to one other node."
        ),
    ]

    private static let security: [Setting] = [
        .optionalText(
            "tls.certificate",
            \.tls.certificate,
            .none("No TLS."),
            bytesMax: 4096,
            "The file of this node's certificate and those between it and the authority's, in PEM."
        ),
        .optionalText("tls.key", \.tls.key, .none("No TLS."), bytesMax: 4096, "The file of its private key, in PEM."),
        .optionalText(
            "tls.ca",
            \.tls.authority,
            .none("Needed for peer.tls only."),
            bytesMax: 4096,
            "The file of the certificates by which other nodes are believed, in PEM: one authority for this purpose alone."
        ),
        .duration(
            "tls.reload_interval",
            \.tls.reloadInterval,
            "10s",
            .milliseconds(100)...(.seconds(3600)),
            "How often the files are looked at; new connections use what is found if it is whole."
        ),
        .flag(
            "auth.required",
            \.authentication.isRequired,
            "false",
            "Clients must prove who they are, even before 'kvctl auth enable'."
        ),
        .optionalText(
            "auth.bootstrap_file",
            \.authentication.bootstrapFile,
            .none("None."),
            bytesMax: 4096,
            "A file with the line name:password of the first administrator, made where the cluster has none yet."
        ),
        .optionalText(
            "auth.recovery_file",
            \.authentication.recoveryFile,
            .none("None."),
            bytesMax: 4096,
            "The way back in: a file with the line name:password of an administrator, who is given that password at the start. "
                + "Remove it afterwards."
        ),
    ]

    private static let consensus: [Setting] = [
        .duration(
            "raft.heartbeat",
            \.raft.heartbeat,
            "50ms",
            .milliseconds(5)...(.seconds(10)),
            "How often a leader is heard of; more than the time of a round trip between nodes."
        ),
        .duration(
            "raft.election_timeout",
            \.raft.electionTimeout,
            "250ms",
            .milliseconds(20)...(.seconds(60)),
            "A follower that hears nothing for this long, up to twice as long, elects another leader; at least two heartbeats."
        ),
        .bytes(
            "raft.batch_bytes_max",
            \.raft.batchBytesMax,
            "1MiB",
            4 << 10...16 << 20,
            "How much goes into one message to a follower; one larger entry goes alone."
        ),
        .count(
            "raft.inflight_messages",
            \.raft.inflightMessages,
            "64",
            1...4096,
            "How many messages to one follower may be unanswered."
        ),
        .bytes(
            "raft.inflight_bytes",
            \.raft.inflightBytes,
            "16MiB",
            64 << 10...1 << 30,
            "How much to one follower may be unanswered; at least raft.batch_bytes_max."
        ),
        .bytes(
            "raft.uncommitted_bytes_max",
            \.raft.uncommittedBytesMax,
            "64MiB",
            1 << 20...1 << 32,
            "How much a leader takes on that is not committed yet; what comes beyond is refused as overloaded. "
                + "At least limits.value_bytes."
        ),
        .optionalText(
            "log.dir",
            \.log.directory,
            .none("The folder log in node.data_dir."),
            bytesMax: 4096,
            "Puts the log elsewhere, such as on another disk."
        ),
        .bytes(
            "log.segment_bytes",
            \.log.segmentBytes,
            "64MiB",
            1 << 20...1 << 30,
            "How large one file of the log is; files are made and filled with zeros ahead of use."
        ),
        .bytes(
            "log.retain.bytes",
            \.log.retainBytes,
            "512MiB",
            2 << 20...1 << 40,
            "How much log is kept for slow followers; one that falls further behind is sent a snapshot. At least two segments."
        ),
        .count(
            "log.retain.entries",
            \.log.retainEntries,
            "0",
            0...1_000_000_000_000,
            "How many entries of each group are enough for slow followers, whatever log.retain.bytes has room for; 0 for any number."
        ),
        .duration(
            "log.retain.time",
            \.log.retainTime,
            "0ms",
            .milliseconds(0)...(.seconds(31_536_000)),
            "How long log is kept for slow followers, whatever log.retain.bytes has room for; 0ms for ever."
        ),
        .bytes(
            "log.retained_max",
            \.log.retainedMax,
            "2GiB",
            4 << 20...1 << 42,
            "How large the log may grow while a snapshot is sent: past it the transfer is given up with an alarm. At least log.retain.bytes."
        ),
    ]

    private static let storage: [Setting] = [
        .bytes(
            "storage.memtable_bytes",
            \.storage.memtableBytes,
            "16MiB",
            64 << 10...64 << 20,
            "How much one tablet gathers in memory before it writes a table."
        ),
        .bytes(
            "storage.memory_budget",
            \.storage.memoryBudgetBytes,
            "768MiB",
            8 << 20...1 << 44,
            "How much memory the tables in memory of all tablets and the block cache take together; past it the largest are flushed."
        ),
        .bytes(
            "storage.block_cache_bytes",
            \.storage.blockCacheBytes,
            "256MiB",
            1 << 20...1 << 44,
            "How much of the budget caches blocks of tables; below storage.memory_budget."
        ),
        .choice(
            "storage.compression",
            \.storage.compression,
            .zstd,
            "How tables are compressed; applies to tables written from then on."
        ),
        .count(
            "storage.l0.compact_at",
            \.storage.levelZeroCompactAt,
            "4",
            2...100,
            "How many tables in level 0 start a compaction."
        ),
        .count(
            "storage.l0.slow_at",
            \.storage.levelZeroSlowAt,
            "8",
            3...200,
            "From how many tables in level 0 on writes are slowed; more than storage.l0.compact_at."
        ),
        .count(
            "storage.l0.stop_at",
            \.storage.levelZeroStopAt,
            "20",
            4...400,
            "From how many tables in level 0 on writes are refused as overloaded; more than storage.l0.slow_at."
        ),
        .count("storage.threads.read", \.storage.readThreads, "4", 1...256, "How many threads read blocks from disk."),
        .count(
            "storage.threads.background",
            \.storage.backgroundThreads,
            "2",
            1...64,
            "How many threads flush and compact, at lower priority."
        ),
    ]

    private static let serving: [Setting] = [
        .bytes(
            "limits.key_bytes",
            \.limits.keyBytes,
            formatBytes(Limits.keyBytesDefault),
            1...Limits.keyBytesMax,
            "The longest key."
        ),
        .bytes(
            "limits.value_bytes",
            \.limits.valueBytes,
            formatBytes(Limits.valueBytesDefault),
            1...Limits.valueBytesMax,
            "The longest value."
        ),
        .count(
            "limits.connections",
            \.limits.connections,
            "10000",
            1...1_000_000,
            "How many clients may be connected to one listener; one more is refused."
        ),
        .count(
            "limits.pipeline",
            \.limits.pipeline,
            "1024",
            1...65_536,
            "How many requests of one connection may be unanswered before it is read no further."
        ),
        .duration(
            "request.leader_wait",
            \.request.leaderWait,
            "1s",
            .milliseconds(0)...(.seconds(60)),
            "How long a request waits for a leader to be elected before it fails; at most request.timeout."
        ),
        .duration(
            "request.timeout",
            \.request.timeout,
            "5s",
            .milliseconds(10)...(.seconds(600)),
            "How long a request may take before its client hears that the outcome is unknown."
        ),
        .count(
            "threads.loops",
            \.threads.loops,
            "0",
            0...256,
            "How many threads serve clients; 0 takes as many as there are processors."
        ),
        .choice(
            "logging.level",
            \.logging.level,
            .info,
            "From which level on is logged; kvctl log-level changes it while running."
        ),
        .choice("logging.format", \.logging.format, .text, "Lines for people, or one JSON object a line."),
        .duration(
            "logging.slow_request",
            \.logging.slowRequest,
            "250ms",
            .milliseconds(0)...(.seconds(3600)),
            "From which time on a request is kept in the slow log and logged with the time of each stage; 0ms for never."
        ),
        .flag(
            "metrics.requests",
            \.metrics.countsRequests,
            "true",
            "Whether requests are counted and timed; without, /metrics shows the rest, and the node's slow log stays empty."
        ),
    ]

    private static let watching: [Setting] = [
        .bytes(
            "alarms.disk_free",
            \.alarms.diskFreeBytes,
            "1GiB",
            0...1 << 50,
            "Less room than this on the disk of the data or the log raises disk_low; a tenth of the disk where that is less."
        ),
        .count(
            "alarms.memory_percent",
            \.alarms.memoryPercent,
            "90",
            1...100,
            "A process that takes this share of the memory it may have raises memory_high."
        ),
        .count(
            "alarms.descriptors_percent",
            \.alarms.descriptorsPercent,
            "80",
            1...100,
            "A process that has this share of its file descriptors open raises descriptors_low."
        ),
    ]
}
