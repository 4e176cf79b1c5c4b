package import KVBase

/// Two majorities that must both agree while a group changes from one set of voters to another (Ongaro 4.3); outside a change the
/// outgoing one is empty and agrees to everything.
package struct JointQuorum: Sendable, Equatable {
    /// The voters of the new configuration.
    package let incoming: Majority
    /// The voters of the old one; empty outside a joint configuration.
    package let outgoing: Majority

    /// Both of these.
    package init(incoming: Majority, outgoing: Majority) {
        self.incoming = incoming
        self.outgoing = outgoing
    }

    /// The highest index that both majorities acknowledged.
    package func committed(_ acknowledged: (ReplicaID) -> LogIndex) -> LogIndex {
        min(incoming.committed(acknowledged), outgoing.committed(acknowledged))
    }

    /// What the votes come to: lost where either is lost, won where both are won.
    package func outcome(_ votes: (ReplicaID) -> Bool?) -> VoteOutcome {
        switch (incoming.outcome(votes), outgoing.outcome(votes)) {
        case (.lost, _), (_, .lost): .lost
        case (.won, .won): .won
        case (.pending, _), (_, .pending): .pending
        }
    }
}
