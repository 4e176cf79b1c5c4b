/// How a node stands, as its `/status` says.
public struct NodeStatus: Sendable, Equatable, Codable {
    /// One group's replica on the node.
    public struct Group: Sendable, Equatable, Codable {
        /// The group.
        public var id: String
        /// The node's replica in it.
        public var replica: String
        /// `leader`, `follower` or `candidate`.
        public var role: String
        /// Its term.
        public var term: UInt64
        /// The node that leads it, where known.
        public var leader: String?
        /// The highest index known to be committed.
        public var commitIndex: UInt64
        /// The highest index applied.
        public var appliedIndex: UInt64
        /// The first index in the log.
        public var firstIndex: UInt64
        /// The last index in the log.
        public var lastIndex: UInt64
        /// The bytes that its entries take in the log.
        public var logBytes: UInt64
        /// On the leader: how many entries each other node is behind.
        public var lag: [String: UInt64]
        /// The shards it holds.
        public var shards: [String]

        /// Reads what is there; a missing member has its empty value.
        public init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: MemberName.self)
            id = container.text("id") ?? ""
            replica = container.text("replica") ?? ""
            role = container.text("role") ?? ""
            term = container.number("term")
            leader = container.text("leader")
            commitIndex = container.number("commitIndex")
            appliedIndex = container.number("appliedIndex")
            firstIndex = container.number("firstIndex")
            lastIndex = container.number("lastIndex")
            logBytes = container.number("logBytes")
            let lag = try container.decodeIfPresent([String: LooseText].self, forKey: MemberName("lag")) ?? [:]
            self.lag = lag.compactMapValues { UInt64($0.text) }
            shards = try container.list("shards", of: LooseText.self).map(\.text)
        }
    }

    /// Another node as this one sees it.
    public struct Peer: Sendable, Equatable, Codable {
        /// The node.
        public var id: String
        /// Whether a connection stands.
        public var isConnected: Bool
        /// Its addresses for clients by edge, `resp` and `http`.
        public var addresses: [String: String]

        /// The names in JSON.
        private enum CodingKeys: String, CodingKey {
            case id, addresses
            case isConnected = "connected"
        }

        /// Reads what is there; a missing member has its empty value.
        public init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: MemberName.self)
            id = container.text("id") ?? ""
            isConnected = container.flag("connected")
            addresses = try container.decodeIfPresent([String: String].self, forKey: MemberName("addresses")) ?? [:]
        }
    }

    /// What storage did since the process started.
    public struct Storage: Sendable, Equatable, Codable {
        /// Memtables written to tables.
        public var flushes: UInt64 = 0
        /// Compactions finished.
        public var compactions: UInt64 = 0
        /// Log segments removed.
        public var logCuts: UInt64 = 0
        /// Tables now.
        public var tables: UInt64 = 0
        /// Bytes of tables now.
        public var tableBytes: UInt64 = 0
        /// Snapshots installed from a peer.
        public var snapshotsInstalled: UInt64 = 0

        /// Nothing done.
        public init() {}

        /// Reads what is there; a missing member is 0.
        public init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: MemberName.self)
            flushes = container.number("flushes")
            compactions = container.number("compactions")
            logCuts = container.number("logCuts")
            tables = container.number("tables")
            tableBytes = container.number("tableBytes")
            snapshotsInstalled = container.number("snapshotsInstalled")
        }
    }

    /// The node.
    public var node: String
    /// Its cluster.
    public var cluster: String
    /// The life of its data directory.
    public var incarnation: String
    /// The program's version.
    public var softwareVersion: String
    /// Whether it serves.
    public var isReady: Bool
    /// Whether the cluster removed it, so that it takes no part any more and its other members here are of then.
    public var isRemoved: Bool
    /// What an operator should look at.
    public var alarms: [String]
    /// Its groups.
    public var groups: [Group]
    /// The other nodes.
    public var peers: [Peer]
    /// What storage did.
    public var storage: Storage

    /// The names in JSON.
    private enum CodingKeys: String, CodingKey {
        case node, cluster, incarnation, alarms, groups, peers, storage
        case softwareVersion = "version"
        case isReady = "ready"
        case isRemoved = "removed"
    }

    /// Reads what is there; a missing member has its empty value.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: MemberName.self)
        node = container.text("node") ?? ""
        cluster = container.text("cluster") ?? ""
        incarnation = container.text("incarnation") ?? ""
        softwareVersion = container.text("version") ?? ""
        isReady = container.flag("ready")
        isRemoved = container.flag("removed")
        alarms = try container.list("alarms", of: LooseText.self).map(\.text)
        groups = try container.list("groups")
        peers = try container.list("peers")
        storage = try container.decodeIfPresent(Storage.self, forKey: MemberName("storage")) ?? Storage()
    }
}

/// What one tablet of a node holds, for comparing replicas.
public struct ShardDigest: Sendable, Equatable, Codable {
    /// The group.
    public var group: String
    /// The shard.
    public var shard: String
    /// The applied index at which it was read.
    public var appliedIndex: UInt64
    /// How many keys it holds.
    public var keys: UInt64
    /// A hash over keys, versions, expiries and values, 16 hexadecimal digits.
    public var hash: String

    /// Reads what is there; a missing member has its empty value.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: MemberName.self)
        group = container.text("group") ?? ""
        shard = container.text("shard") ?? ""
        appliedIndex = container.number("appliedIndex")
        keys = container.number("keys")
        hash = container.text("hash") ?? ""
    }
}
