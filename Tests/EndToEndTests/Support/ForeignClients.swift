import Foundation
import Testing

/// Programs that others wrote, against which the protocols are held.
enum ForeignClients {
    /// The Python of scripts/python-environment; nil where it was not made.
    static let python: String? = {
        let path = Programs.root.appending(path: ".build/python/bin/python3").path
        return FileManager.default.isExecutableFile(atPath: path) ? path : nil
    }()

    /// Whether that Python has grpcio and what makes stubs for it.
    static let hasGRPC: Bool = {
        guard let python else { return false }
        // One that cannot be asked has none.
        let command = try? Command.run(
            python,
            ["-c", "import grpc, grpc_tools, grpc_health, grpc_reflection, grpc_status"]
        )
        return command?.code == 0
    }()

    static let systemPython = Programs.installed("python3")
    static let redisServer = Programs.installed("redis-server")
    static let redisCLI = Programs.installed("redis-cli")
    static let redisBenchmark = Programs.installed("redis-benchmark")

    /// The script that sends a server commands, and the file of these and their answers.
    static let exampleFiles = ["scripts/lib/redis_examples.py", "Tests/Fixtures/redis-examples.txt"].map {
        Programs.root.appending(path: $0).path
    }

    /// Expects that the script got the answers of the file.
    static func expectExamples(_ command: Command) throws {
        try #require(command.code == 0, "\(command.everything)")
        #expect(try command.text == String(contentsOf: URL(filePath: exampleFiles[1]), encoding: .utf8))
    }
}

extension TestCluster {
    /// Starts all nodes anew with a listener for clients of Redis Cluster; returns its port by node.
    func addClusterListeners() throws -> [Int: Int] {
        try script("stop")
        let ports = try TakenPort.free(nodes.count)
        var found: [Int: Int] = [:]
        for (node, port) in zip(nodes, ports) {
            var text = try String(contentsOfFile: node.config, encoding: .utf8)
            text += "\nresp_cluster:\n  listen: \"127.0.0.1:\(port)\"\n"
            try Data(text.utf8).write(to: URL(filePath: node.config))
            found[node.id] = port
        }
        try script("start")
        // Only then does every node know where the others are, and can send clients there.
        let areConnected = Poll.until(30) {
            nodes.allSatisfy { node in
                // A node that does not answer yet is not connected.
                let status = try? HTTPExchange.send("GET", "/status", port: node.http, within: 2)
                let peers = status?.object["peers"] as? [[String: Any]] ?? []
                return peers.count == nodes.count - 1 && peers.allSatisfy { $0["connected"] as? Bool == true }
            }
        }
        try #require(areConnected)
        return found
    }
}
