package import KVBase
import KVRaft
import KVReplication
package import KVService
import KVSharding

// What administrators ask for. A change of members is checked against what this node sees as leader of group 0, and then written down
// as an aim; see Node+Membership.

extension Node: AdminService {
    package func members(completion: @escaping @Sendable (Result<ClusterMembers, ServiceError>) -> Void) {
        onHome { [self] in
            // What it knows is as old as its removal.
            if let retirement, isRemoved { return completion(.failure(retirement)) }
            completion(.success(currentMembers))
        }
    }

    package func change(
        _ change: MemberChange,
        completion: @escaping @Sendable (Result<Bool, ServiceError>) -> Void
    ) {
        onHome { [self] in
            if let retirement { return completion(.failure(retirement)) }
            if let controllerLoss { return completion(.failure(controllerLoss)) }
            guard let group = groups[.controller], group.isLeader else {
                let text = "changes of members go to the leader of group 0"
                return completion(.failure(ServiceError(.notLeader, text, leader: controllerLeader)))
            }
            // Its state is not all applied before its term's first entry is.
            guard controller.state.cluster != nil, group.isLevel else {
                let text = "the leader of group 0 has just been elected; try again"
                return completion(.failure(ServiceError(.noLeader, text)))
            }
            // What is on its way is not in what is seen yet, and two changes at once could each be right and both together wrong.
            guard group.appliedIndex == group.lastIndex else {
                let text = "another command to group 0 is on its way; try again"
                return completion(.failure(ServiceError(.overloaded, text)))
            }
            if isSo(change) { return completion(.success(false)) }
            if let refusal = refusal(of: change) { return completion(.failure(refusal)) }
            let command: ControllerCommand =
                switch change {
                case .add(let node, let address, let staysLearner):
                    .nodeAdded(node, isVoter: !staysLearner, addresses: ["peer": address])
                case .promote(let node): .nodePromoted(node)
                case .remove(let node): .nodeRemoved(node)
                case .replace(let old, let new, let address):
                    .nodeReplaced(old, by: new, addresses: ["peer": address])
                }
            log.notice("changing the members", metadata: ["change": "\(change)"])
            let deadline = clock.monotonicNanoseconds + settings.group.requestTimeoutNanoseconds
            group.proposeControl(
                command.encoded,
                origin: Origin(
                    sink: ControlSink { completion($0.map { .failure($0) } ?? .success(true)) },
                    tag: 0,
                    deadline: deadline
                )
            )
        }
    }

    package func transferLeadership(
        of group: GroupID?,
        to node: NodeID?,
        completion: @escaping @Sendable (Result<[LeadershipTransfer], ServiceError>) -> Void
    ) {
        onHome { [self] in
            if let retirement { return completion(.failure(retirement)) }
            if let group, groups[group] == nil {
                return completion(.failure(ServiceError(.notFound, "there is no group \(group)")))
            }
            if let node, members[node] == nil {
                return completion(.failure(ServiceError(.notFound, "node \(node) is no member")))
            }
            let led: @Sendable () -> [GroupReplica] = { [self] in
                sortedGroups.filter { ($0.id == group || group == nil) && $0.isLeader }
            }
            if let group, led().isEmpty {
                let text = "node \(settings.node) does not lead group \(group)"
                return completion(.failure(ServiceError(.notLeader, text, leader: groups[group]?.leaderNode)))
            }
            // From each look at the quorum to the next answers nobody was heard from lately.
            let patience = 2 * UInt64(settings.group.electionTicks) * settings.group.tickNanoseconds
            wait(until: clock.monotonicNanoseconds + patience) { [self] in
                node != nil || led().allSatisfy { $0.successor(where: isConnected) != nil }
            } then: { [self] in
                begin(led().filter { _ in node != settings.node }, to: node, completion)
            }
        }
    }

    private func begin(
        _ led: [GroupReplica],
        to node: NodeID?,
        _ completion: @escaping @Sendable (Result<[LeadershipTransfer], ServiceError>) -> Void
    ) {
        var asked: [LeadershipTransfer] = []
        for group in led {
            switch beginTransfer(of: group, to: node) {
            case .failure(let error): return completion(.failure(error))
            case .success(let target):
                asked.append(LeadershipTransfer(group: group.id, target: target, leader: nil))
            }
        }
        finish(asked, completion)
    }

