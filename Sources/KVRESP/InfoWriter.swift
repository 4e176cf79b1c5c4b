import KVBase
import KVService

/// Writes INFO: the sections and names that Redis's exporters read, from how the node stands.
struct InfoWriter: Sendable {
    let status: NodeStatus
    let shared: RESPShared

    private static let order = [
        "server", "clients", "memory", "persistence", "stats", "replication", "cpu", "commandstats", "cluster",
        "keyspace",
    ]

    /// The sections asked for; all of them where none is, or `all`, `everything` or `default`.
    func text(_ asked: Set<String>, keys: UInt64?) -> String {
        let isComplete = !asked.isDisjoint(with: ["all", "everything"])
        let isAll = asked.isEmpty || !asked.isDisjoint(with: ["all", "everything", "default"])
        let parts = Self.order.filter { $0 != "commandstats" || isComplete || asked.contains($0) }.filter {
            isAll || asked.contains($0)
        }.map { section in
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
                ("redis_version", redisVersion), ("redis_mode", isCluster ? "cluster" : "standalone"),
                ("server_name", "kvnode"), ("kvnode_version", status.softwareVersion), ("os", "Linux"),
                ("arch_bits", "64"),
                ("run_id", status.incarnation.description), ("node_id", status.node.description),
                ("cluster_id", status.cluster.description), ("uptime_in_seconds", String(uptime)),
                ("uptime_in_days", String(uptime / 86_400)),
            ]
        case "clients":
            return [
                ("connected_clients", String(shared.clientCount)),
                ("maxclients", String(shared.connectionsMax.load(ordering: .relaxed))),
                ("blocked_clients", "0"),
            ]
        case "memory":
            // Resident memory for both: how much of it is allocated is not known.
            let usage = shared.settings.processUsage.map { usage in
                let now = usage()
                return [
                    ("used_memory", String(now.residentBytes)), ("used_memory_rss", String(now.residentBytes)),
                    ("used_memory_peak", String(now.residentBytesPeak)),
                ]
            }
            return (usage ?? []) + [("maxmemory", "0"), ("maxmemory_policy", "noeviction")]
        case "persistence":
            return [
                ("loading", status.isReady ? "0" : "1"), ("rdb_changes_since_last_save", "0"),
                ("rdb_bgsave_in_progress", "0"), ("rdb_last_bgsave_status", "ok"), ("aof_enabled", "1"),
                ("aof_rewrite_in_progress", "0"), ("aof_last_bgrewrite_status", "ok"), ("aof_last_write_status", "ok"),
                ("flushes", String(status.storage.flushes)), ("compactions", String(status.storage.compactions)),
                ("tables", String(status.storage.tables)), ("table_bytes", String(status.storage.tableBytes)),
            ]
        case "stats":
            return [
                ("total_connections_received", String(shared.clientTotal)),
                ("total_commands_processed", String(shared.commandTotals.reduce(0) { $0 + $1.count })),
                ("total_net_input_bytes", String(shared.receivedBytes.value)),
                ("total_net_output_bytes", String(shared.sentBytes.value)),
                ("total_error_replies", String(shared.commandTotals.reduce(0) { $0 + $1.failed })),
                ("rejected_connections", String(shared.rejectedTotal)), ("evicted_keys", "0"),
            ]
        case "replication": return replication
        case "cpu":
            guard let usage = shared.settings.processUsage?() else { return [] }
            return [
                ("used_cpu_sys", seconds(usage.systemMicroseconds)), ("used_cpu_user", seconds(usage.userMicroseconds)),
            ]
        case "commandstats":
            return shared.commandTotals.filter { $0.count > 0 }.map { total in
                let perCall = total.microseconds / Double(total.count)
                return (
                    "cmdstat_\(total.name)",
                    "calls=\(total.count),usec=\(Int(total.microseconds)),usec_per_call=\(twoPlaces(perCall)),"
                        + "rejected_calls=0,failed_calls=\(total.failed)"
                )
            }
        case "cluster": return [("cluster_enabled", isCluster ? "1" : "0")]
        default:
            guard let keys else { return [] }
            return keys == 0 ? [] : [("db0", "keys=\(keys),expires=0,avg_ttl=0")]
        }
    }

    private var isCluster: Bool { shared.settings.isRedirecting }

    /// Every node takes writes (it proxies), so each calls itself master; groups are told one by one.
    private var replication: [(String, String)] {
        var lines = [
            ("role", "master"),
            ("connected_slaves", String(status.peers.count { $0.isConnected })),
        ]
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

/// Microseconds as seconds with six places.
private func seconds(_ microseconds: UInt64) -> String {
    let rest = String(microseconds % 1_000_000)
    return "\(microseconds / 1_000_000)." + String(repeating: "0", count: 6 - rest.count) + rest
}

/// A number with two places behind the point.
private func twoPlaces(_ number: Double) -> String {
    let hundredths = Int((number * 100).rounded())
    let rest = hundredths % 100
    return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
}
