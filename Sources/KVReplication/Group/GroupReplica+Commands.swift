import KVRaft
import KVService

extension GroupReplica {
    /// As leader: whether what was committed before its term is applied here, so that the state may be judged.
    package var hasAppliedItsTerm: Bool { isLeader && core.hasCommittedInTerm && core.applied == core.commit }

    /// Proposes a command of group 0 for a caller who waits until it is applied.
    package func propose(control command: [UInt8], origin: Origin) {
        guard stopReason == nil else {
            return origin.fail(ServiceError(.unavailable, "group \(id) stopped on this node: \(stopReason ?? "")"))
        }
        do {
            let place = try propose(.commands, command)
            var filled = Proposals.Filling()
            filled.origins = [origin]
            proposals.wait(filled, index: place.index, term: place.term)
        } catch {
            origin.fail(
                ServiceError(.notLeader, "group \(id) takes no command here now; try again", leader: leaderNode)
            )
        }
        host.turnEnd.ask()
    }
}
