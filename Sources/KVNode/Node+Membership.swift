import KVBase
import KVRaft
import KVReplication
import KVService
import KVSharding

// Who belongs to the cluster: what group 0 says is carried out here. The leader of group 0 writes down what nodes say of themselves and
// what is left of those that go; the leader of each group brings its configuration nearer to the aim, one change at a time:
//
//     placed, not in the configuration     ─▶ a learner
//     a learner that has caught up         ─▶ a voter; who it replaces leaves in the same joint step
//     leaving, or unknown to group 0       ─▶ out, unless a majority of those who stay is not reachable
//     the leader itself is to leave        ─▶ leadership goes to another voter, who goes on
//
// Nothing is remembered between two looks, so that any leader can go on where the last one stopped.

extension Node {
    /// How many entries a learner may be behind to be made a voter.
    private static let lagMax: UInt64 = 256

    /// Everyone, with where peers reach them: what group 0 says, before that what this node was started with.
    var members: [NodeID: String] {
        guard controller.state.cluster != nil else {
            let named = settings.join.map { $0.members.map { ($0.node, $0.address) } }
            return Dictionary(named ?? settings.members.map { ($0.id, $0.peerAddress) }) { one, _ in one }
        }
        return controller.state.nodes.mapValues { $0.addresses["peer"] ?? "" }
    }

    /// The nodes whose votes count, for messages.
    var voterNodes: [NodeID] {
        guard let group = groups[.controller], !group.configuration.voters.isEmpty else { return members.keys.sorted() }
        return group.configuration.voters.compactMap { group.node(of: $0) }
    }

    /// Whether a node was added and has not said yet which life of a data directory it is, so that it has no replica.
    func isAwaited(_ id: NodeID) -> Bool {
        guard let node = controller.state.nodes[id], node.incarnation == nil else { return false }
        return node.replaces == id
            || !controller.state.groups.values.contains {
                $0.values.contains { $0.node == id && $0.incarnation == nil }
            }
    }

    /// Whether this node can reach a node now, or is it.
    func isReachable(_ id: NodeID) -> Bool { id == settings.node || isConnected(id) }

    // MARK: Connections

    /// Keeps connections to whom group 0 names, and to nobody else.
    func syncPeers() {
        let state = controller.state
        guard let transport, state.cluster != nil, !isRemoved, !isStopping else { return }
        if state.isRemoved(settings.node, identity.incarnation) {
            return becomeRemoved("group 0 says so")
        }
        if identity.isJoined, !identityStore.identity.isFormed, !isForming { noteJoined() }
        for (id, node) in state.nodes.sorted(by: { $0.key < $1.key }) where id != settings.node {
            // Another life than group 0 knows now: it must introduce itself again.
            if let hello = connected[id], let incarnation = node.incarnation, incarnation != hello.incarnation {
                transport.removePeer(id)
            }
            if let address = node.addresses["peer"], !address.isEmpty { transport.setPeer(id, address: address) }
        }
        for peer in transport.peers where state.nodes[peer] == nil { transport.removePeer(peer) }
    }

    /// Group 0's state is here, so that from now on the node finds the others without being told.
    private func noteJoined() {
        isForming = true
        log.notice("joined", metadata: ["cluster": "\(identity.cluster)"])
        identityStore.markFormed { [self] error in
            isForming = false
            if let error { log.error("cannot store that the node joined", metadata: ["error": "\(error)"]) }
        }
    }

    /// The cluster removed this node: it says so, takes no part any more, and remembers that.
    func becomeRemoved(_ reason: String) {
        guard !isRemoved, !isStopping else { return }
        isRemoved = true
        let text =
            "node \(settings.node) was removed from the cluster (\(reason)); stop it and keep or delete its data directory"
        alarms["removed"] = text
        log.critical("\(text)")
        identityStore.markRemoved { [log] error in
            if let error { log.error("cannot store that the node was removed", metadata: ["error": "\(error)"]) }
        }
        for group in sortedGroups { group.stop("the node was removed from the cluster") }
        if let retirement { for request in waiting.takeAll() { request.origin.fail(retirement) } }
    }

    // MARK: What leaders do

