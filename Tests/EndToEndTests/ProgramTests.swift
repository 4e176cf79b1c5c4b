import Foundation
import Testing

extension EndToEnd {
    @Suite struct `what a user types` {
        @Test func `kvctl puts, gets, lists, counts and deletes`() throws {
            try TestCluster.run { cluster in
                #expect(try cluster.kvctl("put", "greeting", "hello").code == 0)
                #expect(try cluster.kvctl("get", "greeting").text.hasPrefix("hello"))
                #expect(try cluster.kvctl("get", "nothing").code == 5)
                #expect(try cluster.kvctl("incr", "visits", "--by", "3").text.contains("3"))
                #expect(try cluster.kvctl("scan").text.contains("greeting"))
                #expect(try cluster.kvctl("delete", "greeting").code == 0)
                #expect(try cluster.kvctl("get", "greeting").code == 5)
                let status = try cluster.kvctl("status")
                #expect(status.code == 0, "\(status.everything)")
            }
        }

        @Test func `kvctl status tells a missing node by its exit code, and does not hang`() throws {
            try TestCluster.run { cluster in
                try cluster.script("kill", "3")
                let status = try cluster.kvctl("status")
                #expect(status.code == 6, "\(status.everything)")
            }
        }

        @Test func `an import is read back by an export from each node`() throws {
            try TestCluster.run { cluster in
                let folder = try TemporaryFolder()
                defer { folder.remove() }
                let records = (0..<3_000).map { "U+\($0)\tfield\tvalue \($0)" }
                let file = folder.file("records.tsv")
                try Data((["# a comment"] + records).joined(separator: "\n").utf8).write(to: file)
                let result = try cluster.kvctl(
                    "import",
                    file.path,
                    "--comment",
                    "#",
                    "--key-column",
                    "1,2",
                    "--value-column",
                    "3"
                )
                #expect(result.code == 0, "\(result.everything)")
                try cluster.waitCaughtUp()
                let expected = (0..<3_000).map { "U+\($0)/field\tvalue \($0)" }.sorted()
                for node in cluster.nodes {
                    let export = try cluster.kvctl("export", "--format", "tsv", "--consistency", "stale", node: node.id)
                    #expect(export.text.split(separator: "\n").map(String.init).sorted() == expected, "node \(node.id)")
                }
                let digest = try cluster.kvctl("digest")
                #expect(digest.code == 0, "\(digest.everything)")
            }
        }

        @Test(.enabled(if: Programs.installed("redis-cli") != nil, "redis-cli is not installed"))
        func `redis-cli works on any node`() throws {
            let client = try #require(Programs.installed("redis-cli"))
            try TestCluster.run { cluster in
                let set = try Command.run(client, ["-p", "\(cluster.node(2).resp)", "set", "k", "v"])
                #expect(set.text == "OK\n", "\(set.everything)")
                let get = try Command.run(client, ["-p", "\(cluster.node(3).resp)", "get", "k"])
                #expect(get.text == "v\n", "\(get.everything)")
                let hello = try Command.run(client, ["-3", "-p", "\(cluster.node(1).resp)", "get", "k"])
                #expect(hello.text.contains("v"), "\(hello.everything)")
            }
        }

        @Test(.enabled(if: Programs.installed("redis-benchmark") != nil, "redis-benchmark is not installed"))
        func `redis-benchmark runs without an error`() throws {
            let benchmark = try #require(Programs.installed("redis-benchmark"))
            try TestCluster.run { cluster in
                let run = try Command.run(
                    benchmark,
                    [
                        "-p", "\(cluster.node(1).resp)", "-t", "ping,set,get,incr,mset", "-n", "400", "-c", "8", "-P",
                        "4", "-d", "256", "-q",
                    ]
                )
                #expect(run.code == 0)
                #expect(!(run.text + run.errors).lowercased().contains("error"), "\(run.everything)")
            }
        }

        @Test(.enabled(if: Programs.installed("curl") != nil, "curl is not installed"))
        func `curl stores a file under a key with a slash and fetches it`() throws {
            let curl = try #require(Programs.installed("curl"))
            try TestCluster.run { cluster in
                let folder = try TemporaryFolder()
                defer { folder.remove() }
                let bytes = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
                try Data(bytes).write(to: folder.file("file"))
                let put = try Command.run(
                    curl,
                    [
                        "-sS", "-i", "-X", "PUT", "--data-binary", "@\(folder.file("file").path)",
                        "http://127.0.0.1:\(cluster.node(1).http)/v1/kv/a%2Fb",
                    ]
                )
                #expect(put.text.firstMatch(of: #/HTTP/1\.1 20[014]/#) != nil, "\(put.everything)")
                let get = try Command.run(curl, ["-sS", "http://127.0.0.1:\(cluster.node(3).http)/v1/kv/a%2Fb"])
                #expect(get.output == bytes)
            }
        }

        @Test func `health, status and metrics tell how a node stands`() throws {
            try TestCluster.run { cluster in
                for node in cluster.nodes {
                    for path in ["/livez", "/readyz"] {
                        #expect(try HTTPExchange.send("GET", path, port: node.http).status == 200)
                    }
                    let status = try HTTPExchange.send("GET", "/status", port: node.http)
                    #expect("\(status.object["node"] ?? "")" == "\(node.id)")
                    let metrics = try HTTPExchange.send("GET", "/metrics", port: node.http).text
                    for name in ["raft_state", "raft_term", "raft_committed_index", "raft_applied_index"] {
                        #expect(metrics.contains("\n\(name)"), "node \(node.id): \(name)")
                    }
                }
                #expect(
                    try cluster.nodes.count {
                        "\(try HTTPExchange.send("GET", "/metrics", port: $0.http).text)".contains("raft_is_leader")
                    } == 3
                )
            }
        }

        @Test func `a single node serves alone and keeps its data`() throws {
            try TestCluster.run(nodes: 1) { cluster in
                #expect(try RESPConnection(port: cluster.nodes[0].resp).ask("SET", "k", "v") == .ok)
                cluster.killAll()
                try cluster.script("start")
                #expect(try RESPConnection(port: cluster.nodes[0].resp).ask("GET", "k") == .text("v"))
            }
        }
    }
}
