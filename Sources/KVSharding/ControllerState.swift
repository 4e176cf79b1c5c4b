package import KVBase

/// What group 0 knows: the cluster's id, its nodes and groups, the shard map and the feature level.
///
/// A pure state machine. The leader of group 0 proposes encoded commands; every replica applies them in log order:
///
/// | state            | initialize            | nodeAnnounced                                                   |
/// |------------------|-----------------------|-----------------------------------------------------------------|
/// | not initialized  | becomes initialized   | refused                                                         |
/// | initialized      | unchanged if the same | known node: addresses replaced, incarnation kept or first noted |
/// |                  | cluster, else refused | known node, another incarnation: refused; unknown node: refused |
///
/// What becomes of members stands in ControllerState+Members: there they are added, promoted, replaced and removed as an *aim*, which
/// the leaders of the groups pursue; what was left behind is reported by `replicasGone`.
///
/// A refusal changes nothing, and it is the same refusal on every replica. Nodes join by an order of an administrator and never
/// by turning up: a node that nobody named is refused here even where it passed the handshake.
package struct ControllerState: Sendable, Equatable {
    /// A host of the cluster.
    package struct Node: Sendable, Equatable {
        /// The life of its data directory, once it has said so.
        package var incarnation: Incarnation?
        /// Its addresses by edge (`resp`, `http`) and for peers (`peer`).
        package var addresses: [String: String]
        /// Whether its replicas are to vote, once they have caught up.
        package var isVoter = true
        /// Whether its replicas are to leave their groups, and it the cluster.
        package var isLeaving = false
        /// Whose place it takes; its own id where the host lost its data.
        package var replaces: NodeID?

        /// A node with these parts.
        package init(incarnation: Incarnation? = nil, addresses: [String: String]) {
            self.incarnation = incarnation
            self.addresses = addresses
        }
    }

    /// Where a replica lives.
    package struct Placement: Sendable, Equatable {
        /// The host.
        package var node: NodeID
        /// The life of the host's data directory that the replica belongs to; nil for one of the cluster's first until it said so.
        package var incarnation: Incarnation?
        /// Whether it is to leave the group.
        package var isLeaving = false
        /// The replica that leaves in the very step that makes this one a voter.
        package var replaces: ReplicaID?

        /// Whether both are replicas of one life of one host.
        package func isSameLife(as other: Placement) -> Bool {
            node == other.node && incarnation == other.incarnation
        }

        /// A placement on this host.
        package init(node: NodeID, incarnation: Incarnation? = nil) {
            self.node = node
            self.incarnation = incarnation
        }
    }

    /// The cluster, once initialized.
    package private(set) var cluster: ClusterID?
    /// Every node by id.
    package internal(set) var nodes: [NodeID: Node] = [:]
    /// Every group's replicas and where they live.
    package internal(set) var groups: [GroupID: [ReplicaID: Placement]] = [:]
    /// The id of the next replica; none is given twice.
    package internal(set) var nextReplica: UInt64 = 1
    /// The lives of nodes that were members and never are again.
    package internal(set) var removed: [NodeID: [Incarnation]] = [:]
    /// Who owns which shard, once initialized.
    package private(set) var shardMap: ShardMap?
    /// The newest formats and messages that the cluster may use.
    package private(set) var featureLevel: UInt32 = 0

    /// A state before initialization.
    package init() {}

    /// A state with these parts, as a decoder read them.
    init(
        cluster: ClusterID?,
        nodes: [NodeID: Node],
        groups: [GroupID: [ReplicaID: Placement]],
        nextReplica: UInt64,
        removed: [NodeID: [Incarnation]],
        shardMap: ShardMap?,
        featureLevel: UInt32
    ) {
        self.cluster = cluster
        self.nodes = nodes
        self.groups = groups
        self.nextReplica = nextReplica
        self.removed = removed
        self.shardMap = shardMap
        self.featureLevel = featureLevel
    }

    /// What became of a command.
    package enum Outcome: Sendable, Equatable {
        case applied
        /// The state was already so.
        case unchanged
        /// Nothing changed; why.
        case refused(String)
    }

    /// Applies one command.
    ///
    /// The same on every replica.
    package mutating func apply(_ command: ControllerCommand) -> Outcome {
        switch command {
        case .initialize(let plan): initialize(plan)
        case .nodeAnnounced(let node, let incarnation, let addresses): announce(node, incarnation, addresses)
        case .nodeAdded(let node, let isVoter, let addresses): add(node, isVoter, addresses)
        case .nodePromoted(let node): promote(node)
        case .nodeRemoved(let node): remove(node)
        case .nodeReplaced(let old, let new, let addresses): replace(old, by: new, addresses)
        case .replicasGone(let replicas): forget(replicas)
        case .levelRaised(let level): raise(to: level)
        }
    }

    private mutating func initialize(_ plan: ControllerCommand.Plan) -> Outcome {
        if let cluster {
            return cluster == plan.cluster
                ? .unchanged : .refused("cluster \(cluster) exists, so \(plan.cluster) cannot")
        }
        if let reason = plan.fault { return .refused(reason) }
        cluster = plan.cluster
        nodes = plan.nodes.mapValues { Node(addresses: $0) }
        groups = plan.groups.mapValues { $0.mapValues { Placement(node: $0) } }
        nextReplica = (plan.groups.values.flatMap(\.keys).map(\.rawValue).max() ?? 0) + 1
        shardMap = plan.shardMap
        featureLevel = plan.featureLevel
        return .applied
    }

    /// The order to raise the feature level to what every member supports; nil where one was not heard from or supports no more.
    package func rise(supported levels: [NodeID: UInt32]) -> ControllerCommand? {
        guard cluster != nil, nodes.keys.allSatisfy({ levels[$0] != nil }),
            let common = nodes.keys.compactMap({ levels[$0] }).min(), common > featureLevel
        else { return nil }
        return .levelRaised(common)
    }

    private mutating func raise(to level: UInt32) -> Outcome {
        guard cluster != nil else { return .refused("the cluster is not initialized yet") }
        guard level > featureLevel else { return .unchanged }
        featureLevel = level
        return .applied
    }

    private mutating func announce(
        _ id: NodeID,
        _ incarnation: Incarnation,
        _ addresses: [String: String]
    ) -> Outcome {
        guard let known = nodes[id] else { return .refused("node \(id) is not of this cluster") }
        if isRemoved(id, incarnation) {
            return .refused("node \(id) of incarnation \(incarnation) was removed from this cluster")
        }
        if let before = known.incarnation, before != incarnation {
            return .refused(
                "node \(id) was \(before) and now says \(incarnation): it lost its data and must be replaced"
            )
        }
        var node = known
        node.incarnation = incarnation
        node.addresses = addresses
        // Where peers reach it is known even where it does not say so itself.
        node.addresses["peer"] = addresses["peer"] ?? known.addresses["peer"]
        guard node != known else { return .unchanged }
        nodes[id] = node
        if known.incarnation == nil { settle(id, incarnation) }
        return .applied
    }
}