    /// Brings what is nearer to what group 0 says it is to be; called now and then.
    func pursueMembership() {
        guard controller.state.cluster != nil, isFormed, !isStopping else { return }
        if let group = groups[.controller], group.isLeader, !group.hasControlInFlight, !group.isTransferring {
            if let command = announcement() ?? risenLevel() {
                group.proposeControl(command.encoded)
            } else if !isCheckingDepartures {
                reportDepartures()
            }
        }
        for group in sortedGroups where group.mayChangeConfiguration { pursue(group) }
    }

    /// What a connected member, or this node, says of itself and group 0 does not know yet.
    private func announcement() -> ControllerCommand? {
        for said in [hello] + connected.values.sorted(by: { $0.node < $1.node }) {
            guard let known = controller.state.nodes[said.node], !isAwaited(said.node),
                let addresses = said.announcedAddresses(known: known.addresses)
            else { continue }
            let isNews =
                known.incarnation == nil || (known.incarnation == said.incarnation && addresses != known.addresses)
            if isNews { return .nodeAnnounced(said.node, said.incarnation, addresses: addresses) }
        }
        return nil
    }

    /// The order to raise the feature level, where all members are connected and support more.
    private func risenLevel() -> ControllerCommand? {
        var levels = connected.mapValues(\.featureLevel)
        levels[settings.node] = settings.featureLevel
        return controller.state.rise(supported: levels)
    }

    /// Reports the replicas that have left, once what this node knows of the groups is certainly as new as this question.
    ///
    /// An old view of a group that another node leads may lack a replica that joined it meanwhile: taken for gone and told so, it would
    /// stop while its vote is counted.
    private func reportDepartures() {
        guard let seen = departures() else { return }
        isCheckingDepartures = true
        check(Array(Set(seen.map(\.group)).sorted())[...]) { [self] isCertain in
            isCheckingDepartures = false
            guard isCertain, let group = groups[.controller], group.isLeader, !group.hasControlInFlight,
                let left = departures()?.filter(seen.contains), !left.isEmpty
            else { return }
            group.proposeControl(ControllerCommand.replicasGone(left).encoded)
        }
    }

    /// Passes a barrier of each group, one after the other.
    private func check(_ ids: ArraySlice<GroupID>, _ completion: @escaping @Sendable (Bool) -> Void) {
        guard let id = ids.first else { return completion(true) }
        guard let group = groups[id] else { return completion(false) }
        group.barrier { [self] error in
            if error == nil { check(ids.dropFirst(), completion) } else { completion(false) }
        }
    }

    /// The replicas that are to leave and are in no configuration any more.
    private func departures() -> [ControllerCommand.Replica]? {
        var gone: [ControllerCommand.Replica] = []
        for (id, placements) in controller.state.groups.sorted(by: { $0.key < $1.key }) {
            guard let group = groups[id], !group.configuration.voters.isEmpty else { continue }
            for (replica, placement) in placements.sorted(by: { $0.key < $1.key })
            where placement.isLeaving && !group.configuration.contains(replica) && !isHeld(replica, placements, group) {
                gone.append(ControllerCommand.Replica(id, replica))
            }
        }
        return gone.isEmpty ? nil : gone
    }

    /// Whether a replica stays until the one that takes its place can vote.
    private func isHeld(
        _ replica: ReplicaID,
        _ placements: [ReplicaID: ControllerState.Placement],
        _ group: GroupReplica,
        ready: Set<ReplicaID> = []
    ) -> Bool {
        placements.contains { successor, placement in
            placement.replaces == replica && !placement.isLeaving && !group.configuration.voters.contains(successor)
                && !ready.contains(successor)
        }
    }

    /// Whether a replica of group 0 stays since its node is in other groups yet: who may lead one must know who is to leave it.
    private func isNeededInControl(_ group: GroupReplica, _ placement: ControllerState.Placement?) -> Bool {
        guard group.id == .controller, let placement else { return false }
        return controller.state.groups.contains { id, placements in
            id != .controller && placements.values.contains { $0.isSameLife(as: placement) }
        }
    }

