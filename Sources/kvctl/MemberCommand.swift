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
    @Option(
        name: .long,
        help: ArgumentHelp(
            "How long --wait waits, then the exit code is 7. Default: --timeout where that is given, else 600s.",
            valueName: "duration"
        )
    )
    var waitTimeout: TimeSpan?
}

/// What the commands that change members share.
enum MemberChanges {
    /// Gives the change, then says that it is written down or waits until `isDone` and shows how far it is.
    static func carryOut(
        _ global: GlobalOptions,
        _ options: WaitOptions,
        _ what: String,
        member name: String? = nil,
        _ change: @escaping @Sendable (KVClient, String) async throws(ClientError) -> Bool,
        isDone: @escaping @Sendable (ClusterMembers, String, KVClient) async -> Bool
    ) async throws {
        try await global.perform { session in
            var id = ""
            // A number is an id, also of one that is gone.
            if let name { id = UInt64(name) != nil ? name : try await session.client.memberID(like: name) }
            let member = id
            let isDone = { @Sendable (members: ClusterMembers) async in await isDone(members, member, session.client) }
            let isChanged = try await change(session.client, member)
            if options.wait {
                try await wait(
                    session.client,
                    (options.waitTimeout ?? global.givenTimeout ?? TimeSpan(.seconds(600))).duration,
                    what,
                    isDone,
                    isQuiet: global.output == .json
                )
            }
            switch global.output {
            case .json: try writeJSON(try await session.client.members())
            case .table:
                guard isChanged else {
                    write("\(what): it is so already, nothing was changed\n")
                    break
                }
                write(options.wait ? "\(what): done\n" : "\(what): accepted; 'kvctl member list' shows how far it is\n")
            }
            return .ok
        }
    }

    /// Refuses a name that is none.
    static func check(_ names: String...) throws {
        guard names.contains(where: { $0.allSatisfy(\.isWhitespace) }) else { return }
        throw ValidationError("name a node: an id is a number from 1; see 'kvctl member list'")
    }

    private static func wait(
        _ client: KVClient,
        _ limit: Duration,
        _ what: String,
        _ isDone: (ClusterMembers) async -> Bool,
        isQuiet: Bool
    ) async throws {
        let deadline = ContinuousClock.now + limit
        var told = ""
        var last = "no node answers"
        while ContinuousClock.now < deadline {
            // A node that does not answer is asked again: the change goes on without us.
            if let members = try? await client.members() {
                if await isDone(members) { return }
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
                // One that votes and is not done waits for the one whose place it takes.
                return lags.isEmpty
                    ? "node \(member.id) votes, the one that it replaces is about to leave"
                    : "node \(member.id) catches up (\(lags.joined(separator: "; ")))"
            default: return "node \(member.id) is \(member.state)"
            }
        }
        let learners = members.members.filter { $0.isSteady && $0.role == "learner" }.map { member in
            member.isReachable
                ? "learner \(member.id) catches up" : "learner \(member.id) cannot be reached: start it with --join"
        }
        let shown = open.isEmpty ? learners : open
        return shown.isEmpty ? "about to begin" : shown.joined(separator: ", ")
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

    func validate() throws { try MemberChanges.check(node) }

    func run() async throws {
        let (node, peer, learner) = (node, peer, learner)
        try await MemberChanges.carryOut(global, waiting, "add node \(node)") { client, _ throws(ClientError) in
            try await client.addMember(node, peerAddress: peer, staysLearner: learner)
        } isDone: { members, _, client in
            guard let member = members.members.first(where: { $0.id == node }), member.isSteady else { return false }
            // A voter has caught up, or it would not be one.
            return learner ? await client.hasCaughtUp(member) : true
        }
    }
}

struct MemberPromoteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "promote", abstract: "Make a learner a voter.")

    @OptionGroup var global: GlobalOptions
    @OptionGroup var waiting: WaitOptions
    @Argument(help: "The learner's id, or how its address or incarnation begins.") var node: String

    func validate() throws { try MemberChanges.check(node) }

    func run() async throws {
        try await MemberChanges.carryOut(global, waiting, "promote node \(node)", member: node) {
            client,
            node throws(ClientError) in
            try await client.promoteMember(node)
        } isDone: { members, node, _ in
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

    func validate() throws { try MemberChanges.check(node) }

    func run() async throws {
        try await MemberChanges.carryOut(global, waiting, "remove node \(node)", member: node) {
            client,
            node throws(ClientError) in
            try await client.removeMember(node)
        } isDone: { members, node, _ in
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

    func validate() throws { try MemberChanges.check(old, new) }

    func run() async throws {
        let (new, peer) = (new, peer)
        try await MemberChanges.carryOut(global, waiting, "replace node \(old) by \(new)", member: old) {
            client,
            old throws(ClientError) in
            var address = peer
            if address == nil {
                let all = try await client.members().members
                address = (all.first { $0.id == old } ?? all.first { $0.id == new })?.addresses["peer"]
            }
            guard let address else { throw .httpStatus(404, message: "not_found: node \(old) is no member") }
            return try await client.replaceMember(old, by: new, peerAddress: address)
        } isDone: { members, old, _ in
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

    func validate() throws { try MemberChanges.check(node) }

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
