import KVBase
import KVRaft

/// Runs the quorum scenarios: `committed` and `vote`, of one majority or (with `cfgj`) of two.
///
/// Beside the output, what must hold for every input is checked as the scenarios' authors did: a joint quorum does not depend on
/// the order of its halves, one with itself or with nothing is the single one, and what lies above the result does not matter.
enum QuorumScenario {
    static func run(_ block: ScenarioFile.Block) -> [String] {
        let first = voters(block.values("cfg"))
        let isJoint = block.value("cfgj") != nil
        let second = block.value("cfgj") == "zero" ? [] : voters(block.values("cfgj"))
        let answers = block.values("idx") ?? block.values("votes") ?? []
        let order = first + second.filter { !first.contains($0) }
        guard answers.count == order.count else { return ["\(answers.count) answers for \(order.count) voters"] }
        let answered = zip(order, answers).filter { $0.1 != "_" }
        let incoming = Majority(first.sorted())
        let quorum = JointQuorum(incoming: incoming, outgoing: Majority(second.sorted()))
        if block.command == "vote" {
            let votes = Dictionary(uniqueKeysWithValues: answered.map { ($0.0, $0.1 == "y") })
            return vote(quorum, isJoint: isJoint, votes)
        }
        let indexes = Dictionary(uniqueKeysWithValues: answered.map { ($0.0, LogIndex($0.1) ?? 0) })
        return committed(quorum, isJoint: isJoint, indexes)
    }

    private static func voters(_ words: [String]?) -> [ReplicaID] {
        (words ?? []).compactMap { UInt64($0) }.map { ReplicaID($0) }
    }

    private static func committed(_ quorum: JointQuorum, isJoint: Bool, _ indexes: [ReplicaID: LogIndex]) -> [String] {
        func result(_ quorum: JointQuorum, _ indexes: [ReplicaID: LogIndex]) -> LogIndex {
            quorum.committed { indexes[$0] ?? 0 }
        }
        let index = isJoint ? result(quorum, indexes) : quorum.incoming.committed { indexes[$0] ?? 0 }
        var lines = picture(quorum, indexes)
        for other in alternatives(quorum, isJoint: isJoint) where result(other, indexes) != index {
            lines.append("\(other): \(result(other, indexes))")
        }
        for (voter, held) in indexes where held > index {
            for lowered in [held - 1, 0] where lowered >= index || lowered == 0 {
                var changed = indexes
                changed[voter] = max(lowered, index)
                if result(quorum, changed) != index {
                    lines.append("\(voter) lowered to \(lowered) changes the result")
                }
            }
        }
        let shown = index == .max ? "∞" : String(index)
        if lines.isEmpty { return ["<empty majority quorum>" + shown] }
        return lines + [shown]
    }

    private static func vote(_ quorum: JointQuorum, isJoint: Bool, _ votes: [ReplicaID: Bool]) -> [String] {
        let outcome = isJoint ? quorum.outcome { votes[$0] } : quorum.incoming.outcome { votes[$0] }
        var lines: [String] = []
        for other in alternatives(quorum, isJoint: isJoint) where other.outcome({ votes[$0] }) != outcome {
            lines.append("\(other): \(other.outcome { votes[$0] })")
        }
        switch outcome {
        case .pending: return lines + ["VotePending"]
        case .lost: return lines + ["VoteLost"]
        case .won: return lines + ["VoteWon"]
        }
    }

    private static func alternatives(_ quorum: JointQuorum, isJoint: Bool) -> [JointQuorum] {
        if isJoint { return [JointQuorum(incoming: quorum.outgoing, outgoing: quorum.incoming)] }
        let none = Majority([])
        return [
            JointQuorum(incoming: quorum.incoming, outgoing: none),
            JointQuorum(incoming: none, outgoing: quorum.incoming),
            JointQuorum(incoming: quorum.incoming, outgoing: quorum.incoming),
        ]
    }

    /// A line for each voter: a bar as long as there are voters strictly behind it, then its index.
    private static func picture(_ quorum: JointQuorum, _ indexes: [ReplicaID: LogIndex]) -> [String] {
        let voters = Set(quorum.incoming.voters + quorum.outgoing.voters).sorted()
        guard !voters.isEmpty else { return [] }
        let width = voters.count
        let header = String(repeating: " ", count: width) + "    idx"
        return [header]
            + voters.map { voter in
                let index = indexes[voter] ?? 0
                let behind = voters.filter { indexes[$0] ?? 0 < index }.count
                let bar =
                    indexes[voter] == nil
                    ? "?" + String(repeating: " ", count: width)
                    : String(repeating: "x", count: behind) + ">" + String(repeating: " ", count: width - behind)
                let digits = String(index)
                let padded = String(repeating: " ", count: max(0, 5 - digits.count)) + digits
                return "\(bar) \(padded)    (id=\(voter))"
            }
    }
}
