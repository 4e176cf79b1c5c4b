import ArgumentParser
import Foundation
import KVClient
import TextTable

/// Who belongs to the cluster, and changes of that.
struct MemberCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "member",
        abstract: "Show and change who belongs to the cluster.",
        discussion: """
            A change acts on the node in every group. It is written down first and pursued by the cluster itself: a command that was \
            interrupted can be given again and goes on. A new node is a learner until it has caught up. What would lose a majority is refused.
            """,
        subcommands: [
            MemberListCommand.self, MemberAddCommand.self, MemberPromoteCommand.self, MemberRemoveCommand.self,
            MemberReplaceCommand.self, MemberTransferCommand.self, MemberStopCommand.self,
        ],
        defaultSubcommand: MemberListCommand.self
    )
}

/// Waiting for a change to be carried out.
struct WaitOptions: ParsableArguments {
    @Flag(name: .long, help: "Wait until the change is carried out.")
    var wait = false
    @Option(name: .long, help: ArgumentHelp("How long --wait waits.", valueName: "duration"))
    var waitTimeout = TimeSpan(.seconds(600))
}

/// What the commands that change members share.
enum MemberChanges {
    /// Gives the change, then says that it is written down or waits until `isDone` and shows how far it is.
    static func carryOut(
        _ global: GlobalOptions,
        _ options: WaitOptions,
        _ what: String,
        member name: String? = nil,
        _ change: @escaping @Sendable (KVClient, String) async throws(ClientError) -> Void,
        isDone: @escaping @Sendable (ClusterMembers, String) -> Bool
    ) async throws {
        try await global.perform { session in
            var id = ""
            if let name { id = try await session.client.memberID(like: name) }
            let member = id
            let isDone = { @Sendable (members: ClusterMembers) in isDone(members, member) }
            try await change(session.client, member)
            if options.wait {
                try await wait(
                    session.client,
                    options.waitTimeout.duration,
                    what,
                    isDone,
                    isQuiet: global.output == .json
                )
            }
            switch global.output {
            case .json: try writeJSON(try await session.client.members())
            case .table:
                write(options.wait ? "\(what): done\n" : "\(what): accepted; 'kvctl member list' shows how far it is\n")
            }
            return .ok
        }
    }

    private static func wait(
        _ client: KVClient,
        _ limit: Duration,
        _ what: String,
        _ isDone: (ClusterMembers) -> Bool,
        isQuiet: Bool
    ) async throws {
        let deadline = ContinuousClock.now + limit
        var told = ""
        var last = "no node answers"
        while ContinuousClock.now < deadline {
            // A node that does not answer is asked again: the change goes on without us.
            if let members = try? await client.members() {
                if isDone(members) { return }
                last = describe(members)
                if last != told, !isQuiet { write("\(what): \(last)\n", to: .standardError) }
                told = last
            }
            try await Task.sleep(for: .milliseconds(200))
        }
        throw CtlFailure(
            .partial,
            "timeout",
            "\(what): not done within \(limit): \(last); it goes on, give the same command again to wait"
        )
    }

    /// What is under way, in a line.
    private static func describe(_ members: ClusterMembers) -> String {
        let open = members.members.filter { !$0.isSteady }.map { member -> String in
            switch member.state {
            case "awaited": return "node \(member.id) is awaited: start it with --join"
            case "catching_up":
                let lags = member.replicas.filter { $0.role != "voter" }.map { replica in
                    "group \(replica.group) \(replica.role)" + (replica.lag.map { ", \($0) behind" } ?? "")
                }
                return "node \(member.id) catches up (\(lags.joined(separator: "; ")))"
            default: return "node \(member.id) is \(member.state)"
            }
        }
        return open.isEmpty ? "about to begin" : open.joined(separator: ", ")
    }
}

struct MemberListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Show the members, their part in each group, and what is under way."
    )

    @OptionGroup var global: GlobalOptions

    private struct Row {
        let id: String
        let peer: String
        let role: String
        let state: String
        let reachable: String
        let replicas: String
        let incarnation: String
    }

    func run() async throws {
        try await global.perform { session in
            let members = try await session.client.members()
            switch global.output {
            case .json: try writeJSON(members)
            case .table: show(members)
            }
            return .ok
        }
    }

    private func show(_ members: ClusterMembers) {
        let rows = members.members.map { member in
            Row(
                id: member.id,
                peer: member.addresses["peer"] ?? "?",
                role: member.role,
                state: member.state,
                reachable: member.isReachable ? "yes" : "no",
                replicas: member.replicas.map { replica in
                    "\(replica.group):\(replica.role)#\(replica.replica)" + (replica.lag.map { " -\($0)" } ?? "")
                }.joined(separator: "  "),
                incarnation: member.incarnation ?? "-"
            )
        }
        let table = TextTable<Row> { row in
            [
                Column(title: "NODE", value: row.id, align: .right), Column(title: "PEER", value: row.peer),
                Column(title: "ROLE", value: row.role), Column(title: "STATE", value: row.state),
                Column(title: "REACHABLE", value: row.reachable), Column(title: "REPLICAS", value: row.replicas),
                Column(title: "INCARNATION", value: row.incarnation),
            ]
        }
        write(table.string(for: rows) ?? "no members\n")
        write("cluster \(members.cluster), group 0 is led by node \(members.leader ?? "?")\n")
    }
}