    /// Whether who takes another's place in group 0 waits, to become a voter in the very step in which that one leaves.
    private func isEarly(
        _ placement: ControllerState.Placement,
        _ placements: [ReplicaID: ControllerState.Placement],
        _ group: GroupReplica
    ) -> Bool {
        // Where the leader itself is to leave, it needs somebody to hand over to.
        guard let old = placement.replaces, old != group.replica else { return false }
        return isNeededInControl(group, placements[old])
    }

    /// Proposes the next change that brings a group nearer to its aim.
    private func pursue(_ group: GroupReplica) {
        guard let placements = controller.state.groups[group.id] else { return }
        let configuration = group.configuration
        let staying = placements.filter { !$0.value.isLeaving }.sorted { $0.key < $1.key }
        if let (replica, placement) = staying.first(where: { !configuration.contains($0.key) }) {
            log.info("adding a learner", metadata: ["group": "\(group.id)", "node": "\(placement.node)"])
            group.change([.init(.addLearner, replica)], newcomers: [replica: placement.node])
            return
        }
        let caughtUp = Set(
            group.progress.filter { $0.state == .replicate && $0.match + Self.lagMax >= group.lastIndex }.map(\.replica)
        )
        let promoted = staying.filter { replica, placement in
            configuration.isLearner(replica) && caughtUp.contains(replica) && isReachable(placement.node)
                && controller.state.nodes[placement.node]?.isVoter == true && !isEarly(placement, placements, group)
        }.map(\.key)
        // A learner takes a learner's place once it has caught up.
        let ready = Set(promoted).union(
            staying.filter { caughtUp.contains($0.key) && controller.state.nodes[$0.value.node]?.isVoter == false }
                .map(\.key)
        )
        var removed = configuration.replicas.filter { replica in
            placements[replica]?.isLeaving != false && !isHeld(replica, placements, group, ready: ready)
                && !isNeededInControl(group, placements[replica])
        }
        // Who leaves leads no group: of those it is out of already it hears nothing more.
        if removed.contains(group.replica) || (group.id == .controller && placements[group.replica]?.isLeaving == true)
        {
            let leaving = Set(placements.values.filter(\.isLeaving).map(\.node) + [settings.node])
            if let target = group.successor(where: { isConnected($0) && !leaving.contains($0) }) {
                handOver(group, to: target)
                return
            }
            removed.removeAll { $0 == group.replica }
        }
        let voters = (configuration.voters + promoted).filter { !removed.contains($0) }
        let nodes = group.replicaNodes
        let reachable = voters.filter { replica in nodes[replica].map(isReachable) ?? false }
        if reachable.count * 2 <= voters.count { removed = removed.filter { configuration.isLearner($0) } }
        let items =
            promoted.map { ConfigurationChange.Item(.addVoter, $0) }
            + removed.map { ConfigurationChange.Item(.remove, $0) }
        guard !items.isEmpty, group.change(items, newcomers: [:]) else { return }
        log.notice(
            "changing the configuration",
            metadata: ["group": "\(group.id)", "promoted": "\(promoted)", "removed": "\(removed)"]
        )
    }

    /// Hands a group's leadership to the voter on a node.
    func handOver(_ group: GroupReplica, to node: NodeID) {
        do throws(ServiceError) {
            try group.transferLeadership(to: node)
            log.info("handing leadership over", metadata: ["group": "\(group.id)", "to": "\(node)"])
        } catch {
            log.warning("leadership stays", metadata: ["group": "\(group.id)", "reason": "\(error.message)"])
        }
    }
}

extension PeerHello {
    /// The addresses by which group 0 is to know this node; nil where they are nothing that it could store.
    fileprivate func announcedAddresses(known: [String: String]) -> [String: String]? {
        var announced = addresses
        announced["peer"] = addresses["peer"] ?? known["peer"]
        let isPlain = announced.allSatisfy {
            max($0.key.utf8.count, $0.value.utf8.count) <= ControllerFormat.textBytesMax
        }
        return isPlain && announced.count <= ControllerFormat.addressesMax ? announced : nil
    }

    /// The command with which this node is announced to group 0.
    func announcement(known: [String: String]) -> ControllerCommand? {
        announcedAddresses(known: known).map { .nodeAnnounced(node, incarnation, addresses: $0) }
    }
}
