import KVBase

extension LoadedConfiguration {
    /// Values that are right alone and wrong together.
    func contradictions() -> [ConfigurationProblem] {
        memberContradictions() + listenerContradictions() + securityContradictions() + sizeContradictions()
    }

    /// A problem of `path`, placed where it or else where `other` was set: a default is nobody's mistake.
    private func problem(_ path: String, with other: String? = nil, _ message: String) -> ConfigurationProblem {
        let origins = [path, other].compactMap { $0 }.compactMap { settings[$0]?.origin }
        let origin = origins.first { $0 != .byDefault } ?? .byDefault
        return ConfigurationProblem(origin: origin, message: "\(path): \(message)")
    }

    private func memberContradictions() -> [ConfigurationProblem] {
        var problems: [ConfigurationProblem] = []
        let nodes = configuration.cluster.nodes
        if nodes.count > Member.countMax {
            problems.append(problem("cluster.nodes", "\(nodes.count) nodes; expected at most \(Member.countMax)"))
        }
        for (place, node) in nodes.enumerated() {
            if nodes[..<place].contains(where: { $0.id == node.id }) {
                problems.append(problem("cluster.nodes", "node \(node.id) stands there twice; expected every id once"))
            }
            if let other = nodes[..<place].first(where: { $0.peer == node.peer }) {
                problems.append(
                    problem(
                        "cluster.nodes",
                        "\(node.peer) is the address of node \(other.id) and of node \(node.id); expected one each"
                    )
                )
            }
            if nodes.count > 1 && (node.peer.port == 0 || node.peer.isWildcard) {
                problems.append(
                    problem(
                        "cluster.nodes",
                        "node \(node.id) cannot be reached at \(node.peer); expected a host and a port"
                    )
                )
            }
        }
        let id = configuration.node.id
        guard let own = nodes.first(where: { $0.id == id }) else {
            let ids = nodes.map(\.id.description).joined(separator: ", ")
            problems.append(problem("node.id", "node \(id) is not in cluster.nodes; expected one of \(ids)"))
            return problems
        }
        if own.peer != configuration.peer.advertised {
            problems.append(
                problem(
                    "peer.advertise",
                    "\(configuration.peer.advertised) is not what cluster.nodes says of node \(id); expected \(own.peer)"
                )
            )
        }
        return problems
    }

    private func listenerContradictions() -> [ConfigurationProblem] {
        var problems: [ConfigurationProblem] = []
        var listeners = [
            ("resp", configuration.resp), ("http", configuration.http), ("grpc", configuration.grpc),
            ("peer", configuration.peer),
        ]
        if let listener = configuration.respCluster.listener { listeners.append(("resp_cluster", listener)) }
        for (place, (name, listener)) in listeners.enumerated() {
            for (otherName, other) in listeners[..<place] where collide(listener.listen, other.listen) {
                problems.append(
                    problem(
                        "\(name).listen",
                        with: "\(otherName).listen",
                        "\(listener.listen) is taken by \(otherName).listen (\(other.listen)); expected another port"
                    )
                )
            }
            if listener.advertised.isWildcard {
                problems.append(
                    problem(
                        "\(name).listen",
                        "\(listener.listen) is no address to reach this node at; expected \(name).advertise beside it"
                    )
                )
            }
            if !configuration.isInsecure, !listener.listen.isLoopback, let lack = lack(of: name) {
                problems.append(
                    problem(
                        "\(name).listen",
                        "\(listener.listen) can be reached by other machines and \(lack); expected that, "
                            + "a loopback address, or `insecure: true` at the top of the file"
                    )
                )
            }
        }
        return problems
    }

    /// What a listener that others reach lacks; nil where it lacks nothing.
    private func lack(of listener: String) -> String? {
        let tls = configuration.tls
        if listener == "peer" { return tls.isOnPeer ? nil : "does without peer.tls" }
        let (isEncrypted, name) =
            switch listener {
            case "http": (tls.isOnHTTP, "http")
            case "grpc": (tls.isOnGRPC, "grpc")
            default: (tls.isOnRESP, "resp")
            }
        if !isEncrypted { return "does without \(name).tls" }
        return configuration.authentication.isRequired ? nil : "does without auth.required"
    }

