package import KVBase

/// How a node stands, as `/status` and `kvctl status` show it.
package struct NodeStatus: Sendable, Equatable {
    /// A replica's part in its group.
    ///
    /// The number is `raft_state`.
    package enum Role: Int, Sendable {
        case follower = 0
        case candidate = 1
        case leader = 2
    }

    /// One group's replica on this node.
    package struct Group: Sendable, Equatable {
        /// The group.
        package var id: GroupID
        /// This node's replica in it.
        package var replica: ReplicaID
        /// What it is now.
        package var role: Role
        /// Its term.
        package var term: Term
        /// The node that leads it, where known.
        package var leader: NodeID?
        /// The highest index known to be committed.
        package var commitIndex: LogIndex
        /// The highest index applied here.
        package var appliedIndex: LogIndex
        /// The first index still in the log.
        package var firstIndex: LogIndex
        /// The last index in the log.
        package var lastIndex: LogIndex
        /// The bytes that the node's log, which all groups share, takes on the disk.
        package var logBytes: UInt64
        /// On the leader: how many entries each follower is behind the log's end.
        package var lag: [NodeID: UInt64]
        /// The shards it holds.
        package var shards: [ShardID]

        /// A group's standing with these parts.
        package init(
            id: GroupID,
            replica: ReplicaID,
            role: Role,
            term: Term,
            leader: NodeID?,
            commitIndex: LogIndex,
            appliedIndex: LogIndex,
            firstIndex: LogIndex,
            lastIndex: LogIndex,
            logBytes: UInt64,
            lag: [NodeID: UInt64],
            shards: [ShardID]
        ) {
            self.id = id
            self.replica = replica
            self.role = role
            self.term = term
            self.leader = leader
            self.commitIndex = commitIndex
            self.appliedIndex = appliedIndex
            self.firstIndex = firstIndex
            self.lastIndex = lastIndex
            self.logBytes = logBytes
            self.lag = lag
            self.shards = shards
        }
    }

    /// Another node of the cluster as this one sees it.
    package struct Peer: Sendable, Equatable {
        /// The node.
        package var id: NodeID
        /// Whether a connection stands.
        package var isConnected: Bool
        /// Its addresses for clients, by edge (`resp`, `http`), as it announced them.
        package var addresses: [String: String]

        /// A peer's standing with these parts.
        package init(id: NodeID, isConnected: Bool, addresses: [String: String]) {
            self.id = id
            self.isConnected = isConnected
            self.addresses = addresses
        }
    }

    /// What storage did since the process started.
    package struct Storage: Sendable, Equatable {
        /// Memtables written to tables.
        package var flushes: UInt64 = 0
        /// Compactions finished.
        package var compactions: UInt64 = 0
        /// Log segments removed.
        package var logCuts: UInt64 = 0
        /// Tables now.
        package var tables: UInt64 = 0
        /// Bytes of tables now.
        package var tableBytes: UInt64 = 0
        /// Snapshots installed from a peer.
        package var snapshotsInstalled: UInt64 = 0

        /// Nothing done yet.
        package init() {}
    }

    /// Slots next to each other that one group serves.
    package struct SlotRange: Sendable, Equatable {
        /// The first slot's number.
        package var first: Int
        /// The last slot's number.
        package var last: Int
        /// The group.
        package var group: GroupID

        /// A range with these parts.
        package init(first: Int, last: Int, group: GroupID) {
            self.first = first
            self.last = last
            self.group = group
        }
    }

    /// This node.
    package var node: NodeID
    /// Its cluster.
    package var cluster: ClusterID
    /// The life of its data directory.
    package var incarnation: Incarnation
    /// The program's version.
    package var softwareVersion: String
    /// Whether it serves: every group has a leader it knows of.
    package var isReady: Bool
    /// Whether the cluster removed it, so that it takes no part any more.
    package var isRemoved = false
    /// Why it is not ready, or what an operator should look at.
    package var alarms: [String]
    /// Its groups.
    package var groups: [Group]
    /// The other nodes.
    package var peers: [Peer]
    /// What storage did.
    package var storage: Storage
    /// Who serves which slots, ascending; empty where the node does not know.
    package var slotRanges: [SlotRange] = []
    /// This node's own addresses for clients, by edge, as it announces them.
    package var addresses: [String: String] = [:]

    /// A node's standing with these parts.
    package init(
        node: NodeID,
        cluster: ClusterID,
        incarnation: Incarnation,
        softwareVersion: String,
        isReady: Bool,
        alarms: [String],
        groups: [Group],
        peers: [Peer],
        storage: Storage
    ) {
        self.node = node
        self.cluster = cluster
        self.incarnation = incarnation
        self.softwareVersion = softwareVersion
        self.isReady = isReady
        self.alarms = alarms
        self.groups = groups
        self.peers = peers
        self.storage = storage
    }
}

/// What one tablet holds, for comparing replicas.
package struct ShardDigest: Sendable, Equatable {
    /// The group.
    package var group: GroupID
    /// The shard.
    package var shard: ShardID
    /// The tablet's applied index at which it was read.
    package var appliedIndex: LogIndex
    /// How many keys it holds.
    package var keys: UInt64
    /// A hash over keys, versions, expiries and values in key order.
    package var hash: UInt64

    /// A digest with these parts.
    package init(group: GroupID, shard: ShardID, appliedIndex: LogIndex, keys: UInt64, hash: UInt64) {
        self.group = group
        self.shard = shard
        self.appliedIndex = appliedIndex
        self.keys = keys
        self.hash = hash
    }
}
