import KVBase
import KVRaft
import KVReplication

/// What must hold at every step of a run, whatever goes wrong: checked as nodes apply entries and change roles.
struct Invariants {
    private struct Place: Hashable {
        let group: GroupID
        let index: LogIndex
    }

    private struct Reign: Hashable {
        let group: GroupID
        let term: Term
    }

    private var applied: [Place: AppliedEntry] = [:]
    private var leaders: [Reign: NodeID] = [:]
    private(set) var appliedCount = 0
    private(set) var violation: SimulationViolation?

    var elections: Int { leaders.count }

    /// A node applied an entry: every node that ever applies one at this place must apply the same.
    mutating func applied(_ node: NodeID, _ group: GroupID, _ entry: AppliedEntry) {
        appliedCount += 1
        let place = Place(group: group, index: entry.index)
        if let known = applied[place] {
            guard known != entry else { return }
            report(
                "committed entries never change",
                "node \(node) applied \(entry) at \(entry.index) of group \(group), where \(known) was applied before"
            )
        } else {
            applied[place] = entry
        }
    }

    /// A node leads a group in a term: nobody else ever does.
    mutating func leads(_ node: NodeID, _ group: GroupID, _ term: Term) {
        let reign = Reign(group: group, term: term)
        if let known = leaders[reign], known != node {
            report("one leader per term", "nodes \(known) and \(node) both lead group \(group) in term \(term)")
        }
        leaders[reign] = node
    }

    mutating func report(_ invariant: String, _ details: String) {
        if violation == nil { violation = SimulationViolation(invariant, details) }
    }
}
