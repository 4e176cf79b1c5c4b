package import KVBase

/// What an administrator may ask of a node: who belongs to the cluster, and changes of that.
///
/// Changes of members are taken by the leader of group 0 alone; any other node answers `notLeader` with where it is. A change is
/// only an aim that is written down: the leaders of the groups pursue it step by step, and whoever asked may go away, come back and
/// look at `members`. Asking for the same again is no error. Any thread.
package protocol AdminService: AnyObject, Sendable {
    /// Who belongs to the cluster, as this node knows it.
    func members(completion: @escaping @Sendable (Result<ClusterMembers, ServiceError>) -> Void)
    /// Writes down a change of the members; answered once it is committed, not once it is carried out.
    ///
    /// False where things stand so already, and nothing was changed.
    func change(_ change: MemberChange, completion: @escaping @Sendable (Result<Bool, ServiceError>) -> Void)
    /// Hands over the leadership of the groups that this node leads (of one, where named), to `node` or to who is best placed;
    /// answered when others lead or that did not come about in time.
    func transferLeadership(
        of group: GroupID?,
        to node: NodeID?,
        completion: @escaping @Sendable (Result<[LeadershipTransfer], ServiceError>) -> Void
    )
    /// Stops this node gracefully, after the answer; `force` also where the others are no majority.
    func stopNode(force: Bool, completion: @escaping @Sendable (ServiceError?) -> Void)
}

/// A change of who belongs to the cluster.
package enum MemberChange: Sendable, Equatable {
    /// A new host: a learner first, a voter once it has caught up, unless it is to stay a learner.
    case add(NodeID, peerAddress: String, staysLearner: Bool)
    /// A learner becomes a voter.
    case promote(NodeID)
    /// A host leaves every group.
    case remove(NodeID)
    /// A host takes another's place, in one step; the same id where the host lost its data.
    case replace(NodeID, by: NodeID, peerAddress: String)
}

/// Who belongs to the cluster, as one node knows it.
package struct ClusterMembers: Sendable, Equatable {
    /// A host.
    package struct Member: Sendable, Equatable {
        /// The host's id.
        package var id: NodeID
        /// The life of its data directory, once it was heard from.
        package var incarnation: Incarnation?
        /// Its addresses by edge and for peers.
        package var addresses: [String: String]
        /// Whether the node that says this is connected to it, or is it.
        package var isReachable: Bool
        /// Whether it is to vote.
        package var isVoter: Bool
        /// What is under way; `steady` where nothing is.
        package var state: State
        /// Its replicas.
        package var replicas: [Replica]

        /// A member with these parts.
        package init(
            id: NodeID,
            incarnation: Incarnation?,
            addresses: [String: String],
            isReachable: Bool,
            isVoter: Bool,
            state: State,
            replicas: [Replica]
        ) {
            self.id = id
            self.incarnation = incarnation
            self.addresses = addresses
            self.isReachable = isReachable
            self.isVoter = isVoter
            self.state = state
            self.replicas = replicas
        }
    }

    /// How far a member's change is.
    package enum State: String, Sendable {
        /// All is as it is to be.
        case steady
        /// It was added and has not been heard from: start it with `kvnode --join`.
        case awaited
        /// It receives what it lacks.
        case catchingUp = "catching_up"
        /// It is about to leave.
        case leaving
    }

    /// A member's part in a group.
    package struct Replica: Sendable, Equatable {
        /// The group.
        package var group: GroupID
        /// The replica's id in it.
        package var replica: ReplicaID
        /// `voter`, `learner`, `outgoing` (leaves a joint configuration), or `planned`.
        package var role: String
        /// How many entries it is behind; known where this node leads the group.
        package var lag: UInt64?

        /// A part with these values.
        package init(group: GroupID, replica: ReplicaID, role: String, lag: UInt64?) {
            self.group = group
            self.replica = replica
            self.role = role
            self.lag = lag
        }
    }

    /// The cluster.
    package var cluster: ClusterID
    /// Who leads group 0 and takes changes, where known.
    package var leader: NodeID?
    /// Its members by id.
    package var members: [Member]

    /// The members of a cluster.
    package init(cluster: ClusterID, leader: NodeID?, members: [Member]) {
        self.cluster = cluster
        self.leader = leader
        self.members = members
    }
}

/// A group's leadership that was handed over, or was to be.
package struct LeadershipTransfer: Sendable, Equatable {
    /// The group.
    package var group: GroupID
    /// Who was asked to lead.
    package var target: NodeID
    /// Who leads now, as far as this node knows.
    package var leader: NodeID?

    /// A transfer with these parts.
    package init(group: GroupID, target: NodeID, leader: NodeID?) {
        self.group = group
        self.target = target
        self.leader = leader
    }
}