    private func beginTransfer(of group: GroupReplica, to node: NodeID?) -> Result<NodeID, ServiceError> {
        guard let target = node ?? group.successor(where: isConnected) else {
            return .failure(ServiceError(.conflict, "group \(group.id) has no other voter that could lead it now"))
        }
        guard isConnected(target) else {
            return .failure(ServiceError(.conflict, "node \(target) is not connected, so it cannot lead"))
        }
        do throws(ServiceError) {
            try group.transferLeadership(to: target)
            return .success(target)
        } catch {
            return .failure(error)
        }
    }

    /// Waits until others lead, or that did not come about in time.
    private func finish(
        _ asked: [LeadershipTransfer],
        _ completion: @escaping @Sendable (Result<[LeadershipTransfer], ServiceError>) -> Void
    ) {
        let until = clock.monotonicNanoseconds + Self.handOverNanosecondsMax
        wait(until: until) { [self] in
            asked.allSatisfy { transfer in groups[transfer.group].map(isHandedOver) ?? true }
        } then: { [self] in
            let done = asked.map {
                LeadershipTransfer(group: $0.group, target: $0.target, leader: groups[$0.group]?.leaderNode)
            }
            completion(.success(done))
        }
    }

    package func stopNode(force: Bool, completion: @escaping @Sendable (ServiceError?) -> Void) {
        onHome { [self] in
            guard let onStopRequested else {
                return completion(ServiceError(.unavailable, "this process cannot be stopped from here"))
            }
            // Who was removed is in nobody's majority.
            if !force, !isRemoved, let reason = quorumLoss(without: settings.node, isRemoval: false) {
                return completion(ServiceError(.conflict, "\(reason); force it if that is meant"))
            }
            completion(nil)
            onStopRequested()
        }
    }

    // MARK: Handing over

    /// How long the groups that a node leads have to find another leader.
    private static let handOverNanosecondsMax: UInt64 = 2_000_000_000
    private static let handOverCheckNanoseconds: UInt64 = 2_000_000

    /// Hands the leadership of every group over and waits until others lead, so that the node can stop without a client noticing.
    ///
    /// `completion` is called on the home scheduler, at the latest after two seconds.
    package func handOver(completion: @escaping @Sendable () -> Void) {
        onHome { [self] in
            guard !isStopping, !isHandingOver else { return completion() }
            isHandingOver = true
            let until = clock.monotonicNanoseconds + Self.handOverNanosecondsMax
            wait(until: until) { [self] in
                for group in sortedGroups where group.isLeader && !group.isTransferring {
                    if let target = group.successor(where: isConnected) { handOver(group, to: target) }
                }
                return sortedGroups.allSatisfy { isHandedOver($0) || $0.successor(where: isConnected) == nil }
            } then: {
                completion()
            }
        }
    }

    private func isHandedOver(_ group: GroupReplica) -> Bool {
        group.stopReason != nil || (!group.isLeader && group.leaderNode != nil)
    }

    private func wait(
        until deadline: UInt64,
        _ condition: @escaping @Sendable () -> Bool,
        then completion: @escaping @Sendable () -> Void
    ) {
        turnEnd.ask()
        guard !condition(), clock.monotonicNanoseconds < deadline, !isStopping else { return completion() }
        _ = home.schedule(afterNanoseconds: Self.handOverCheckNanoseconds) { [weak self] in
            guard let self else { return completion() }
            self.wait(until: deadline, condition, then: completion)
        }
    }

    // MARK: What is refused

    private var controllerLeader: NodeID? { groups[.controller]?.leaderNode }

    /// Why nobody can take changes now, as far as this node sees; nil where somebody may.
    private var controllerLoss: ServiceError? {
        let (voters, leader) = (voterNodes, controllerLeader)
        let reachable = voters.filter(isReachable)
        let leads = groups[.controller]?.isLeader == true
        guard leads ? reachable.count * 2 <= voters.count : !(leader.map(isReachable) ?? false) else { return nil }
        return ServiceError(
            .noLeader,
            "group 0 has no leader that could take this: node \(settings.node) reaches \(reachable.count) of \(voters.count)"
                + " voters\(Self.names(reachable)), a majority is \(voters.count / 2 + 1). Start the others; see 'kvctl status'"
        )
    }

