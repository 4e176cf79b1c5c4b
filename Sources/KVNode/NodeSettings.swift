package import KVBase
package import KVReplication
package import KVService

/// Everything a node is told before it starts.
package struct NodeSettings: Sendable {
    /// A member of the cluster as the configuration names it.
    package struct Member: Sendable, Equatable {
        /// The host's id.
        package var id: NodeID
        /// Where its peers reach it, `host:port`.
        package var peerAddress: String

        /// A member with these parts.
        package init(id: NodeID, peerAddress: String) {
            self.id = id
            self.peerAddress = peerAddress
        }
    }

    /// This node's id.
    package var node: NodeID
    /// A name that tells this cluster from another with the same hosts; part of the cluster id.
    package var clusterName: String
    /// What a member of the cluster told this node, which joins it; nil where the node is one of its first or joined before.
    package var join: JoinAnswer?
    /// Whether the groups are opened as if this node were their only member: see `Node.recover`.
    var standsAlone = false
    /// All members that the cluster starts with, this node among them.
    package var members: [Member]
    /// How many shards a new cluster has.
    package var shardCount: Int
    /// Where the node keeps its data.
    package var dataDirectory: String
    /// Where the log goes; nil for `log` in the data directory.
    package var logDirectory: String?
    /// How big a segment of the log is, in bytes.
    package var logSegmentBytes: UInt64
    /// The bounds of each group.
    package var group: GroupSettings
    /// The bounds of each tablet; paths are filled in by the node.
    package var tablet: TabletSettings
    /// How many bytes the block cache of all tablets takes at most.
    package var blockCacheBytes: Int
    /// Sizes that edges enforce.
    package var limits: RequestLimits
    /// How long a request waits for a leader before it hears "no leader", in nanoseconds.
    package var leaderWaitNanoseconds: UInt64
    /// How many requests may wait for a leader.
    package var leaderWaitersMax: Int
    /// How many unfinished SCANs are remembered; the oldest goes first.
    package var scanPositionsMax = 4_096
    /// How many requests may be on their way to other nodes.
    package var proxiedRequestsMax: Int
    /// From how many nanoseconds on a request is kept and logged as slow; 0 for never.
    package var slowRequestNanoseconds: UInt64
    /// Whether requests are timed stage by stage.
    package var timesRequests = true
    /// Addresses for clients that this node announces, by edge.
    package var addresses: [String: String]
    /// Bugs that a test switched on; empty in production.
    package var plantedBugs: PlantedNodeBugs
    /// The program's version, for `status`.
    package var softwareVersion: String
    /// The newest feature level that this node supports: that of the program, or less where a test stands for an older one.
    package var featureLevel = PeerProtocol.featureLevel
    /// Whether clients must prove who they are, whatever group 0 says.
    package var demandsAuthentication: Bool

    /// The defaults for a node of a cluster.
    package init(node: NodeID, members: [Member], dataDirectory: String) {
        self.node = node
        self.members = members
        self.dataDirectory = dataDirectory
        join = nil
        clusterName = "kv"
        shardCount = Limits.shardCountDefault
        logDirectory = nil
        logSegmentBytes = 64 * 1024 * 1024
        group = GroupSettings()
        tablet = TabletSettings()
        blockCacheBytes = 64 * 1024 * 1024
        limits = RequestLimits()
        leaderWaitNanoseconds = 1_000_000_000
        leaderWaitersMax = 10_000
        proxiedRequestsMax = 100_000
        slowRequestNanoseconds = 0
        plantedBugs = []
        addresses = [:]
        softwareVersion = "0"
        demandsAuthentication = false
    }

    /// The id of a cluster that starts with these members under this name: every member computes the same without asking, and
    /// clusters with other hosts, ports or names get another. (FNV-1a twice, 128 bits; it tells clusters apart, it is no secret.)
    package var clusterID: ClusterID {
        var text = clusterName + "\n" + String(shardCount) + "\n"
        for member in members.sorted(by: { $0.id < $1.id }) { text += "\(member.id) \(member.peerAddress)\n" }
        return ClusterID(
            high: fnv1a(text.utf8, basis: 0xcbf2_9ce4_8422_2325),
            low: fnv1a(text.utf8, basis: 0x8422_2325_cbf2_9ce4)
        )
    }

    private func fnv1a(_ bytes: String.UTF8View, basis: UInt64) -> UInt64 {
        var hash = basis
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
        return hash
    }
}

/// Errors that tests plant in a node to see that the simulation finds them; empty in production.
package struct PlantedNodeBugs: OptionSet, Sendable {
    /// The bits.
    package let rawValue: UInt32
    /// The bugs of these bits.
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    /// The log says that entries are durable before they are synced.
    package static let acknowledgeBeforeSync = PlantedNodeBugs(rawValue: 1 << 0)
    /// A voter that lost its data is taken back as if it had not.
    package static let wipedVoter = PlantedNodeBugs(rawValue: 1 << 1)
    /// After a restart everything that is committed counts as applied, whatever the tablets hold.
    package static let appliedIndexApart = PlantedNodeBugs(rawValue: 1 << 2)
    /// An installed snapshot loses the rows of sessions.
    package static let snapshotDropsSessions = PlantedNodeBugs(rawValue: 1 << 3)
    /// One entry is not applied, and nobody is told.
    package static let losesAnEntry = PlantedNodeBugs(rawValue: 1 << 4)
}
