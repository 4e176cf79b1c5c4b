package import KVBase

// Who belongs to the cluster: an aim that administrators set here and that the leaders of the groups pursue.
//
//     nodeAdded ─▶ nodeAnnounced ─▶ placed: a replica in each group, under an id that nobody had
//     nodeRemoved ─▶ its replicas leave ─▶ replicasGone ─▶ forgotten; that life of the node is refused for ever
//     nodeReplaced ─▶ nodeAnnounced ─▶ placed; the old one's replicas leave in the step that makes the new ones voters

extension ControllerState {
    /// Whether this life of a node was a member and is none any more.
    package func isRemoved(_ node: NodeID, _ incarnation: Incarnation) -> Bool {
        removed[node]?.contains(incarnation) == true
    }

    /// The replicas that this life of a node is to host, or nil where it is not placed.
    package func replicas(of node: NodeID, _ incarnation: Incarnation) -> [GroupID: ReplicaID]? {
        var found: [GroupID: ReplicaID] = [:]
        for (group, replicas) in groups {
            for (replica, placement) in replicas
            where placement.node == node && placement.incarnation == incarnation && !placement.isLeaving {
                found[group] = replica
            }
        }
        return found.isEmpty ? nil : found
    }

    /// The nodes that are to vote, as far as the aim goes.
    package var voters: [NodeID] {
        nodes.filter { $0.value.isVoter && !$0.value.isLeaving }.keys.sorted()
    }

    // MARK: Commands

    mutating func add(_ id: NodeID, _ isVoter: Bool, _ addresses: [String: String]) -> Outcome {
        guard cluster != nil else { return .refused("the cluster is not initialized yet") }
        if let known = nodes[id] {
            let isSame = known.isVoter == isVoter && known.addresses["peer"] == addresses["peer"] && !known.isLeaving
            return isSame ? .unchanged : .refused("node \(id) is a member already")
        }
        if let reason = fullness { return .refused(reason) }
        var node = Node(addresses: addresses)
        node.isVoter = isVoter
        nodes[id] = node
        return .applied
    }

    mutating func promote(_ id: NodeID) -> Outcome {
        guard let node = nodes[id], !node.isLeaving else { return .refused("node \(id) is no member") }
        guard !node.isVoter else { return .unchanged }
        nodes[id]?.isVoter = true
        return .applied
    }

    mutating func remove(_ id: NodeID) -> Outcome {
        guard let node = nodes[id] else { return .refused("node \(id) is no member") }
        guard !node.isLeaving else { return .unchanged }
        guard voters.contains(where: { $0 != id }) else { return .refused("node \(id) is the last voter") }
        leave(id)
        return .applied
    }

    mutating func replace(_ old: NodeID, by new: NodeID, _ addresses: [String: String]) -> Outcome {
        guard let known = nodes[old] else { return .refused("node \(old) is no member") }
        if let present = nodes[new], present.replaces == old { return .unchanged }
        guard !known.isLeaving else { return .refused("node \(old) is leaving already") }
        guard new == old || nodes[new] == nil else { return .refused("node \(new) is a member already") }
        if let reason = fullness { return .refused(reason) }
        var node = Node(addresses: addresses)
        node.isVoter = known.isVoter
        node.replaces = old
        if new == old {
            guard let incarnation = known.incarnation else {
                return .refused(
                    "node \(old) has not said which life of its data directory it is: remove it, then add it"
                )
            }
            refuseForEver(old, incarnation)
        }
        nodes[new] = node
        return .applied
    }

    /// Reports replicas that left; a node without any that was to leave is forgotten.
    mutating func forget(_ replicas: [ControllerCommand.Replica]) -> Outcome {
        var isChanged = false
        for gone in replicas where groups[gone.group]?[gone.replica]?.isLeaving == true {
            groups[gone.group]?[gone.replica] = nil
            for (replica, placement) in groups[gone.group] ?? [:] where placement.replaces == gone.replica {
                groups[gone.group]?[replica]?.replaces = nil
            }
            isChanged = true
        }
        forgetEmptyNodes()
        return isChanged ? .applied : .unchanged
    }

    // MARK: Helpers

    /// A node is known by its life now: where it has no place yet it gets one in every group.
    mutating func settle(_ id: NodeID, _ incarnation: Incarnation) {
        var hasPlace = false
        for (group, replicas) in groups {
            for (replica, placement) in replicas where placement.node == id && placement.incarnation == nil {
                groups[group]?[replica]?.incarnation = incarnation
                hasPlace = true
            }
        }
        guard !hasPlace, let node = nodes[id], !node.isLeaving else { return }
        let number = ReplicaID(nextReplica)
        nextReplica += 1
        for group in groups.keys {
            var placement = Placement(node: id, incarnation: incarnation)
            if let old = node.replaces {
                let before = groups[group]?.first { $0.value.node == old && !$0.value.isLeaving }
                if let before {
                    placement.replaces = before.key
                    groups[group]?[before.key]?.isLeaving = true
                }
            }
            groups[group]?[number] = placement
        }
        if let old = node.replaces, old != id { nodes[old]?.isLeaving = true }
    }

    /// Why no node more fits; nil where one does.
    private var fullness: String? {
        let most = groups.values.map(\.count).max() ?? 0
        return most < ControllerFormat.replicasMax && nodes.count < ControllerFormat.nodesMax
            ? nil : "\(nodes.count) nodes and \(most) replicas of a group are the limit"
    }

    private mutating func refuseForEver(_ id: NodeID, _ incarnation: Incarnation) {
        guard !isRemoved(id, incarnation) else { return }
        removed[id] = (removed[id] ?? []).suffix(ControllerFormat.removedMax - 1) + [incarnation]
    }

    private mutating func leave(_ id: NodeID) {
        nodes[id]?.isLeaving = true
        for (group, replicas) in groups {
            for (replica, placement) in replicas where placement.node == id {
                groups[group]?[replica]?.isLeaving = true
                groups[group]?[replica]?.replaces = nil
            }
        }
        forgetEmptyNodes()
    }

    private mutating func forgetEmptyNodes() {
        let placed = Set(groups.values.flatMap { $0.values.map(\.node) })
        for (id, node) in nodes where node.isLeaving && !placed.contains(id) {
            nodes[id] = nil
            if let incarnation = node.incarnation { refuseForEver(id, incarnation) }
        }
        // A replacement is over when nothing of the old one is left.
        for (id, node) in nodes where node.incarnation != nil {
            guard let old = node.replaces else { continue }
            let isOver = !groups.values.contains { replicas in
                replicas.values.contains { $0.node == old && $0.isLeaving }
            }
            if isOver { nodes[id]?.replaces = nil }
        }
    }
}