/// A command to group 0.
package enum ControllerCommand: Sendable, Equatable {
    /// What a cluster starts with.
    package struct Plan: Sendable, Equatable {
        /// The cluster's id.
        package var cluster: ClusterID
        /// The newest formats and messages that it may use.
        package var featureLevel: UInt32
        /// The nodes and their addresses.
        package var nodes: [NodeID: [String: String]]
        /// The groups' replicas; the controller's group and every owner of a shard must be among them.
        package var groups: [GroupID: [ReplicaID: NodeID]]
        /// Who owns which shard.
        package var shardMap: ShardMap

        /// A plan with these parts.
        package init(
            cluster: ClusterID,
            featureLevel: UInt32,
            nodes: [NodeID: [String: String]],
            groups: [GroupID: [ReplicaID: NodeID]],
            shardMap: ShardMap
        ) {
            self.cluster = cluster
            self.featureLevel = featureLevel
            self.nodes = nodes
            self.groups = groups
            self.shardMap = shardMap
        }

        /// Why no cluster can start so; nil where one can.
        package var fault: String? {
            if nodes.isEmpty { return "a cluster needs a node" }
            guard groups[.controller] != nil else { return "no replicas for group 0" }
            for (group, replicas) in groups.sorted(by: { $0.key < $1.key }) {
                if replicas.isEmpty { return "group \(group) has no replicas" }
                if Set(replicas.values).count != replicas.count { return "group \(group) has two replicas on one node" }
                for (replica, node) in replicas.sorted(by: { $0.key < $1.key }) where nodes[node] == nil {
                    return "replica \(replica) of group \(group) is on node \(node), which is not named"
                }
            }
            for shard in 0..<shardMap.shardCount {
                let owner = shardMap.owner(of: ShardID(UInt32(shard)))
                if groups[owner.group] == nil {
                    return "shard \(shard) belongs to group \(owner.group), which is not named"
                }
            }
            return nil
        }
    }

    /// Creates the cluster.
    case initialize(Plan)
    /// A node started and says where it is.
    case nodeAnnounced(NodeID, Incarnation, addresses: [String: String])
    /// An administrator adds a node, which will be placed in every group once it has announced itself.
    case nodeAdded(NodeID, isVoter: Bool, addresses: [String: String])
    /// A learner is to be a voter.
    case nodePromoted(NodeID)
    /// A node is to leave every group and then the cluster.
    case nodeRemoved(NodeID)
    /// A node is to take another's place.
    case nodeReplaced(NodeID, by: NodeID, addresses: [String: String])
    /// These replicas are in their group's configuration no more.
    case replicasGone([Replica])
    /// Every member supports this feature level, and nobody who does not is let in from now on.
    case levelRaised(UInt32)

    /// A replica of a group.
    package struct Replica: Sendable, Equatable {
        /// The group.
        package var group: GroupID
        /// The replica in it.
        package var replica: ReplicaID

        /// A replica of a group.
        package init(_ group: GroupID, _ replica: ReplicaID) {
            self.group = group
            self.replica = replica
        }
    }
}
