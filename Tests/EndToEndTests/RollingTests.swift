import Foundation
import Testing

extension EndToEnd {
    /// Nodes that are restarted one after the other, as for an upgrade.
    @Suite struct `a rolling restart` {
        private func roll(_ cluster: TestCluster, _ command: String, _ more: [String] = []) throws -> Command {
            try Command.run(
                Programs.root.appending(path: "scripts/rolling-restart").path,
                ["--kvctl", Programs.kvctl, "--restart", command] + more,
                environment: cluster.environment.merging(["KVNODE": Programs.kvnode]) { $1 },
                within: 180
            )
        }

        /// What stands for an operator's way to restart a node.
        private func restart(_ cluster: TestCluster) -> String {
            let call = { (action: String) in
                "'\(Programs.cluster)' \(action) --dir '\(cluster.folder.url.path)' $KV_NODE > /dev/null"
            }
            return "\(call("stop")) && \(call("start"))"
        }

        @Test func `of all nodes goes unnoticed by users of the client library`() throws {
            try TestCluster.run { cluster in
                let load = ClientLoad(ports: cluster.nodes.map(\.resp), httpPorts: cluster.nodes.map(\.http))
                #expect(Poll.until(20) { load.requests > 100 })
                let leader = try #require(
                    try cluster.kvctl("member", "list", "-o", "json").text.firstMatch(of: /"leader":"(\d)"/)
                )
                let rolled = try roll(cluster, restart(cluster))
                let before = load.requests
                #expect(Poll.until(20) { load.requests > before + 100 })
                load.stop()
                #expect(rolled.code == 0, "\(rolled.everything)")
                let lines = rolled.text.split(separator: "\n")
                #expect(
                    lines.count == 4 && lines[2].hasPrefix("node \(leader.1): "),
                    "the leader goes last: \(rolled.text)"
                )
                #expect(load.failures == [])
                for id in 1...3 {
                    #expect(cluster.log(id, bytes: 1 << 20).components(separatedBy: "stopped").count > 1)
                }
            }
        }

        @Test func `stops where a node does not come back, and touches nothing where one is down`() throws {
            try TestCluster.run { cluster in
                let failed = try roll(cluster, "test $KV_NODE = 0", ["--only", "2"])
                #expect(failed.code == 1 && failed.errors.contains("node 2 ended with 1"), "\(failed.everything)")
                let unknown = try roll(cluster, "false", ["--only", "9"])
                #expect(unknown.code == 1 && unknown.errors.contains("no member is called 9"), "\(unknown.everything)")
                try cluster.script("kill", "3")
                let lost = try roll(cluster, "echo touched", ["--only", "1", "--timeout", "2"])
                #expect(lost.code == 1 && lost.errors.contains("nothing was restarted"), "\(lost.everything)")
                #expect(!lost.text.contains("touched"))
            }
        }
    }
}