    private func securityContradictions() -> [ConfigurationProblem] {
        let tls = configuration.tls
        var problems: [ConfigurationProblem] = []
        for (path, isOn) in [
            ("resp.tls", tls.isOnRESP), ("http.tls", tls.isOnHTTP), ("grpc.tls", tls.isOnGRPC),
            ("peer.tls", tls.isOnPeer),
        ] where isOn {
            if tls.certificate == nil { problems.append(problem(path, "expected tls.certificate beside it")) }
            if tls.key == nil { problems.append(problem(path, "expected tls.key beside it")) }
        }
        if tls.isOnPeer, tls.authority == nil { problems.append(problem("peer.tls", "expected tls.ca beside it")) }
        return problems
    }

    private func collide(_ a: HostPort, _ b: HostPort) -> Bool {
        a.port == b.port && a.port != 0 && (a.host == b.host || a.isWildcard || b.isWildcard)
    }

    private func sizeContradictions() -> [ConfigurationProblem] {
        let raft = configuration.raft
        let storage = configuration.storage
        var problems: [ConfigurationProblem] = []
        func require(_ holds: Bool, _ path: String, _ other: String, _ message: @autoclosure () -> String) {
            if !holds { problems.append(problem(path, with: other, message())) }
        }
        require(
            raft.electionTimeout >= raft.heartbeat * 2,
            "raft.election_timeout",
            "raft.heartbeat",
            "\(formatDuration(raft.electionTimeout)) is too short for raft.heartbeat \(formatDuration(raft.heartbeat)); "
                + "expected at least \(formatDuration(raft.heartbeat * 2))"
        )
        require(
            configuration.peerLinks.idleTimeout >= raft.heartbeat * 4,
            "peer.idle_timeout",
            "raft.heartbeat",
            "\(formatDuration(configuration.peerLinks.idleTimeout)) is too short for raft.heartbeat "
                + "\(formatDuration(raft.heartbeat)); expected at least \(formatDuration(raft.heartbeat * 4))"
        )
        require(
            raft.inflightBytes >= raft.batchBytesMax,
            "raft.inflight_bytes",
            "raft.batch_bytes_max",
            "\(formatBytes(raft.inflightBytes)) does not hold one batch; expected at least raft.batch_bytes_max, "
                + formatBytes(raft.batchBytesMax)
        )
        require(
            raft.uncommittedBytesMax >= configuration.limits.valueBytes,
            "raft.uncommitted_bytes_max",
            "limits.value_bytes",
            "\(formatBytes(raft.uncommittedBytesMax)) does not hold one value; expected at least limits.value_bytes, "
                + formatBytes(configuration.limits.valueBytes)
        )
        require(
            configuration.log.retainBytes / 2 >= configuration.log.segmentBytes,
            "log.retain.bytes",
            "log.segment_bytes",
            "\(formatBytes(configuration.log.retainBytes)) does not hold two segments; expected at least "
                + formatBytes(configuration.log.segmentBytes * 2)
        )
        require(
            configuration.log.retainedMax >= configuration.log.retainBytes,
            "log.retained_max",
            "log.retain.bytes",
            "\(formatBytes(configuration.log.retainedMax)) is less than is kept anyway; expected at least log.retain.bytes, "
                + formatBytes(configuration.log.retainBytes)
        )
        require(
            storage.blockCacheBytes < storage.memoryBudgetBytes,
            "storage.block_cache_bytes",
            "storage.memory_budget",
            "\(formatBytes(storage.blockCacheBytes)) leaves nothing of storage.memory_budget; expected less than "
                + formatBytes(storage.memoryBudgetBytes)
        )
        require(
            storage.levelZeroCompactAt < storage.levelZeroSlowAt,
            "storage.l0.slow_at",
            "storage.l0.compact_at",
            "\(storage.levelZeroSlowAt) is reached before compaction starts; expected more than storage.l0.compact_at, "
                + "\(storage.levelZeroCompactAt)"
        )
        require(
            storage.levelZeroSlowAt < storage.levelZeroStopAt,
            "storage.l0.stop_at",
            "storage.l0.slow_at",
            "\(storage.levelZeroStopAt) is reached before writes are slowed; expected more than storage.l0.slow_at, "
                + "\(storage.levelZeroSlowAt)"
        )
        require(
            configuration.request.leaderWait <= configuration.request.timeout,
            "request.leader_wait",
            "request.timeout",
            "\(formatDuration(configuration.request.leaderWait)) outlasts the request; expected at most request.timeout, "
                + formatDuration(configuration.request.timeout)
        )
        return problems
    }
}
