import Foundation
import Synchronization
import Testing

/// A cluster of real processes in a temporary folder, on free ports, driven by scripts/cluster.
final class TestCluster: Sendable {
    /// A node as cluster.json describes it.
    struct Node: Decodable {
        let id: Int
        let config: String
        let data: String
        let resp: Int
        let http: Int
        let grpc: Int
        let peer: Int
    }

    let folder: TemporaryFolder
    private let known: Mutex<[Node]>

    /// All nodes, those that were removed too.
    var nodes: [Node] { known.withLock { $0 } }

    private init(folder: TemporaryFolder, nodes: [Node]) {
        self.folder = folder
        known = Mutex(nodes)
    }

    /// Runs `body` with a cluster that is ready, and ends it whatever happens.
    ///
    /// Where `body` fails, the ends of the nodes' logs are attached to the failure. With `diskBytes`, each node's data has a
    /// disk of that size of its own (see `SmallDisk`).
    static func run(
        nodes count: Int = 3,
        settings: [String] = [],
        diskBytes: Int? = nil,
        _ body: (TestCluster) throws -> Void
    ) throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let disks = try diskBytes.map { bytes in
            try (1...count).map { try SmallDisk(at: folder.file("n\($0)"), bytes: bytes) }
        }
        defer { for disk in disks ?? [] { disk.remove() } }
        let flags = settings.flatMap { ["--config-set", $0] }
        let started = try script(
            folder,
            ["start", "--nodes", "\(count)", "--base-port", "auto", "--timeout", "60"] + flags,
            within: 90
        )
        try #require(started.code == 0, "\(started.everything)")
        let cluster = TestCluster(folder: folder, nodes: try described(folder))
        defer { cluster.killAll() }
        do {
            try body(cluster)
        } catch {
            Issue.record("\(error)\n\(cluster.logs)")
        }
    }

    /// The nodes that cluster.json names.
    private static func described(_ folder: TemporaryFolder) throws -> [Node] {
        struct Description: Decodable {
            let nodes: [Node]
        }
        let text = try Data(contentsOf: folder.file("cluster.json"))
        return try JSONDecoder().decode(Description.self, from: text).nodes
    }

    /// Starts a further node, or a present one without its data, which waits to be added; returns its peer address.
    func join(_ id: Int) throws -> String {
        let address = try script("join", "\(id)")
        let all = try Self.described(folder)
        known.withLock { $0 = all }
        return address
    }

    private static func script(
        _ folder: TemporaryFolder,
        _ arguments: [String],
        within seconds: Double
    ) throws -> Command {
        var all = arguments
        all.insert(contentsOf: ["--dir", folder.url.path], at: 1)
        return try Command.run(Programs.cluster, all, environment: ["KVNODE": Programs.kvnode], within: seconds)
    }

    /// Runs scripts/cluster on this cluster and expects success; returns what it printed.
    @discardableResult
    func script(_ arguments: String..., within seconds: Double = 90) throws -> String {
        let command = try Self.script(folder, arguments, within: seconds)
        try #require(command.code == 0, "scripts/cluster \(arguments): \(command.everything)\n\(logs)")
        return command.text.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// The same without expecting success.
    func tryScript(_ arguments: String...) throws -> Command { try Self.script(folder, arguments, within: 90) }

    func node(_ id: Int) throws -> Node { try #require(nodes.first { $0.id == id }) }

    /// Kills the leader; returns its number.
    func killLeader() throws -> Int {
        let printed = try script("kill", "leader")
        return try #require(Int(printed))
    }

    /// Starts all nodes anew, without data, in such a way that they reach each other through relays, by node; stop these.
    func putRelaysBetween() throws -> [Int: PeerRelay] {
        killAll()
        var relays: [Int: PeerRelay] = [:]
        for node in nodes {
            relays[node.id] = try PeerRelay(to: node.peer)
            try FileManager.default.removeItem(atPath: node.data)
        }
        for node in nodes {
            var text = try String(contentsOfFile: node.config, encoding: .utf8)
            for other in nodes {
                let relay = try #require(relays[other.id])
                text = text.replacingOccurrences(of: "\"127.0.0.1:\(other.peer)\"", with: "\"127.0.0.1:\(relay.port)\"")
            }
            try Data(text.utf8).write(to: URL(filePath: node.config))
        }
        try script("start")
        return relays
    }

    /// The node that says it leads the data group; nil where none does.
    func leader() throws -> Int? {
        struct Status: Decodable {
            struct Node: Decodable {
                let id: Int
                let role: String?
                let term: Int64?
            }
            let nodes: [Node]
        }
        let command = try tryScript("status", "--json")
        let status = try JSONDecoder().decode(Status.self, from: Data(command.output))
        return status.nodes.filter { $0.role == "leader" }.max { ($0.term ?? 0) < ($1.term ?? 0) }?.id
    }

    /// Sends a signal to a node.
    func signal(_ id: Int, _ number: Int32) throws {
        let text = try String(contentsOf: folder.file("n\(id).pid"), encoding: .utf8)
        let pid = try #require(Int32(text.trimmingCharacters(in: .whitespacesAndNewlines)))
        let node = try node(id)
        try #require(isOurs(pid, node))
        kill(pid, number)
    }

    /// SIGKILL to every node that runs, without waiting between them.
    func killAll() {
        for node in nodes {
            // A node that does not run has no file, or one whose process is gone.
            if let text = try? String(contentsOf: folder.file("n\(node.id).pid"), encoding: .utf8),
                let pid = Int32(text.trimmingCharacters(in: .whitespacesAndNewlines)), isOurs(pid, node)
            {
                kill(pid, SIGKILL)
                _ = Poll.until(10) { !isOurs(pid, node) }
            }
        }
    }

    /// Whether the process is this node: numbers are used again.
    private func isOurs(_ pid: Int32, _ node: Node) -> Bool {
        // Gone means not ours.
        guard let arguments = try? String(contentsOfFile: "/proc/\(pid)/cmdline", encoding: .utf8) else { return false }
        return arguments.contains(node.config)
    }

    /// Waits until all these nodes (all unless given) have applied the same index of the data group.
    func waitCaughtUp(_ ids: [Int]? = nil, within seconds: Double = 60) throws {
        let chosen = nodes.filter { ids?.contains($0.id) ?? true }
        let isEqual = Poll.until(seconds) {
            let applied = chosen.map { appliedIndex($0) }
            return applied.allSatisfy { $0 != nil && $0 == applied[0] }
        }
        try #require(isEqual, "applied indexes: \(chosen.map { appliedIndex($0) })")
    }

    func appliedIndex(_ node: Node) -> Int64? {
        // A node that does not answer has none.
        guard let status = try? HTTPExchange.send("GET", "/status", port: node.http, within: 2),
            let groups = status.object["groups"] as? [[String: Any]],
            let group = groups.first(where: { "\($0["id"] ?? "")" == "1" })
        else { return nil }
        return Int64("\(group["appliedIndex"] ?? "")")
    }

    /// Asks a node over RESP until it answers something that is no error; for use right after a failure.
    func askUntilServed(_ id: Int, _ words: [String], within seconds: Double = 30) throws -> RESPConnection.Answer {
        let port = try node(id).resp
        var last = "no answer"
        var served: RESPConnection.Answer?
        _ = Poll.until(seconds) {
            do {
                let answer = try RESPConnection(port: port).ask(words.map { Array($0.utf8) })
                if case .error(let text) = answer {
                    last = text
                } else {
                    served = answer
                }
            } catch {
                last = "\(error)"
            }
            return served != nil
        }
        return try #require(served, "node \(id), \(words): \(last)")
    }

    /// The end of a node's log.
    func log(_ id: Int, bytes: Int = 4_000) -> String {
        // A log that is not there has nothing to tell.
        let text = (try? Data(contentsOf: folder.file("n\(id).log"))) ?? Data()
        return String(decoding: text.suffix(bytes), as: UTF8.self)
    }

    private var logs: String {
        nodes.map { "--- node \($0.id)\n\(log($0.id, bytes: 2_000))" }.joined(separator: "\n")
    }

    /// Runs kvctl against all nodes, or one.
    func kvctl(_ arguments: String..., node id: Int? = nil, input: [UInt8] = []) throws -> Command {
        let environment = Self.environment(nodes.filter { id == nil || $0.id == id })
        return try Command.run(Programs.kvctl, arguments, input: input, environment: environment, within: 60)
    }

    /// By which kvctl finds the nodes.
    var environment: [String: String] { Self.environment(nodes) }

    private static func environment(_ nodes: [Node]) -> [String: String] {
        [
            "KVCTL_ENDPOINTS": nodes.map { "127.0.0.1:\($0.resp)" }.joined(separator: ","),
            "KVCTL_HTTP_ENDPOINTS": nodes.map { "127.0.0.1:\($0.http)" }.joined(separator: ","),
        ]
    }
}
