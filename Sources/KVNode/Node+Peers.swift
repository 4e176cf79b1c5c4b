package import KVBase
package import KVReplication

// What this node says to others and hears from them.

extension Node: PeerReceiver {
    package var hello: PeerHello {
        PeerHello(
            cluster: identity.cluster,
            node: identity.node,
            incarnation: identity.incarnation,
            protocolRange: PeerProtocol.supported,
            featureLevel: settings.featureLevel,
            addresses: settings.addresses,
            isBlank: !isFormed
        )
    }

    package func admit(_ hello: PeerHello, completion: @escaping @Sendable (PeerVerdict) -> Void) {
        let verdict = verdict(on: hello)
        // Who has no replica yet has nothing to say that counts: group 0 will know its incarnation before that.
        guard verdict == .admitted, !isAwaited(hello.node) else { return completion(verdict) }
        if identityStore.identity.peers[hello.node] == hello.incarnation {
            completion(.admitted)
            return
        }
        // Remembered on stable storage before anything this peer says counts.
        identityStore.remember(hello.node, hello.incarnation) { error in
            if let error {
                completion(.refused("node \(self.settings.node) cannot store who you are: \(error)"))
            } else {
                completion(.admitted)
            }
        }
    }

    private func verdict(on hello: PeerHello) -> PeerVerdict {
        let own = settings.node
        let state = controller.state
        if hello.cluster != identity.cluster {
            return .refused(
                "node \(hello.node) belongs to cluster \(hello.cluster), node \(own) to \(identity.cluster): compare cluster.name,"
                    + " cluster.shards and cluster.nodes of their configurations"
            )
        }
        if hello.node == own {
            return .refused(
                "node \(own) was called by a node that says it is node \(own) too: give each its own node.id"
            )
        }
        if state.isRemoved(hello.node, hello.incarnation) {
            return .removed("node \(hello.node) (incarnation \(hello.incarnation)) was removed from the cluster")
        }
        if members[hello.node] == nil {
            return .refused(
                "node \(hello.node) is not among "
                    + (state.cluster == nil
                        ? "cluster.nodes of node \(own)" : "the members of the cluster: kvctl member add")
            )
        }
        if !hello.protocolRange.overlaps(PeerProtocol.supported) {
            return .refused(
                "node \(hello.node) speaks peer protocols \(hello.protocolRange), node \(own) \(PeerProtocol.supported):"
                    + " run versions that overlap"
            )
        }
        if hello.featureLevel < state.featureLevel {
            return .refused(
                "node \(hello.node) supports feature level \(hello.featureLevel), the cluster uses \(state.featureLevel): run a"
                    + " newer version there"
            )
        }
        // Group 0 knows best; before it does, what was met before counts.
        let isNewLife = state.nodes[hello.node]?.replaces == hello.node
        let met = isNewLife ? nil : identityStore.identity.peers[hello.node]
        if let known = state.nodes[hello.node]?.incarnation ?? met, known != hello.incarnation,
            !settings.plantedBugs.contains(.wipedVoter)
        {
            return .refused(
                "node \(hello.node) comes with incarnation \(hello.incarnation), but node \(own) knows it as \(known): this host lost"
                    + " its data and must not vote as if it had not. Restore its data directory, or use 'kvctl member replace"
                    + " \(hello.node) \(hello.node) HOST:PORT' and start it with --join"
            )
        }
        return .admitted
    }

    package func peerSaysRemoved(_ node: NodeID, reason: String) {
        becomeRemoved("node \(node) says: \(reason)")
    }

    package func peerConnected(_ hello: PeerHello) {
        connected[hello.node] = hello
        log.info("peer connected", metadata: ["peer": "\(hello.node)"])
        formIfComplete()
        retryWaiting()
        turnEnd.ask()
    }

    package func peerDisconnected(_ node: NodeID, closedByPeer: Bool) {
        guard connected.removeValue(forKey: node) != nil else { return }
        log.info("peer disconnected", metadata: ["peer": "\(node)", "closedByPeer": "\(closedByPeer)"])
        failProxies(to: node)
        for group in sortedGroups {
            if closedByPeer { group.leaderConnectionClosed(node) }
            group.peerUnreachable(node)
        }
        turnEnd.ask()
    }

    package func receive(_ messages: [PeerMessage], from node: NodeID) {
        for message in messages {
            switch message {
            case .raft(let group, let message):
                guard isFormed, let replica = groups[group] else { continue }
                replica.receive(message, from: node)
            case .requests(let requests): serve(requests, from: node)
            case .replies(let replies): receive(replies)
            case .snapshotChunk(let chunk): snapshots.receive(chunk, from: node)
            case .snapshotProgress(let progress): snapshots.receive(progress, from: node)
            }
        }
    }

    /// Whether a request can be sent to a node now.
    func isConnected(_ node: NodeID) -> Bool { connected[node] != nil }

    /// A new node takes part only once every member the cluster starts with has met it and stored its incarnation.
    ///
    /// From then on a member that lost its data is known to all as another, and can never vote as if it had its log
    /// (see docs/architecture.md, "Identity").
    func formIfComplete() {
        guard !isFormed else { return }
        let missing = settings.members.filter { $0.id != settings.node && connected[$0.id] == nil }
        guard missing.isEmpty || settings.plantedBugs.contains(.wipedVoter) else {
            log.info("waiting to meet every member for the first time", metadata: ["missing": "\(missing.map(\.id))"])
            return
        }
        guard !isForming else { return }
        isForming = true
        identityStore.markFormed { error in
            self.isForming = false
            if let error {
                self.log.error("cannot store that the cluster is formed", metadata: ["error": "\(error)"])
                return
            }
            self.isFormed = true
            self.log.info("met every member: taking part")
            self.turnEnd.ask()
        }
    }
}

/// What this version says between nodes.
package enum PeerProtocol {
    /// The peer protocols that this version speaks.
    package static let supported: ClosedRange<UInt32> = 1...1
    /// The newest feature level that this version supports.
    package static let featureLevel: UInt32 = 1
}
