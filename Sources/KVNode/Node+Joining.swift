package import KVBase
package import KVEnvironment
package import KVReplication
import KVSharding

// How a new host becomes a member: it asks members until one of them says which replicas it hosts.

/// How far a data directory's node is with joining.
package enum JoinProgress: Sendable, Equatable {
    /// It has not begun.
    case fresh
    /// It has drawn its incarnation.
    case begun(NodeIdentity)
    /// It is a member.
    case done
}

extension Node {
    /// How far the node of this data directory is with joining.
    /// - Throws: `NodeError` where it can never join: it is one of a cluster's first nodes, was removed, or is another node's.
    package static func joinProgress(_ settings: NodeSettings, _ fileSystem: any FileSystem) throws -> JoinProgress {
        let found: NodeIdentity?
        do {
            found = try IdentityStore.stored(in: settings.dataDirectory, fileSystem)
        } catch {
            throw NodeError("\(error)")
        }
        guard let found else { return .fresh }
        guard found.node == settings.node else {
            throw NodeError(
                "data directory \(settings.dataDirectory) belongs to node \(found.node), the configuration says node \(settings.node)"
            )
        }
        if found.isFormed { return .done }
        guard found.isJoined else {
            throw NodeError(
                "data directory \(settings.dataDirectory) belongs to one of the first nodes of cluster \(found.cluster): start it without"
                    + " --join, or choose another directory"
            )
        }
        return .begun(found)
    }

    /// Whether a data directory is that of a member of a formed cluster.
    /// - Throws: `NodeError` where it cannot be read.
    package static func isFormed(_ settings: NodeSettings, _ fileSystem: any FileSystem) throws -> Bool {
        do {
            return try IdentityStore.stored(in: settings.dataDirectory, fileSystem)?.isFormed == true
        } catch {
            throw NodeError("\(error)")
        }
    }

    /// Draws the incarnation with which a node joins this cluster, durably; the same where it began before.
    /// - Throws: `NodeError` where the directory is in use, damaged, or began to join another cluster.
    package static func beginJoin(
        _ settings: NodeSettings,
        cluster: ClusterID,
        _ environment: NodeEnvironment
    ) throws -> NodeIdentity {
        let directory = settings.dataDirectory
        let identity: NodeIdentity
        do {
            identity = try drawIdentity(settings, cluster: cluster, environment)
        } catch {
            throw NodeError("node \(settings.node) cannot begin to join: \(error)")
        }
        guard identity.cluster == cluster else {
            throw NodeError(
                "data directory \(directory) began to join cluster \(identity.cluster), the member that was asked is of"
                    + " \(cluster): name a member of the right one, or move the directory away"
            )
        }
        return identity
    }

    private static func drawIdentity(
        _ settings: NodeSettings,
        cluster: ClusterID,
        _ environment: NodeEnvironment
    ) throws -> NodeIdentity {
        let directory = settings.dataDirectory
        try environment.fileSystem.createDirectory(directory)
        try environment.fileSystem.synchronizeDirectory(parentDirectory(of: directory))
        let lock = try environment.fileSystem.lock(directory + "/LOCK")
        defer { lock.release() }
        let store = try IdentityStore.open(
            directory,
            cluster: cluster,
            node: settings.node,
            isJoined: true,
            fileSystem: environment.fileSystem,
            workers: environment.background,
            home: environment.home,
            randomness: environment.randomness
        )
        return store.identity
    }

    /// What a node says of itself when it asks to join; `identity` is nil until it knows the cluster.
    package static func joinHello(_ settings: NodeSettings, _ identity: NodeIdentity?) -> PeerHello {
        PeerHello(
            cluster: identity?.cluster ?? ClusterID(high: 0, low: 0),
            node: settings.node,
            incarnation: identity?.incarnation ?? Incarnation(0),
            protocolRange: PeerProtocol.supported,
            featureLevel: settings.featureLevel,
            addresses: settings.addresses,
            isBlank: true
        )
    }

    /// Answers a node that wants to join; the leader of group 0 writes down who it is, and so gives it its replicas.
    package func join(_ hello: PeerHello, completion: @escaping @Sendable (JoinAnswer) -> Void) {
        completion(answer(to: hello))
    }

    private func answer(to hello: PeerHello) -> JoinAnswer {
        let state = controller.state
        var answer = JoinAnswer(
            cluster: identity.cluster,
            shardCount: shardMap.shardCount,
            state: .unknown,
            text: "",
            members: state.nodes.sorted { $0.key < $1.key }.map {
                .init(node: $0.key, address: $0.value.addresses["peer"] ?? "", incarnation: $0.value.incarnation)
            }
        )
        guard state.cluster != nil else {
            answer.text = "the cluster has not formed yet"
            return answer
        }
        guard hello.protocolRange.overlaps(PeerProtocol.supported) else {
            answer.state = .refused
            answer.text =
                "node \(hello.node) speaks peer protocols \(hello.protocolRange), the cluster \(PeerProtocol.supported)"
            return answer
        }
        guard hello.featureLevel >= state.featureLevel else {
            answer.state = .refused
            answer.text =
                "node \(hello.node) supports feature level \(hello.featureLevel), the cluster uses \(state.featureLevel): run a"
                + " newer version"
            return answer
        }
        guard let known = state.nodes[hello.node] else {
            answer.text = "nobody added node \(hello.node) yet: kvctl member add \(hello.node) HOST:PORT"
            return answer
        }
        guard hello.incarnation.rawValue != 0 else {
            answer.text = "node \(hello.node) is expected"
            return answer
        }
        guard !state.isRemoved(hello.node, hello.incarnation) else {
            answer.state = .refused
            answer.text = "node \(hello.node) (incarnation \(hello.incarnation)) was removed from the cluster"
            return answer
        }
        if let replicas = state.replicas(of: hello.node, hello.incarnation) {
            answer.state = .placed
            answer.replicas = replicas
            return answer
        }
        guard isAwaited(hello.node), !known.isLeaving else {
            // Only who leads group 0 knows that no order changed this a moment ago.
            guard groups[.controller]?.isLevel == true else {
                answer.text =
                    "node \(settings.node) knows node \(hello.node) as another life; the leader of group 0 decides"
                return answer
            }
            // No refusal: whoever starts the new host before giving the order finds it waiting.
            answer.text =
                "node \(hello.node) is a member already, with another data directory: choose another node.id, or"
                + " 'kvctl member replace \(hello.node) \(hello.node) HOST:PORT' if that one is lost"
            return answer
        }
        answer.text = "node \(hello.node) is about to be placed"
        guard let group = groups[.controller], group.isLeader, !group.hasControlInFlight,
            let command = hello.announcement(known: known.addresses)
        else { return answer }
        group.proposeControl(command.encoded)
        return answer
    }
}
