package import KVBase

/// Why a change of the configuration is refused.
package enum ConfigurationRefusal: Error, Sendable, Equatable, CustomStringConvertible {
    /// A joint configuration was to be entered from one.
    case alreadyJoint
    /// A joint configuration was to be left outside one.
    case notJoint
    /// A simple change was to be made in a joint configuration.
    case simpleInJoint
    /// There is no voter to start from.
    case noVoterToStartFrom
    /// Nobody would be left to vote.
    case removesAllVoters
    /// A simple change touched more than one voter.
    case changesSeveralVoters
    /// An earlier change, at this index, is not applied yet.
    case pending(LogIndex)
    /// The payload of the entry cannot be decoded.
    case undecodable

    /// The reason in words.
    package var description: String {
        switch self {
        case .alreadyJoint: "config is already joint"
        case .notJoint: "can't leave a non-joint config"
        case .simpleInJoint: "can't apply simple config change in joint config"
        case .noVoterToStartFrom: "can't make a zero-voter config joint"
        case .removesAllVoters: "removed all voters"
        case .changesSeveralVoters: "more than one voter changed without entering joint config"
        case .pending(let index): "an earlier change at index \(index) is not applied yet"
        case .undecodable: "the change cannot be decoded"
        }
    }
}

/// Makes one configuration out of another; pure, so every replica that applies the same entries has the same configuration.
package enum ConfigurationChanger {
    /// The configuration after `change`.
    /// - Throws: why the change does not apply to `configuration`.
    package static func apply(
        _ change: ConfigurationChange,
        to configuration: Configuration
    ) throws(ConfigurationRefusal) -> Configuration {
        if change.leavesJoint { return try leaveJoint(configuration) }
        if change.entersJoint {
            return try enterJoint(configuration, automatically: change.leavesAutomatically, change.items)
        }
        return try simple(configuration, change.items)
    }

    /// At most one voter more or less; learners as many as wanted.
    /// - Throws: `simpleInJoint`, `removesAllVoters` or `changesSeveralVoters`.
    package static func simple(
        _ configuration: Configuration,
        _ items: [ConfigurationChange.Item]
    ) throws(ConfigurationRefusal) -> Configuration {
        guard !configuration.isJoint else { throw .simpleInJoint }
        var result = configuration
        try carryOut(items, &result)
        let before = Set(configuration.voters)
        guard before.symmetricDifference(result.voters).count <= 1 else { throw .changesSeveralVoters }
        return result
    }

    /// The present voters become the outgoing ones, and `items` are carried out on the incoming ones.
    /// - Throws: `alreadyJoint`, `noVoterToStartFrom` or `removesAllVoters`.
    package static func enterJoint(
        _ configuration: Configuration,
        automatically: Bool,
        _ items: [ConfigurationChange.Item]
    ) throws(ConfigurationRefusal) -> Configuration {
        guard !configuration.isJoint else { throw .alreadyJoint }
        guard !configuration.voters.isEmpty else { throw .noVoterToStartFrom }
        var result = configuration
        result.outgoing = configuration.voters
        try carryOut(items, &result)
        result.leavesAutomatically = automatically
        return result
    }

    /// Only the incoming voters are left; who was to become a learner is one.
    /// - Throws: `notJoint`.
    package static func leaveJoint(_ configuration: Configuration) throws(ConfigurationRefusal) -> Configuration {
        guard configuration.isJoint else { throw .notJoint }
        return Configuration(
            voters: configuration.voters,
            learners: configuration.learners + configuration.learnersNext
        )
    }

    private static func carryOut(
        _ items: [ConfigurationChange.Item],
        _ configuration: inout Configuration
    ) throws(ConfigurationRefusal) {
        for item in items where item.replica.rawValue != 0 {
            let replica = item.replica
            switch item.step {
            case .addVoter:
                configuration.learners.removeSorted(replica)
                configuration.learnersNext.removeSorted(replica)
                configuration.voters.insertSorted(replica)
            case .addLearner:
                configuration.voters.removeSorted(replica)
                // A voter that still counts among the outgoing ones cannot be a learner at the same time.
                if configuration.outgoing.contains(replica) {
                    configuration.learnersNext.insertSorted(replica)
                } else {
                    configuration.learners.insertSorted(replica)
                }
            case .remove:
                configuration.voters.removeSorted(replica)
                configuration.learners.removeSorted(replica)
                configuration.learnersNext.removeSorted(replica)
            case .update:
                break
            }
        }
        guard !configuration.voters.isEmpty else { throw .removesAllVoters }
    }
}
