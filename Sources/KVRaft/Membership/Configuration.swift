package import KVBase

/// Who belongs to a group, and in which role.
///
/// All lists ascend strictly.
///
///     id            voters  outgoing  learners  learnersNext
///     voter           ×                                        outside a joint configuration
///     joining         ×                                        in it
///     staying         ×        ×
///     leaving                  ×
///     demoted                  ×                     ×         becomes a learner when the joint configuration is left
///     learner                            ×
package struct Configuration: Sendable, Equatable {
    /// The replicas that vote (in a joint configuration: the new ones).
    package var voters: [ReplicaID]
    /// The voters of the configuration that is being left; empty outside a joint configuration.
    package var outgoing: [ReplicaID]
    /// The replicas that receive the log and do not vote.
    package var learners: [ReplicaID]
    /// Outgoing voters that become learners when the joint configuration is left.
    package var learnersNext: [ReplicaID]
    /// Whether the leader leaves the joint configuration by itself as soon as it is applied.
    package var leavesAutomatically: Bool

    /// A configuration with these replicas.
    package init(
        voters: [ReplicaID] = [],
        outgoing: [ReplicaID] = [],
        learners: [ReplicaID] = [],
        learnersNext: [ReplicaID] = [],
        leavesAutomatically: Bool = false
    ) {
        self.voters = voters.sortedSet()
        self.outgoing = outgoing.sortedSet()
        self.learners = learners.sortedSet()
        self.learnersNext = learnersNext.sortedSet()
        self.leavesAutomatically = leavesAutomatically
    }

    /// Whether two sets of voters must agree.
    package var isJoint: Bool { !outgoing.isEmpty }

    /// What must agree to elect and to commit.
    package var quorum: JointQuorum { JointQuorum(incoming: Majority(voters), outgoing: Majority(outgoing)) }

    /// Whether a replica's vote counts now.
    package func isVoter(_ replica: ReplicaID) -> Bool { voters.contains(replica) || outgoing.contains(replica) }

    /// Whether a replica is a learner now.
    package func isLearner(_ replica: ReplicaID) -> Bool { learners.contains(replica) }

    /// Whether a replica has any part in the group.
    package func contains(_ replica: ReplicaID) -> Bool { isVoter(replica) || isLearner(replica) }

    /// Everyone, in order.
    package var replicas: [ReplicaID] { (voters + outgoing + learners).sortedSet() }
}

extension [ReplicaID] {
    /// The same replicas in ascending order, each once.
    func sortedSet() -> [ReplicaID] {
        var result: [ReplicaID] = []
        result.reserveCapacity(count)
        for replica in sorted() where result.last != replica { result.append(replica) }
        return result
    }

    /// Adds a replica to a sorted set.
    mutating func insertSorted(_ replica: ReplicaID) {
        let place = firstIndex { $0 >= replica } ?? count
        if place == count || self[place] != replica { insert(replica, at: place) }
    }

    /// Takes a replica out of a set.
    mutating func removeSorted(_ replica: ReplicaID) {
        if let place = firstIndex(of: replica) { remove(at: place) }
    }
}
