package import KVBase

/// A node of the cluster as it is first set up.
package struct Member: Hashable, Sendable {
    /// Its id.
    package let id: NodeID
    /// Where other nodes reach it.
    package let peer: HostPort

    /// The node with this id and address.
    package init(id: NodeID, peer: HostPort) {
        self.id = id
        self.peer = peer
    }
}

/// How the tables of the storage engine are compressed.
package enum Compression: String, CaseIterable, Sendable {
    case zstd
    case none
}

/// From which level on a node logs.
package enum LogLevel: String, CaseIterable, Sendable {
    case trace
    case debug
    case info
    case notice
    case warning
    case error
    case critical
}

/// How a log line looks.
package enum LogFormat: String, CaseIterable, Sendable {
    case text
    case json
}

/// A node's whole configuration, typed and checked.
///
/// What each field means, its range and its default stand in `Schema`; a value of this type is only handed out with
/// every field set from there.
package struct NodeConfiguration: Sendable, Equatable {
    /// This node.
    package struct Node: Sendable, Equatable {
        /// The value of `node.id`.
        package var id = NodeID(0)
        /// The value of `node.data_dir`.
        package var dataDirectory = ""
    }
    /// The cluster as it is first set up.
    package struct Cluster: Sendable, Equatable {
        /// The value of `cluster.name`.
        package var name = ""
        /// The value of `cluster.nodes`; never empty once loaded: a node without a list is a cluster of one.
        package var nodes: [Member] = []
        /// The value of `cluster.shards`.
        package var shards = 0
    }
    /// One listener.
    package struct Listener: Sendable, Equatable {
        /// Where it listens.
        package var listen = HostPort(host: "", port: 0)
        /// What others are told; once loaded it is always set, to `listen` where nothing else was said.
        package var advertise: HostPort?
        /// What others are told.
        package var advertised: HostPort { advertise ?? listen }
    }
    /// The settings under `tls`, and which listeners use it.
    package struct TLS: Sendable, Equatable {
        /// The value of `tls.certificate`.
        package var certificate: String?
        /// The value of `tls.key`.
        package var key: String?
        /// The value of `tls.ca`.
        package var authority: String?
        /// The value of `tls.reload_interval`.
        package var reloadInterval = Duration.zero
        /// The value of `resp.tls`.
        package var isOnRESP = false
        /// The value of `http.tls`.
        package var isOnHTTP = false
        /// The value of `grpc.tls`.
        package var isOnGRPC = false
        /// The value of `peer.tls`.
        package var isOnPeer = false
        /// Whether any listener uses it.
        package var isOn: Bool { isOnRESP || isOnHTTP || isOnGRPC || isOnPeer }
    }
    /// The settings under `auth`.
    package struct Authentication: Sendable, Equatable {
        /// The value of `auth.required`.
        package var isRequired = false
        /// The value of `auth.bootstrap_file`.
        package var bootstrapFile: String?
        /// The value of `auth.recovery_file`.
        package var recoveryFile: String?
    }
    /// Where a listener is that need not be.
    package struct OptionalListener: Sendable, Equatable {
        /// Where it listens, if at all.
        package var listen: HostPort?
        /// What others are told.
        package var advertise: HostPort?
        /// The listener, where there is one.
        package var listener: Listener? {
            listen.map { Listener(listen: $0, advertise: advertise) }
        }
    }
    /// What else is set for the Redis protocol.
    package struct RESPLimits: Sendable, Equatable {
        /// The value of `resp.idle_timeout`; zero is for ever.
        package var idleTimeout: Duration = .seconds(3_600)
        /// The value of `resp.command_timeout`.
        package var commandTimeout: Duration = .seconds(60)
        /// The value of `resp.write_timeout`.
        package var writeTimeout: Duration = .seconds(60)
    }
    /// What else is set for HTTP.
    package struct HTTPLimits: Sendable, Equatable {
        /// The value of `http.query_routes`.
        package var queryRoutes = false
        /// The value of `http.cors_origins`: origins with spaces between them.
        package var corsOrigins: String?
        /// The value of `http.idle_timeout`.
        package var idleTimeout: Duration = .seconds(60)
        /// The value of `http.body_timeout`.
        package var bodyTimeout: Duration = .seconds(30)
        /// The value of `http.write_timeout`.
        package var writeTimeout: Duration = .seconds(60)
    }
    /// What else is set for gRPC.
    package struct GRPCLimits: Sendable, Equatable {
        /// The value of `grpc.idle_timeout`.
        package var idleTimeout: Duration = .seconds(300)
        /// The value of `grpc.message_timeout`.
        package var messageTimeout: Duration = .seconds(30)
        /// The value of `grpc.write_timeout`.
        package var writeTimeout: Duration = .seconds(60)
        /// The value of `grpc.calls`.
        package var calls = 0
    }
    /// The settings under `raft`.
    package struct Raft: Sendable, Equatable {
        /// The value of `raft.heartbeat`.
        package var heartbeat = Duration.zero
        /// The value of `raft.election_timeout`.
        package var electionTimeout = Duration.zero
        /// The value of `raft.batch_bytes_max`.
        package var batchBytesMax = 0
        /// The value of `raft.inflight_messages`.
        package var inflightMessages = 0
        /// The value of `raft.inflight_bytes`.
        package var inflightBytes = 0
        /// The value of `raft.uncommitted_bytes_max`.
        package var uncommittedBytesMax = 0
    }
    /// The settings under `log`.
    package struct Log: Sendable, Equatable {
        /// The value of `log.dir`; nil is `log` in the data directory.
        package var directory: String?
        /// The value of `log.segment_bytes`.
        package var segmentBytes = 0
        /// The value of `log.retain.bytes`.
        package var retainBytes = 0
        /// The value of `log.retain.entries`; 0 is any number.
        package var retainEntries = 0
        /// The value of `log.retain.time`; zero is for ever.
        package var retainTime = Duration.zero
        /// The value of `log.retained_max`.
        package var retainedMax = 0
    }
    /// The settings under `storage`.
    package struct Storage: Sendable, Equatable {
        /// The value of `storage.memtable_bytes`.
        package var memtableBytes = 0
        /// The value of `storage.memory_budget`.
        package var memoryBudgetBytes = 0
        /// The value of `storage.block_cache_bytes`.
        package var blockCacheBytes = 0
        /// The value of `storage.compression`.
        package var compression = Compression.none
        /// The value of `storage.l0.compact_at`.
        package var levelZeroCompactAt = 0
        /// The value of `storage.l0.slow_at`.
        package var levelZeroSlowAt = 0
        /// The value of `storage.l0.stop_at`.
        package var levelZeroStopAt = 0
        /// The value of `storage.threads.read`.
        package var readThreads = 0
        /// The value of `storage.threads.background`.
        package var backgroundThreads = 0
    }
    /// The settings under `limits`.
    package struct RequestLimits: Sendable, Equatable {
        /// The value of `limits.key_bytes`.
        package var keyBytes = 0
        /// The value of `limits.value_bytes`.
        package var valueBytes = 0
        /// The value of `limits.connections`.
        package var connections = 0
        /// The value of `limits.pipeline`.
        package var pipeline = 0
    }
    /// The settings under `request`.
    package struct Request: Sendable, Equatable {
        /// The value of `request.leader_wait`.
        package var leaderWait = Duration.zero
        /// The value of `request.timeout`.
        package var timeout = Duration.zero
    }
    /// The settings under `peer` beside its listener.
    package struct PeerLinks: Sendable, Equatable {
        /// The value of `peer.connect_timeout`.
        package var connectTimeout = Duration.zero
        /// The value of `peer.idle_timeout`.
        package var idleTimeout = Duration.zero
        /// The value of `peer.queue_bytes_max`.
        package var queueBytesMax = 0
        /// The value of `peer.bulk_bytes_per_second`.
        package var bulkBytesPerSecond = 0
    }
    /// The settings under `threads`.
    package struct Threads: Sendable, Equatable {
        /// The value of `threads.loops`; 0 lets the node choose.
        package var loops = 0
    }
    /// The settings under `logging`.
    package struct Logging: Sendable, Equatable {
        /// The value of `logging.level`.
        package var level = LogLevel.info
        /// The value of `logging.format`.
        package var format = LogFormat.text
        /// The value of `logging.slow_request`.
        package var slowRequest = Duration.zero
    }
    /// The settings under `metrics`.
    package struct Metrics: Sendable, Equatable {
        /// The value of `metrics.requests`.
        package var countsRequests = true
    }
    /// The settings under `alarms`.
    package struct Alarms: Sendable, Equatable {
        /// The value of `alarms.disk_free`.
        package var diskFreeBytes = 0
        /// The value of `alarms.memory_percent`.
        package var memoryPercent = 0
        /// The value of `alarms.descriptors_percent`.
        package var descriptorsPercent = 0
    }

    /// The value of `insecure`.
    package var isInsecure = false
    /// The settings under `node`.
    package var node = Node()
    /// The settings under `cluster`.
    package var cluster = Cluster()
    /// The values of `resp.listen` and `resp.advertise`.
    package var resp = Listener()
    /// The values of `resp_cluster.listen` and `resp_cluster.advertise`.
    package var respCluster = OptionalListener()
    /// The other settings under `resp`, for both of its listeners.
    package var respLimits = RESPLimits()
    /// The values of `http.listen` and `http.advertise`.
    package var http = Listener()
    /// The other settings under `http`.
    package var httpLimits = HTTPLimits()
    /// The values of `grpc.listen` and `grpc.advertise`.
    package var grpc = Listener()
    /// The other settings under `grpc`.
    package var grpcLimits = GRPCLimits()
    /// The values of `peer.listen` and `peer.advertise`.
    package var peer = Listener()
    /// The other settings under `peer`.
    package var peerLinks = PeerLinks()
    /// The settings under `tls`.
    package var tls = TLS()
    /// The settings under `auth`.
    package var authentication = Authentication()
    /// The settings under `raft`.
    package var raft = Raft()
    /// The settings under `log`.
    package var log = Log()
    /// The settings under `storage`.
    package var storage = Storage()
    /// The settings under `limits`.
    package var limits = RequestLimits()
    /// The settings under `request`.
    package var request = Request()
    /// The settings under `threads`.
    package var threads = Threads()
    /// The settings under `logging`.
    package var logging = Logging()
    /// The settings under `metrics`.
    package var metrics = Metrics()
    /// The settings under `alarms`.
    package var alarms = Alarms()
}

extension Duration {
    /// Whole nanoseconds, 0 where it is negative.
    package var wholeNanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        return UInt64(seconds) &* 1_000_000_000 &+ UInt64(attoseconds / 1_000_000_000)
    }
}
