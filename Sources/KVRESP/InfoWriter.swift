import KVBase
import KVService

/// Writes INFO: the sections and names that Redis's exporters read, from how the node stands.
struct InfoWriter: Sendable {
    let status: NodeStatus
    let shared: RESPShared

    private static let order = [
        "server", "clients", "memory", "persistence", "stats", "replication", "cluster", "keyspace",
    ]

    /// The sections asked for; all of them where none is, or `all`, `everything` or `default`.
    func text(_ asked: Set<String>, keys: UInt64?) -> String {
        let isAll = asked.isEmpty || !asked.isDisjoint(with: ["all", "everything", "default"])
        let parts = Self.order.filter { isAll || asked.contains($0) }.map { section in
            let lines = lines(of: section, keys: keys).map { "\($0.0):\($0.1)\r\n" }
            return "# \(section.prefix(1).uppercased())\(section.dropFirst())\r\n" + lines.joined()
        }
        return parts.joined(separator: "\r\n")
    }

    private func lines(of section: String, keys: UInt64?) -> [(String, String)] {
        switch section {
        case "server":
            let now = shared.settings.now()
            let uptime = now > shared.startedAt ? (now - shared.startedAt) / 1_000 : 0
            return [
                ("redis_version", redisVersion), ("redis_mode", "standalone"),
                ("server_name", "kvnode"), ("kvnode_version", status.softwareVersion), ("os", "Linux"),
                ("arch_bits", "64"),
                ("run_id", status.incarnation.description), ("node_id", status.node.description),
                ("cluster_id", status.cluster.description), ("uptime_in_seconds", String(uptime)),
                ("uptime_in_days", String(uptime / 86_400)),
            ]
        case "clients":
            return [
                ("connected_clients", String(shared.clientCount)),
                ("maxclients", String(shared.settings.connectionsMax)),
                ("blocked_clients", "0"),
            ]
        case "memory":
            return [("maxmemory", "0"), ("maxmemory_policy", "noeviction")]
        case "persistence":
            return [
                ("loading", status.isReady ? "0" : "1"), ("aof_enabled", "1"), ("aof_last_write_status", "ok"),
                ("flushes", String(status.storage.flushes)), ("compactions", String(status.storage.compactions)),
                ("tables", String(status.storage.tables)), ("table_bytes", String(status.storage.tableBytes)),
            ]
        case "stats":
            return [
                ("total_connections_received", String(shared.clientTotal)),
                ("total_net_input_bytes", String(shared.receivedBytes.value)),
                ("total_net_output_bytes", String(shared.sentBytes.value)),
                ("total_error_replies", String(shared.protocolErrors.value)),
            ]
        case "replication": return replication
        case "cluster": return [("cluster_enabled", "0")]
        default:
            guard let keys else { return [] }
            return keys == 0 ? [] : [("db0", "keys=\(keys),expires=0,avg_ttl=0")]
        }
    }

    /// Every node takes writes (it proxies), so each calls itself master; groups are told one by one.
    private var replication: [(String, String)] {
        var lines = [("role", "master"), ("connected_slaves", String(status.peers.count { $0.isConnected }))]
        for group in status.groups {
            let leader = group.leader.map(\.description) ?? "none"
            lines.append(
                (
                    "group\(group.id)",
                    "role=\(group.role),term=\(group.term),leader=\(leader),commit=\(group.commitIndex),"
                        + "applied=\(group.appliedIndex),last=\(group.lastIndex)"
                )
            )
        }
        return lines
    }
}
