import Foundation
import Testing

/// A cluster as config/secure describes it, on free ports, with certificates of scripts/certificates.
final class SecureCluster {
    struct Node {
        let id: Int
        let resp: Int
        let http: Int
        let grpc: Int
        let peer: Int
        /// The listener for clients of Redis Cluster.
        let cluster: Int
    }

    let folder: TemporaryFolder
    let nodes: [Node]
    private var processes: [Int: Process] = [:]

    /// What the first administrator proves itself by.
    var administrator: (name: String, password: String) {
        get throws {
            let text = try String(contentsOf: folder.file("certs/administrator"), encoding: .utf8)
            let parts = text.trimmingCharacters(in: .newlines).split(separator: ":", maxSplits: 1).map(String.init)
            return (parts[0], parts[1])
        }
    }

    var authority: String { folder.file("certs/ca.pem").path }

    static func run(_ body: (SecureCluster) throws -> Void) throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let cluster = try SecureCluster(folder)
        defer { cluster.killAll() }
        do {
            for node in cluster.nodes { try cluster.start(node.id) }
            try cluster.waitReady()
            try body(cluster)
        } catch {
            Issue.record("\(error)\n\(cluster.logs)")
        }
    }

    private init(_ folder: TemporaryFolder) throws {
        self.folder = folder
        let made = try Command.run(
            Programs.root.appending(path: "scripts/certificates").path,
            ["--out", folder.file("certs").path]
        )
        try #require(made.code == 0, "\(made.everything)")
        let ports = try TakenPort.free(15)
        nodes = (0..<3).map {
            Node(
                id: $0 + 1,
                resp: ports[$0],
                http: ports[3 + $0],
                grpc: ports[9 + $0],
                peer: ports[6 + $0],
                cluster: ports[12 + $0]
            )
        }
        for node in nodes {
            let source = Programs.root.appending(path: "config/secure/n\(node.id).yaml")
            var text = try String(contentsOf: source, encoding: .utf8)
            for other in nodes {
                text = text.replacingOccurrences(of: "127.0.0.1:740\(other.id)", with: "127.0.0.1:\(other.peer)")
                text = text.replacingOccurrences(of: "127.0.0.1:640\(other.id)", with: "127.0.0.1:\(other.resp)")
                text = text.replacingOccurrences(of: "127.0.0.1:808\(other.id)", with: "127.0.0.1:\(other.http)")
                text = text.replacingOccurrences(of: "127.0.0.1:908\(other.id)", with: "127.0.0.1:\(other.grpc)")
            }
            text = text.replacingOccurrences(of: "config/secure/certs", with: folder.file("certs").path)
            text = text.replacingOccurrences(of: "data/secure-n\(node.id)", with: folder.file("data\(node.id)").path)
            text += "\nresp_cluster:\n  listen: \"127.0.0.1:\(node.cluster)\"\n"
            text = text.replacingOccurrences(of: "\ntls:\n", with: "\ntls:\n  reload_interval: 200ms\n")
            try Data(text.utf8).write(to: folder.file("n\(node.id).yaml"))
        }
    }

    func start(_ id: Int, _ more: [String] = []) throws {
        let process = Process()
        process.executableURL = URL(filePath: Programs.kvnode)
        process.arguments = ["--config", folder.file("n\(id).yaml").path] + more
        process.currentDirectoryURL = folder.url
        let log = folder.file("n\(id).log")
        if !FileManager.default.fileExists(atPath: log.path) { try Data().write(to: log) }
        let handle = try FileHandle(forWritingTo: log)
        try handle.seekToEnd()
        process.standardError = handle
        process.standardOutput = handle
        try process.run()
        processes[id] = process
    }

    func stop(_ id: Int) {
        guard let process = processes.removeValue(forKey: id) else { return }
        process.terminate()
        process.waitUntilExit()
    }

    func killAll() {
        for process in processes.values {
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
        }
        processes = [:]
    }

    /// Until every node serves and the first administrator is known everywhere.
    func waitReady() throws {
        let (name, password) = try administrator
        for node in nodes {
            let isReady = Poll.until(40) {
                // What does not answer yet is asked again. Attempts in vain are few before they have to wait, so those come last.
                guard (try? curl(node.id, [], "/readyz")) == "200" else { return false }
                return (try? curl(node.id, ["-u", "\(name):\(password)"], "/status")) == "200"
            }
            try #require(isReady, "node \(node.id) is not ready")
        }
    }

    /// Gives a node another certificate.
    func renewCertificate(_ id: Int) throws {
        for file in ["n\(id).pem", "n\(id).key"] {
            try FileManager.default.removeItem(at: folder.file("certs/\(file)"))
        }
        let made = try Command.run(
            Programs.root.appending(path: "scripts/certificates").path,
            ["--out", folder.file("certs").path]
        )
        try #require(made.code == 0, "\(made.everything)")
    }

    /// The serial number of the certificate that a port shows.
    func serial(ofPort port: Int) throws -> String {
        let shown = try Command.run("/usr/bin/openssl", ["s_client", "-connect", "127.0.0.1:\(port)"])
        return try Command.run("/usr/bin/openssl", ["x509", "-noout", "-serial"], input: shown.output).text
    }

    /// The status of a request by curl.
    func curl(_ id: Int, _ arguments: [String], _ path: String) throws -> String {
        let node = nodes[id - 1]
        let common = ["-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", authority, "--max-time", "10"]
        return try Command.run("/usr/bin/curl", common + arguments + ["https://127.0.0.1:\(node.http)\(path)"]).text
    }

    /// The status and text of a request by curl.
    func page(_ id: Int, _ arguments: [String], _ path: String) throws -> (status: String, text: String) {
        let node = nodes[id - 1]
        let common = [
            "-s", "--path-as-is", "-w", "\n%{http_code}", "--cacert", authority, "--max-time", "10", "--request-target",
            path,
        ]
        let text = try Command.run("/usr/bin/curl", common + arguments + ["https://127.0.0.1:\(node.http)/"]).text
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        return (String(lines.last ?? ""), lines.dropLast().joined(separator: "\n"))
    }

    func reading(_ id: Int) throws -> ProcessReading {
        try ProcessReading(#require(processes[id]).processIdentifier)
    }

    /// Has a node that does not run show another's certificate from its next start on.
    func useCertificate(of other: Int, on id: Int) throws {
        let file = folder.file("n\(id).yaml")
        let text = try String(contentsOf: file, encoding: .utf8)
        try Data(
            text.replacing("/n\(id).pem", with: "/n\(other).pem").replacing("/n\(id).key", with: "/n\(other).key").utf8
        )
        .write(to: file)
    }

    /// What tells kvctl of the cluster and of its administrator.
    var environment: [String: String] {
        get throws {
            let (name, password) = try administrator
            return [
                "KVCTL_ENDPOINTS": nodes.map { "127.0.0.1:\($0.resp)" }.joined(separator: ","),
                "KVCTL_HTTP_ENDPOINTS": nodes.map { "127.0.0.1:\($0.http)" }.joined(separator: ","),
                "KVCTL_CA": authority, "KVCTL_USER": name, "KVCTL_PASSWORD": password,
            ]
        }
    }

    /// What redis-cli prints; the line breaks at its end are left out.
    func redis(_ id: Int, user: String? = nil, password: String = "", _ words: [String]) throws -> String {
        var arguments = ["-p", "\(nodes[id - 1].resp)", "--tls", "--cacert", authority]
        if let user { arguments += ["--user", user, "--pass", password, "--no-auth-warning"] }
        let command = try Command.run("/usr/bin/redis-cli", arguments + words)
        return (command.text + command.errors).trimmingCharacters(in: .newlines)
    }

    /// kvctl as the administrator, or as somebody else.
    func kvctl(
        _ arguments: [String],
        user: (name: String, password: String)? = nil,
        input: String = ""
    ) throws -> Command {
        let (name, password) = try user ?? administrator
        let flags = [
            "--endpoints", nodes.map { "127.0.0.1:\($0.resp)" }.joined(separator: ","),
            "--http-endpoints", nodes.map { "127.0.0.1:\($0.http)" }.joined(separator: ","), "--ca", authority,
        ]
        return try Command.run(
            Programs.kvctl,
            arguments + flags,
            input: Array(input.utf8),
            environment: ["KVCTL_USER": name, "KVCTL_PASSWORD": password]
        )
    }

    func log(_ id: Int) -> String {
        // A log that is not there has nothing to tell.
        String(decoding: (try? Data(contentsOf: folder.file("n\(id).log"))) ?? Data(), as: UTF8.self)
    }

    private var logs: String { nodes.map { "n\($0.id): \(log($0.id).suffix(3_000))" }.joined(separator: "\n") }
}