    /// Ids in parentheses; nothing where there is none.
    private static func names(_ ids: [NodeID]) -> String {
        ids.isEmpty ? "" : " (\(ids.map(\.description).joined(separator: ", ")))"
    }

    /// Whether things stand already as a change is to bring them about.
    private func isSo(_ change: MemberChange) -> Bool {
        let nodes = controller.state.nodes
        func isSteady(_ id: NodeID) -> Bool {
            nodes[id].map { memberState(id, $0, replicas(of: id)) == .steady } ?? false
        }
        switch change {
        case .add(let node, let address, let staysLearner):
            return nodes[node]?.addresses["peer"] == address && nodes[node]?.isVoter == !staysLearner && isSteady(node)
        case .promote(let node): return nodes[node]?.isVoter == true && isSteady(node)
        case .remove: return false
        case .replace(let old, let new, let address):
            return nodes[old] == nil && nodes[new]?.addresses["peer"] == address && nodes[new]?.isLeaving == false
        }
    }

    /// Why a change cannot be made now; nil where it can.
    private func refusal(of change: MemberChange) -> ServiceError? {
        let nodes = controller.state.nodes
        switch change {
        case .add(let node, let address, let staysLearner):
            if let known = nodes[node], !known.isLeaving {
                let isSame = known.addresses["peer"] == address && known.isVoter == !staysLearner
                return isSame
                    ? nil : ServiceError(.conflict, "node \(node) is a member already: see 'kvctl member list'")
            }
            return refusal(of: address, for: node) ?? refusalOfSecond(besides: nil)
        case .promote(let node):
            guard let known = nodes[node] else { return unknown(node) }
            if known.isVoter { return nil }
            return refusalOfSecond(besides: node)
        case .remove(let node):
            guard let known = nodes[node] else { return unknown(node) }
            if known.isLeaving { return nil }
            guard controller.state.voters.contains(where: { $0 != node }) else {
                return ServiceError(.conflict, "node \(node) is the last voter: a cluster needs one")
            }
            if let reason = quorumLoss(without: node, isRemoval: true) { return ServiceError(.conflict, reason) }
            // Who votes nowhere may go whatever else is under way.
            let votes = sortedGroups.contains { group in
                group.configuration.voters.contains { group.node(of: $0) == node }
            }
            return votes ? refusalOfSecond(besides: node) : nil
        case .replace(let old, let new, let address):
            guard let known = nodes[old] else { return unknown(old) }
            if nodes[new]?.replaces == old { return nil }
            if known.isLeaving { return ServiceError(.conflict, "node \(old) is leaving already") }
            if new != old, nodes[new] != nil { return ServiceError(.conflict, "node \(new) is a member already") }
            if new == old, let reason = quorumLoss(without: old, isRemoval: false) {
                return ServiceError(.conflict, "the present life of node \(old) is cut off at once, and \(reason)")
            }
            return refusal(of: address, for: new, insteadOf: old) ?? refusalOfSecond(besides: old)
        }
    }

    private func unknown(_ node: NodeID) -> ServiceError {
        let ids = controller.state.nodes.keys.sorted().map(\.description).joined(separator: ", ")
        return ServiceError(.notFound, "node \(node) is no member; members are \(ids)")
    }

