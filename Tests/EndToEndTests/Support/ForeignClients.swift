import Foundation
import Testing

/// Programs that others wrote, against which the protocols are held.
enum ForeignClients {
    /// The Python of scripts/python-environment; nil where it was not made.
    static let python: String? = {
        let path = Programs.root.appending(path: ".build/python/bin/python3").path
        return FileManager.default.isExecutableFile(atPath: path) ? path : nil
    }()

    static let redisCLI = Programs.installed("redis-cli")
    static let redisBenchmark = Programs.installed("redis-benchmark")
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
        return found
    }
}
