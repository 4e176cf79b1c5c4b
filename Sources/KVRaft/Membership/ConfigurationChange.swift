package import KVBase

/// What the payload of a configuration entry asks for.
package struct ConfigurationChange: Sendable, Equatable {
    /// What becomes of one replica.
    ///
    /// The number is stored and sent.
    package enum Step: UInt8, Sendable {
        /// It becomes a voter.
        case addVoter = 0
        /// It leaves.
        case remove = 1
        /// Nothing changes in the group; what surrounds it changed (an address).
        case update = 2
        /// It becomes a learner.
        case addLearner = 3
    }

    /// How a joint configuration is entered and left.
    ///
    /// The number is stored and sent.
    package enum Transition: UInt8, Sendable {
        /// Joint only where more than one voter changes; then left automatically.
        case automatic = 0
        /// Joint always, left automatically.
        case jointAutomatic = 1
        /// Joint always, left when asked for.
        case jointExplicit = 2
    }

    /// One replica and what becomes of it.
    package struct Item: Sendable, Equatable {
        /// What becomes of it.
        package var step: Step
        /// Which one.
        package var replica: ReplicaID

        /// This step for this replica.
        package init(_ step: Step, _ replica: ReplicaID) {
            self.step = step
            self.replica = replica
        }
    }

    /// How it is done.
    package var transition: Transition
    /// What is done, in order; none at all means "leave the joint configuration".
    package var items: [Item]
    /// What the host needs to know beside it (which node a replica lives on); the core only carries it.
    package var context: [UInt8]

    /// A change with these parts.
    package init(transition: Transition = .automatic, items: [Item], context: [UInt8] = []) {
        self.transition = transition
        self.items = items
        self.context = context
    }

    /// The change that leaves a joint configuration.
    package static let leaveJoint = ConfigurationChange(items: [])

    /// Whether this leaves a joint configuration.
    package var leavesJoint: Bool { items.isEmpty && transition == .automatic }

    /// Whether this enters a joint configuration.
    package var entersJoint: Bool { transition != .automatic || items.count > 1 }

    /// Whether the joint configuration that this enters is left without being asked.
    package var leavesAutomatically: Bool { entersJoint && transition != .jointExplicit }
}
