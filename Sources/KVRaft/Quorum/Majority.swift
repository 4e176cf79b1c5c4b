package import KVBase

/// What a vote stands at.
package enum VoteOutcome: Sendable, Equatable {
    /// Neither side has a majority yet.
    case pending
    /// No majority is possible any more.
    case lost
    /// A majority said yes.
    case won
}

/// More than half of a set of voters.
///
/// The empty set agrees to everything, which makes it neutral in a joint quorum.
package struct Majority: Sendable, Equatable {
    /// The voters, in order and without repetition.
    package let voters: [ReplicaID]

    /// The majority of these voters.
    /// - Precondition: `voters` ascends strictly.
    package init(_ voters: [ReplicaID]) {
        self.voters = voters
    }

    /// The highest index that more than half of the voters acknowledged; `LogIndex.max` where there is no voter.
    /// - Complexity: O(n²) in the number of voters, which is small.
    package func committed(_ acknowledged: (ReplicaID) -> LogIndex) -> LogIndex {
        let count = voters.count
        guard count > 0 else { return .max }
        return withUnsafeTemporaryAllocation(of: LogIndex.self, capacity: count) { sorted in
            // SAFETY: every slot is initialized before it is read: slot i is written in round i, reads stay at or below i.
            // LogIndex is trivial, so nothing is to be deinitialized.
            for (filled, voter) in voters.enumerated() {
                let index = acknowledged(voter)
                var place = filled
                while place > 0, sorted[place - 1] < index {
                    sorted.initializeElement(at: place, to: sorted[place - 1])
                    place -= 1
                }
                sorted.initializeElement(at: place, to: index)
            }
            return sorted[count / 2]
        }
    }

    /// What the votes come to; nil is a voter who has not answered.
    package func outcome(_ votes: (ReplicaID) -> Bool?) -> VoteOutcome {
        guard !voters.isEmpty else { return .won }
        var granted = 0
        var missing = 0
        for voter in voters {
            switch votes(voter) {
            case true?: granted += 1
            case nil: missing += 1
            case false?: break
            }
        }
        let needed = voters.count / 2 + 1
        if granted >= needed { return .won }
        return granted + missing >= needed ? .pending : .lost
    }
}