struct MemberAddCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add",
        abstract: "Add a host: a learner first, a voter once it has caught up.",
        discussion:
            "Start the host with 'kvnode --config FILE --join HOST:PORT', before or after; HOST:PORT is a member's peer address."
    )

    @OptionGroup var global: GlobalOptions
    @OptionGroup var waiting: WaitOptions
    @Argument(help: "The new host's node.id, which no other host has or had.") var node: String
    @Argument(help: ArgumentHelp("The new host's peer address.", valueName: "host:port")) var peer: String
    @Flag(name: .long, help: "It stays a learner, until 'kvctl member promote'.") var learner = false

    func run() async throws {
        let (node, peer, learner) = (node, peer, learner)
        try await MemberChanges.carryOut(global, waiting, "add node \(node)") { client, _ throws(ClientError) in
            try await client.addMember(node, peerAddress: peer, staysLearner: learner)
        } isDone: { members, _ in
            members.members.first { $0.id == node }?.isSteady == true
        }
    }
}

struct MemberPromoteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "promote", abstract: "Make a learner a voter.")

    @OptionGroup var global: GlobalOptions
    @OptionGroup var waiting: WaitOptions
    @Argument(help: "The learner's id, or how its address or incarnation begins.") var node: String

    func run() async throws {
        try await MemberChanges.carryOut(global, waiting, "promote node \(node)", member: node) {
            client,
            node throws(ClientError) in
            try await client.promoteMember(node)
        } isDone: { members, node in
            members.members.first { $0.id == node }.map { $0.isSteady && $0.role == "voter" } ?? false
        }
    }
}

struct MemberRemoveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove",
        abstract: "Take a host out of every group and of the cluster; its data directory is refused from then on."
    )

    @OptionGroup var global: GlobalOptions
    @OptionGroup var waiting: WaitOptions
    @Argument(help: "The member's id, or how its address or incarnation begins.") var node: String

    func run() async throws {
        try await MemberChanges.carryOut(global, waiting, "remove node \(node)", member: node) {
            client,
            node throws(ClientError) in
            try await client.removeMember(node)
        } isDone: { members, node in
            !members.members.contains { $0.id == node }
        }
    }
}

struct MemberReplaceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replace",
        abstract: "Put a host in another's place, in one step once it has caught up.",
        discussion: """
            For a host that is gone: 'replace 2 6 HOST:PORT', and start node 6 with --join. For one that lost its data: 'replace 2 2 \
            HOST:PORT', and start node 2 with an empty data directory and --join. The peer address may be left out where it stays the same.
            """
    )

    @OptionGroup var global: GlobalOptions
    @OptionGroup var waiting: WaitOptions
    @Argument(help: "The member that goes.") var old: String
    @Argument(help: "The host that comes; the same id where it lost its data.") var new: String
    @Argument(help: ArgumentHelp("The coming host's peer address.", valueName: "host:port")) var peer: String?

    func run() async throws {
        let (new, peer) = (new, peer)
        try await MemberChanges.carryOut(global, waiting, "replace node \(old) by \(new)", member: old) {
            client,
            old throws(ClientError) in
            var address = peer
            if address == nil {
                address = try await client.members().members.first { $0.id == old }?.addresses["peer"]
            }
            guard let address else { throw .httpStatus(404, message: "not_found: node \(old) is no member") }
            try await client.replaceMember(old, by: new, peerAddress: address)
        } isDone: { members, old in
            let isGone = old == new || !members.members.contains { $0.id == old }
            return isGone && members.members.first { $0.id == new }?.isSteady == true
        }
    }
}

struct MemberTransferCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "transfer-leader",
        abstract: "Hand over the leadership of one group, or of all, to a node or to who is best placed."
    )

    @OptionGroup var global: GlobalOptions
    @Option(name: .long, help: "The group; all unless given.") var group: String?
    @Option(name: .long, help: "The node that is to lead.") var to: String?

    func run() async throws {
        try await global.perform { session in
            var target: String?
            if let to { target = try await session.client.memberID(like: to) }
            let transfers = try await session.client.transferLeadership(of: group, to: target)
            let failed = transfers.filter { $0.leader != $0.target }
            switch global.output {
            case .json:
                try writeJSON(
                    transfers,
                    ok: failed.isEmpty,
                    error: failed.isEmpty
                        ? nil : .init(code: "not_transferred", message: "leadership stayed, try again")
                )
            case .table:
                for transfer in transfers {
                    write(
                        "group \(transfer.group): asked node \(transfer.target), now led by node \(transfer.leader ?? "?")\n"
                    )
                }
                if transfers.isEmpty { write("nothing to hand over: it is so already\n") }
            }
            return failed.isEmpty ? .ok : .partial
        }
    }
}

struct MemberStopCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stop",
        abstract: "Stop a node gracefully: it hands leadership over, finishes its requests and ends."
    )

    @OptionGroup var global: GlobalOptions
    @Argument(help: "The member's id, or how its address or incarnation begins.") var node: String
    @Flag(name: .long, help: "Also where the others are no majority.") var force = false

    func run() async throws {
        try await global.perform { session in
            let node = try await session.client.memberID(like: node)
            try await session.client.stopNode(node, force: force)
            switch global.output {
            case .json: try writeJSON(Nothing())
            case .table: write("node \(node) is stopping\n")
            }
            return .ok
        }
    }
}
