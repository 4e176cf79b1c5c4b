import ArgumentParser
import Foundation
import KVClient
import TextTable

struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract:
            "One screen: nodes, roles, terms, commit and applied index, lag, alarms, and a verdict; exit 6 if unhealthy."
    )

    @OptionGroup var global: GlobalOptions

    private struct Payload: Encodable {
        struct Node: Encodable {
            let endpoint: String
            let error: String?
            let milliseconds: Double
            let status: NodeStatus?
        }
        let isHealthy: Bool
        let reasons: [String]
        let notes: [String]
        let nodes: [Node]
    }

    /// One line of the table: a node's replica of one group.
    private struct Row {
        let endpoint: String
        var node = "?"
        var state: String
        var group = ""
        var role = ""
        var term = ""
        var leader = ""
        var commit = ""
        var applied = ""
        var lag = ""
        var log = ""
        var shards = ""
    }

    func run() async throws {
        try await global.perform { session in
            guard !session.httpEndpoints.isEmpty else {
                throw ValidationError(
                    "the HTTP addresses do not follow from the RESP addresses; name them with --http-endpoints"
                )
            }
            let answers = await session.client.status()
            let verdict = ClusterVerdict(answers)
            switch global.output {
            case .json:
                let nodes = answers.map { answer in
                    let failure: ClientError? = if case .failure(let error) = answer.result { error } else { nil }
                    return Payload.Node(
                        endpoint: answer.endpoint.description,
                        error: failure?.description,
                        milliseconds: answer.elapsed / .milliseconds(1),
                        status: failure == nil ? try? answer.result.get() : nil
                    )
                }
                try writeJSON(
                    Payload(isHealthy: verdict.isHealthy, reasons: verdict.reasons, notes: verdict.notes, nodes: nodes),
                    ok: verdict.isHealthy,
                    error: verdict.isHealthy
                        ? nil : .init(code: "unhealthy", message: verdict.reasons.joined(separator: "; "))
                )
            case .table: show(answers, verdict)
            }
            return verdict.isHealthy ? .ok : .unhealthy
        }
    }

    private func show(_ answers: [NodeAnswer<NodeStatus>], _ verdict: ClusterVerdict) {
        let statuses = answers.compactMap { try? $0.result.get() }
        let clusters = Set(statuses.map(\.cluster)).sorted().joined(separator: ", ")
        let versions = Set(statuses.map(\.softwareVersion)).sorted().joined(separator: ", ")
        if !statuses.isEmpty { write("cluster \(clusters)   version \(versions)\n\n") }
        let rows = answers.flatMap { Self.rows($0, statuses) }
        let table = TextTable<Row> { row in
            [
                Column(title: "NODE", value: row.node), Column(title: "HTTP", value: row.endpoint),
                Column(title: "STATE", value: row.state), Column(title: "GROUP", value: row.group, align: .right),
                Column(title: "ROLE", value: row.role), Column(title: "TERM", value: row.term, align: .right),
                Column(title: "LEADER", value: row.leader, align: .right),
                Column(title: "COMMIT", value: row.commit, align: .right),
                Column(title: "APPLIED", value: row.applied, align: .right),
                Column(title: "LAG", value: row.lag, align: .right),
                Column(title: "LOG", value: row.log, align: .right),
                Column(title: "SHARDS", value: row.shards, align: .right),
            ]
        }
        write(table.string(for: rows) ?? "no node was asked\n")
        for status in statuses {
            let storage = status.storage
            write(
                "node \(status.node): \(storage.tables) tables, \(sizeText(storage.tableBytes)); \(storage.flushes) flushes, "
                    + "\(storage.compactions) compactions, \(storage.logCuts) log cuts, "
                    + "\(storage.snapshotsInstalled) snapshots installed\n"
            )
        }
        if !verdict.notes.isEmpty { write("\nnote: " + verdict.notes.joined(separator: "\n      ") + "\n") }
        if verdict.isHealthy {
            write("\nhealthy: every member answers and is ready, every group has a leader\n")
        } else {
            write("\nUNHEALTHY: " + verdict.reasons.joined(separator: "\n           ") + "\n")
        }
    }

    private static func rows(_ answer: NodeAnswer<NodeStatus>, _ all: [NodeStatus]) -> [Row] {
        let status: NodeStatus
        switch answer.result {
        case .failure(let error): return [Row(endpoint: answer.endpoint.description, state: "down: \(brief(error))")]
        case .success(let value): status = value
        }
        if status.isRemoved {
            return [Row(endpoint: answer.endpoint.description, node: status.node, state: "removed")]
        }
        let state = !status.isReady ? "not ready" : status.alarms.isEmpty ? "ready" : "alarm"
        guard !status.groups.isEmpty else {
            return [Row(endpoint: answer.endpoint.description, node: status.node, state: state)]
        }
        return status.groups.map { group in
            // How far behind a node is, its leader knows.
            let leader = all.lazy.filter { !$0.isRemoved }.flatMap(\.groups).first {
                $0.id == group.id && $0.role == "leader" && $0.term == group.term
            }
            let lag = group.role == "leader" ? "-" : leader?.lag[status.node].map(String.init) ?? "?"
            return Row(
                endpoint: answer.endpoint.description,
                node: status.node,
                state: state,
                group: group.id,
                role: group.role,
                term: String(group.term),
                leader: group.leader ?? "?",
                commit: String(group.commitIndex),
                applied: String(group.appliedIndex),
                lag: lag,
                log: sizeText(group.logBytes),
                shards: String(group.shards.count)
            )
        }
    }

    private static func brief(_ error: ClientError) -> String {
        switch error {
        case .cannotConnect: "cannot connect"
        case .timedOut: "no answer in time"
        case .connectionLost: "connection lost"
        case .httpStatus(let status, _): "HTTP \(status)"
        default: "bad answer"
        }
    }
}
