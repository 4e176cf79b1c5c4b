package import KVBase
package import KVRaft
package import KVService

// What a node asks of a group as its leader beside requests: commands to the controller, changes of the configuration, and the
// handing over of leadership.

extension GroupReplica {
    // MARK: Commands to the controller

    /// Whether a command that the node proposed of its own accord in this term is not applied yet.
    package var hasControlInFlight: Bool { ownControl.term == core.term && core.applied < ownControl.index }

    /// Proposes a command to the controller of the node's own accord, as leader of its group.
    package func proposeControl(_ command: [UInt8]) {
        guard isLeader, core.transferTarget == nil else { return }
        // Refused where the log takes no more: the node tries again.
        guard let place = try? propose(.commands, command) else { return }
        ownControl = (place.term, place.index)
        host.turnEnd.ask()
    }

    /// Proposes a command to the controller for a caller who waits for its outcome.
    package func proposeControl(_ command: [UInt8], origin: Origin) {
        guard stopReason == nil else {
            return origin.fail(ServiceError(.unavailable, "group \(id) stopped on this node: \(stopReason ?? "")"))
        }
        do {
            let place = try propose(.commands, command)
            var filled = Proposals.Filling()
            filled.origins = [origin]
            proposals.wait(filled, index: place.index, term: place.term)
        } catch RaftError.notLeader, RaftError.transferring {
            origin.fail(ServiceError(.notLeader, "this node does not lead group \(id)", leader: leaderNode))
        } catch {
            origin.fail(ServiceError(.overloaded, "group \(id) takes no command now (\(error)); try again"))
        }
        host.turnEnd.ask()
    }

    // MARK: Membership

    /// The configuration as of the last applied entry.
    package var configuration: Configuration { core.configuration }
    /// As leader: whether everything that was committed before its term is applied here.
    package var isLevel: Bool { isLeader && core.hasCommittedInTerm && core.applied == core.commit }
    /// Where the replicas live.
    package var replicaNodes: [ReplicaID: NodeID] { membership.nodes }

    /// Whether the group may take a change of its configuration now: it leads, has committed in its term, and no change is under way.
    package var mayChangeConfiguration: Bool {
        isLeader && core.hasCommittedInTerm && core.transferTarget == nil && !core.configuration.isJoint
    }

    /// Proposes a change of the configuration; returns whether it is on its way.
    ///
    /// An earlier one that is not applied yet refuses it.
    @discardableResult
    package func change(_ items: [ConfigurationChange.Item], newcomers: [ReplicaID: NodeID]) -> Bool {
        let change = ConfigurationChange(items: items, context: GroupMembership.context(newcomers))
        guard stopReason == nil, (try? propose(.configuration, change.encoded)) != nil else { return false }
        host.turnEnd.ask()
        return true
    }

    /// Stores that this replica is the only one of its group, as of the end of its log: no change before that counts any more.
    ///
    /// For a group that was opened so and takes no part yet; `completion` is called on the home scheduler when it is durable.
    package func standAlone(completion: @escaping @Sendable ((any Error)?) -> Void) {
        let (bytes, index, own) = (membership.encoded, core.lastIndex, replica.rawValue)
        store.change { state in
            state.membership = bytes
            state.membershipIndex = index
            state.replica = own
        } completion: { error in
            completion(error)
        }
    }

    // MARK: Leadership

    /// Whether leadership is on its way to another replica.
    package var isTransferring: Bool { core.role == .leader && core.transferTarget != nil }

    /// The voter that is best placed to lead next among those on nodes that `isFit`: heard from lately and with the longest log.
    package func successor(where isFit: (NodeID) -> Bool) -> NodeID? {
        let voters = Set(core.configuration.voters)
        let candidates = core.progress.filter {
            voters.contains($0.replica) && $0.replica != replica && $0.isRecentlyActive
        }
        .compactMap { progress in membership.node(of: progress.replica).map { (progress.match, $0) } }
        .filter { isFit($0.1) }
        // Who was asked last and did not take over may not be able to: it is another's turn, where there is one.
        let others = candidates.filter { $0.1 != lastSuccessor }
        return (others.isEmpty ? candidates : others).max { $0.0 < $1.0 }?.1
    }

    /// A leader whose own log lags behind what the others have on their disks keeps every client waiting: it hands leadership over.
    ///
    /// A disk that fails ends the group here at once, and the others elect.
    func leaveLeadershipToFasterDisk(_ now: UInt64) {
        guard isLeader, logWritesInFlight > 0, core.commit > core.durableIndex, core.transferTarget == nil,
            now > logWaitsSince + settings.slowDiskNanoseconds,
            steppedAwayAt == 0 || now > steppedAwayAt + settings.slowDiskRestNanoseconds,
            let node = successor(where: { _ in true })
        else { return }
        // Refused where the target is no voter any more: it is tried again.
        guard (try? transferLeadership(to: node)) != nil else { return }
        steppedAwayAt = now
        stepsAway += 1
        observer?.groupStepsAway(self, to: node)
    }

    /// Hands leadership to the voter on a node.
    /// - Throws: `notLeader`; `conflict` where no voter of the group is there.
    package func transferLeadership(to node: NodeID) throws(ServiceError) {
        guard isLeader else {
            throw ServiceError(.notLeader, "this node does not lead group \(id)", leader: leaderNode)
        }
        let voters = core.configuration.voters.filter { membership.node(of: $0) == node }
        guard let target = voters.max() else {
            throw ServiceError(.conflict, "node \(node) has no voter of group \(id), so it cannot lead it")
        }
        catchUp()
        do {
            try core.transferLeadership(to: target)
            lastSuccessor = node
        } catch {
            throw ServiceError(.conflict, "group \(id) cannot be handed to node \(node): \(error)")
        }
        host.turnEnd.ask()
    }
}
