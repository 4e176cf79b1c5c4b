import ArgumentParser
import KVClient

/// Groups and shards as the nodes' standing shows them.
struct GroupCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "group",
        abstract: "The Raft groups: who leads, who follows, how far each is.",
        subcommands: [GroupList.self, GroupShow.self],
        defaultSubcommand: GroupList.self
    )
}

/// One group, put together from what all nodes say.
private struct GroupView: Encodable {
    struct Replica: Encodable {
        let node: String
        let replica: String
        let role: String
        let term: UInt64
        let commitIndex: UInt64
        let appliedIndex: UInt64
    }

    let id: String
    let leader: String?
    let term: UInt64
    let shards: [String]
    let replicas: [Replica]

    static func all(_ answers: [NodeAnswer<NodeStatus>]) -> [GroupView] {
        var byID: [String: [(node: String, group: NodeStatus.Group)]] = [:]
        for answer in answers {
            guard case .success(let status) = answer.result else { continue }
            for group in status.groups { byID[group.id, default: []].append((status.node, group)) }
        }
        return byID.sorted { (UInt64($0.key) ?? 0) < (UInt64($1.key) ?? 0) }.map { id, found in
            let newest = found.max { $0.group.term < $1.group.term }
            return GroupView(
                id: id,
                leader: newest?.group.leader,
                term: newest?.group.term ?? 0,
                shards: Set(found.flatMap(\.group.shards)).sorted { (UInt64($0) ?? 0) < (UInt64($1) ?? 0) },
                replicas: found.map { node, group in
                    Replica(
                        node: node,
                        replica: group.replica,
                        role: group.role,
                        term: group.term,
                        commitIndex: group.commitIndex,
                        appliedIndex: group.appliedIndex
                    )
                }
            )
        }
    }

    /// The groups, with why some nodes said nothing of them.
    static func ask(_ session: Session) async throws -> (groups: [GroupView], missing: String?) {
        try session.requireHTTP()
        let answers = await session.client.status()
        let failures = answers.compactMap { answer -> ClientError? in
            if case .failure(let error) = answer.result { error } else { nil }
        }
        if failures.count == answers.count, let first = failures.first { throw first }
        return (all(answers), failures.isEmpty ? nil : failures.map(\.description).joined(separator: "; "))
    }
}

private struct GroupList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "All groups.")
    @OptionGroup var global: GlobalOptions

    func run() async throws {
        try await global.perform { session in
            let (groups, missing) = try await GroupView.ask(session)
            switch global.output {
            case .json:
                try writeJSON(
                    groups,
                    ok: missing == nil,
                    error: missing.map { .init(code: "partial", message: $0) }
                )
            case .table:
                for group in groups {
                    write(
                        "group \(group.id): node \(group.leader ?? "?") leads in term \(group.term), \(group.replicas.count) replicas, "
                            + "\(group.shards.count) shards\n"
                    )
                }
                if let missing { write("\(missing)\n", to: .standardError) }
            }
            return missing == nil ? .ok : .partial
        }
    }
}

private struct GroupShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "show", abstract: "One group, replica by replica.")
    @OptionGroup var global: GlobalOptions
    @Argument(help: "Its number; 0 is the cluster's own.") var group: String

    func run() async throws {
        try await global.perform { session in
            let (groups, missing) = try await GroupView.ask(session)
            guard let found = groups.first(where: { $0.id == group }) else {
                let known = groups.map(\.id).joined(separator: ", ")
                throw CtlFailure(.notFound, "not_found", "there is no group \(group); there are \(known)")
            }
            switch global.output {
            case .json:
                try writeJSON(found, ok: missing == nil, error: missing.map { .init(code: "partial", message: $0) })
            case .table:
                write("group \(found.id), term \(found.term), shards \(found.shards.joined(separator: " "))\n")
                for replica in found.replicas {
                    write(
                        "  node \(replica.node)  replica \(replica.replica)  \(replica.role)  committed \(replica.commitIndex)  "
                            + "applied \(replica.appliedIndex)\n"
                    )
                }
                if let missing { write("\(missing)\n", to: .standardError) }
            }
            return missing == nil ? .ok : .partial
        }
    }
}

struct ShardCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "shard",
        abstract: "The shards and the groups that own them.",
        subcommands: [ShardList.self, ShardShow.self],
        defaultSubcommand: ShardList.self
    )
}

/// A shard and who has it.
private struct ShardView: Encodable {
    let shard: String
    let group: String
    let leader: String?
    let nodes: [String]

    static func all(_ groups: [GroupView]) -> [ShardView] {
        groups.flatMap { group in
            group.shards.map { shard in
                ShardView(shard: shard, group: group.id, leader: group.leader, nodes: group.replicas.map(\.node))
            }
        }.sorted { (UInt64($0.shard) ?? 0) < (UInt64($1.shard) ?? 0) }
    }

    var line: String {
        "shard \(shard): group \(group), node \(leader ?? "?") leads, on nodes \(nodes.joined(separator: " "))\n"
    }
}

private struct ShardList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "All shards.")
    @OptionGroup var global: GlobalOptions

    func run() async throws {
        try await global.perform { session in
            let (groups, missing) = try await GroupView.ask(session)
            let shards = ShardView.all(groups)
            switch global.output {
            case .json:
                try writeJSON(shards, ok: missing == nil, error: missing.map { .init(code: "partial", message: $0) })
            case .table:
                for shard in shards { write(shard.line) }
                if let missing { write("\(missing)\n", to: .standardError) }
            }
            return missing == nil ? .ok : .partial
        }
    }
}

private struct ShardShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "show", abstract: "One shard.")
    @OptionGroup var global: GlobalOptions
    @Argument var shard: String

    func run() async throws {
        try await global.perform { session in
            let (groups, _) = try await GroupView.ask(session)
            guard let found = ShardView.all(groups).first(where: { $0.shard == shard }) else {
                throw CtlFailure(.notFound, "not_found", "there is no shard \(shard)")
            }
            switch global.output {
            case .json: try writeJSON(found)
            case .table: write(found.line)
            }
            return .ok
        }
    }
}