    private func refusal(of address: String, for node: NodeID, insteadOf old: NodeID? = nil) -> ServiceError? {
        let port = address.lastIndex(of: ":").flatMap { Int(address[address.index(after: $0)...]) } ?? 0
        guard (1...65_535).contains(port), address.utf8.count <= ControllerFormat.textBytesMax, !address.hasPrefix(":"),
            address.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }), node.rawValue > 0
        else {
            return ServiceError(.badRequest, "'\(address)' is no peer address of a node; expected host:port")
        }
        let taken = controller.state.nodes.first {
            $0.key != node && $0.key != old && $0.value.addresses["peer"] == address
        }
        return taken.map { ServiceError(.conflict, "\(address) is the address of node \($0.key)") }
    }

    /// Why no other change may begin: one is under way that is not about `node`.
    private func refusalOfSecond(besides node: NodeID?) -> ServiceError? {
        for member in currentMembers.members where member.id != node && member.state != .steady {
            let what =
                switch member.state {
                case .awaited: "node \(member.id) was added and has not joined: start it with --join, or remove it"
                case .catchingUp: "node \(member.id) is catching up"
                default: "node \(member.id) is leaving"
                }
            return ServiceError(.conflict, "another change is under way: \(what); one at a time")
        }
        return nil
    }

    /// Why a group would have no majority without this node; nil where all have.
    private func quorumLoss(without node: NodeID, isRemoval: Bool) -> String? {
        for group in sortedGroups {
            let voters = group.configuration.voters.compactMap { group.node(of: $0) }
            guard voters.contains(node) else { continue }
            let rest = voters.filter { $0 != node }
            let reachable = rest.filter(isReachable)
            // Who is removed counts no more; who is stopped or lost does.
            let count = isRemoval ? rest.count : voters.count
            guard reachable.count * 2 <= count else { continue }
            let (all, majority) = ("\(count) voter\(count == 1 ? "" : "s")", "a majority is \(count / 2 + 1)")
            let left = "\(reachable.count)\(Self.names(reachable))"
            if isRemoval {
                return
                    "without node \(node), group \(group.id) has \(all), of which \(left) can be reached; \(majority)"
            }
            let now = voters.filter(isReachable)
            return "group \(group.id) has \(all), of which \(now.count)\(Self.names(now)) can be reached now,"
                + " and \(left) without node \(node); \(majority)"
        }
        return nil
    }

    // MARK: How members stand

    private var currentMembers: ClusterMembers {
        let state = controller.state
        guard state.cluster != nil else {
            let first = members.sorted { $0.key < $1.key }.map { id, address in
                ClusterMembers.Member(
                    id: id,
                    incarnation: nil,
                    addresses: ["peer": address],
                    isReachable: isReachable(id),
                    isVoter: true,
                    state: .steady,
                    replicas: []
                )
            }
            return ClusterMembers(cluster: identity.cluster, leader: controllerLeader, members: first)
        }
        let all = state.nodes.sorted { $0.key < $1.key }.map { id, node in
            let replicas = replicas(of: id)
            return ClusterMembers.Member(
                id: id,
                incarnation: node.incarnation,
                addresses: node.addresses,
                isReachable: isReachable(id),
                isVoter: node.isVoter,
                state: memberState(id, node, replicas),
                replicas: replicas
            )
        }
        return ClusterMembers(cluster: identity.cluster, leader: controllerLeader, members: all)
    }

    private func memberState(
        _ id: NodeID,
        _ node: ControllerState.Node,
        _ replicas: [ClusterMembers.Replica]
    ) -> ClusterMembers.State {
        if node.isLeaving { return .leaving }
        if isAwaited(id) { return .awaited }
        let wanted = node.isVoter ? "voter" : "learner"
        // Where it takes another's place it is not done before that one is out.
        return replicas.contains { $0.role != wanted } || node.replaces != nil ? .catchingUp : .steady
    }

    private func replicas(of id: NodeID) -> [ClusterMembers.Replica] {
        var found: [ClusterMembers.Replica] = []
        for (group, placements) in controller.state.groups.sorted(by: { $0.key < $1.key }) {
            let hosted = groups[group]
            for (replica, placement) in placements.sorted(by: { $0.key < $1.key }) where placement.node == id {
                let progress = hosted?.isLeader == true ? hosted?.progress.first { $0.replica == replica } : nil
                found.append(
                    ClusterMembers.Replica(
                        group: group,
                        replica: replica,
                        role: role(of: replica, in: hosted?.configuration),
                        lag: progress.map { (hosted?.lastIndex ?? 0) - min($0.match, hosted?.lastIndex ?? 0) }
                    )
                )
            }
        }
        return found
    }

    private func role(of replica: ReplicaID, in configuration: Configuration?) -> String {
        guard let configuration else { return "planned" }
        if configuration.voters.contains(replica) { return "voter" }
        if configuration.outgoing.contains(replica) { return "outgoing" }
        return configuration.isLearner(replica) ? "learner" : "planned"
    }
}

/// Tells a caller how a command to the controller went.
private final class ControlSink: ReplySink {
    private let completion: @Sendable (ServiceError?) -> Void

    init(_ completion: @escaping @Sendable (ServiceError?) -> Void) {
        self.completion = completion
    }

    func complete(_ tag: UInt64, _ reply: borrowing Reply) {
        completion(reply.error)
    }
}
