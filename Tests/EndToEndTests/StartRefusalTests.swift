import Foundation
import Testing

extension EndToEnd {
    @Suite struct `a node that must not start` {
        /// A configuration file for one node in `folder`, with free ports unless others are given.
        static func configuration(
            _ folder: TemporaryFolder,
            id: Int = 1,
            resp: Int? = nil,
            http: Int? = nil,
            peer: Int? = nil,
            more: String = ""
        ) throws -> String {
            let ports = try TakenPort.free(3)
            let text = """
                node:
                  id: \(id)
                  data_dir: "\(folder.file("data").path)"
                resp:
                  listen: 127.0.0.1:\(resp ?? ports[0])
                http:
                  listen: 127.0.0.1:\(http ?? ports[1])
                peer:
                  listen: 127.0.0.1:\(peer ?? ports[2])
                \(more)
                """
            let file = folder.file("node\(id).yaml")
            try Data(text.utf8).write(to: file)
            return file.path
        }

        static func withFolder(_ body: (TemporaryFolder) throws -> Void) throws {
            let folder = try TemporaryFolder()
            defer { folder.remove() }
            try body(folder)
        }

        static let mistakes: [(what: String, text: String, expected: [String])] = [
            ("an unknown key", "rafft:\n  heartbeat: 50ms", ["rafft", "raft"]),
            ("an unknown key inside", "raft:\n  hartbeat: 50ms", ["hartbeat", "heartbeat"]),
            ("a duration without a unit", "raft:\n  heartbeat: 50", ["heartbeat", "50"]),
            ("a size with a unit of time", "storage:\n  memtable_bytes: 5s", ["memtable_bytes"]),
            ("a key given twice", "raft:\n  heartbeat: 50ms\n  heartbeat: 60ms", ["heartbeat"]),
            ("a number out of range", "cluster:\n  shards: 0", ["shards"]),
            ("a contradiction", "raft:\n  heartbeat: 500ms\n  election_timeout: 250ms", ["election_timeout"]),
            ("text that is no YAML", "raft: [", []),
        ]

        @Test(arguments: mistakes.indices)
        func `a mistake in the configuration is told with its place, and nothing is started`(_ index: Int) throws {
            let mistake = Self.mistakes[index]
            try Self.withFolder { folder in
                let file = try Self.configuration(folder, more: mistake.text)
                for flags in [[], ["--check-config"]] {
                    let command = try Command.run(Programs.kvnode, ["--config", file] + flags, within: 20)
                    #expect(command.code != 0, "\(mistake.what)")
                    #expect(command.errors.firstMatch(of: #/node1\.yaml:\d+:\d+/#) != nil, "\(command.everything)")
                    for word in mistake.expected { #expect(command.errors.contains(word), "\(command.everything)") }
                }
                #expect(!FileManager.default.fileExists(atPath: folder.file("data").path))
            }
        }

        @Test func `a configuration file that is not there is an error with its name`() throws {
            let command = try Command.run(Programs.kvnode, ["--config", "/nowhere/kvnode.yaml"], within: 20)
            #expect(command.code != 0)
            #expect(command.errors.contains("/nowhere/kvnode.yaml"), "\(command.everything)")
        }

        @Test func `the shipped configurations are valid, and checking one starts nothing`() throws {
            let config = Programs.root.appending(path: "config")
            for name in ["single.yaml", "cluster/n1.yaml", "cluster/n2.yaml", "cluster/n3.yaml", "kvnode.yaml"] {
                let file = config.appending(path: name).path
                let command = try Command.run(Programs.kvnode, ["--config", file, "--check-config"], within: 20)
                #expect(command.code == 0, "\(name): \(command.everything)")
            }
        }

        @Test func `the configuration in force is printed with where each value comes from`() throws {
            try Self.withFolder { folder in
                let file = try Self.configuration(folder, more: "raft:\n  heartbeat: 70ms")
                let command = try Command.run(
                    Programs.kvnode,
                    ["--config", file, "--print-config"],
                    environment: ["KVNODE_RAFT_ELECTION_TIMEOUT": "900ms"],
                    within: 20
                )
                #expect(command.code == 0, "\(command.everything)")
                for word in ["70ms", "900ms", "KVNODE_RAFT_ELECTION_TIMEOUT", "node1.yaml"] {
                    #expect(command.text.contains(word), "\(word)")
                }
            }
        }

        @Test func `the version is printed`() throws {
            let command = try Command.run(Programs.kvnode, ["--version"], within: 20)
            #expect(command.code == 0)
            #expect(command.text.contains { $0.isNumber })
        }

        @Test(arguments: ["resp", "http", "peer"]) func `a port in use is an error that names it`(
            _ listener: String
        ) throws {
            try Self.withFolder { folder in
                let taken = try TakenPort()
                let file = try Self.configuration(
                    folder,
                    resp: listener == "resp" ? taken.port : nil,
                    http: listener == "http" ? taken.port : nil,
                    peer: listener == "peer" ? taken.port : nil
                )
                let command = try Command.run(Programs.kvnode, ["--config", file], within: 30)
                #expect(command.code != 0)
                #expect(
                    command.errors.contains("\(taken.port)") || command.text.contains("\(taken.port)"),
                    "\(command.everything)"
                )
            }
        }

        @Test func `a data directory that a node uses is refused to a second process`() throws {
            try TestCluster.run(nodes: 1) { cluster in
                let node = cluster.nodes[0]
                let folder = try TemporaryFolder()
                defer { folder.remove() }
                let file = try Self.configuration(folder)
                let command = try Command.run(Programs.kvnode, ["--config", file, "--data-dir", node.data], within: 30)
                #expect(command.code != 0)
                #expect((command.errors + command.text).contains(node.data), "\(command.everything)")
                #expect(try RESPConnection(port: node.resp).ask("PING") == .simple("PONG"))
            }
        }

        @Test func `a data directory that is being restored is refused with what to do`() throws {
            try Self.withFolder { folder in
                let file = try Self.configuration(folder)
                let data = folder.file("data")
                try FileManager.default.createDirectory(at: data, withIntermediateDirectories: true)
                try Data().write(to: data.appending(path: "RESTORING"))
                let command = try Command.run(Programs.kvnode, ["--config", file], within: 20)
                #expect(command.code != 0)
                for word in ["RESTORING", "kvctl snapshot restore"] {
                    #expect(command.errors.contains(word), "\(command.everything)")
                }
            }
        }

        @Test func `a data directory of another node is refused`() throws {
            try TestCluster.run(nodes: 3) { cluster in
                #expect(try RESPConnection(port: cluster.node(1).resp).ask("SET", "k", "v") == .ok)
                try cluster.script("stop", "1")
                try cluster.script("stop", "2")
                let command = try Command.run(
                    Programs.kvnode,
                    ["--config", cluster.node(1).config, "--data-dir", cluster.node(2).data],
                    within: 30
                )
                #expect(command.code != 0)
                #expect((command.errors + command.text).contains("node"), "\(command.everything)")
                try cluster.script("start")
                #expect(try cluster.askUntilServed(1, ["GET", "k"]) == .text("v"))
            }
        }

        @Test func `a data directory of another cluster is refused`() throws {
            try TestCluster.run(nodes: 1) { cluster in
                let node = cluster.nodes[0]
                #expect(try RESPConnection(port: node.resp).ask("SET", "k", "v") == .ok)
                try cluster.script("stop")
                let command = try Command.run(
                    Programs.kvnode,
                    ["--config", node.config, "--set", "cluster.name=another"],
                    within: 30
                )
                #expect(command.code != 0)
                #expect((command.errors + command.text).contains("cluster"), "\(command.everything)")
                try cluster.script("start")
                #expect(try RESPConnection(port: node.resp).ask("GET", "k") == .text("v"))
            }
        }

        @Test func `a node of another cluster at a member's address is refused by the others, who serve on`() throws {
            try TestCluster.run(nodes: 3) { cluster in
                #expect(try RESPConnection(port: cluster.node(1).resp).ask("SET", "k", "v") == .ok)
                try cluster.script("stop", "3")
                let stranger = try cluster.node(3)
                let file = URL(filePath: stranger.config)
                let own = try String(contentsOf: file, encoding: .utf8)
                let moved = own.replacingOccurrences(of: stranger.data, with: stranger.data + "-other")
                try Data(moved.replacingOccurrences(of: "cluster:", with: "cluster:\n  name: other").utf8).write(
                    to: file
                )
                _ = try cluster.tryScript("start", "3", "--no-wait")
                let isRefused = Poll.until(30) { cluster.log(3, bytes: 100_000).contains("belongs to cluster") }
                #expect(isRefused, "\(cluster.log(3))")
                #expect(try cluster.askUntilServed(1, ["GET", "k"]) == .text("v"))
                let ready = try? HTTPExchange.send("GET", "/readyz", port: stranger.http, within: 3)
                #expect(ready?.status != 200)
                try cluster.script("kill", "3")
                try Data(own.utf8).write(to: file)
                try cluster.script("start", "3")
                #expect(try cluster.askUntilServed(3, ["GET", "k"]) == .text("v"))
            }
        }

        @Test func `a wiped node is refused by its cluster, which loses nothing`() throws {
            try TestCluster.run(nodes: 3) { cluster in
                let connection = try RESPConnection(port: cluster.node(1).resp)
                for index in 0..<50 {
                    #expect(try connection.ask("SET", "key-\(index)", "value-\(index)") == .ok)
                }
                try cluster.waitCaughtUp()
                try cluster.script("stop", "3")
                try FileManager.default.removeItem(atPath: cluster.node(3).data)
                _ = try cluster.tryScript("start", "3", "--no-wait")
                let isRefused = Poll.until(30) {
                    let all = cluster.nodes.map { cluster.log($0.id, bytes: 100_000) }.joined()
                    return all.contains("incarnation") || all.contains("lost its data")
                }
                #expect(isRefused, "\(cluster.log(3))")
                // Two of three serve, and the wiped one is not among them.
                #expect(try connection.ask("SET", "key-0", "again") == .ok)
                let ready = try? HTTPExchange.send("GET", "/readyz", port: cluster.node(3).http, within: 3)
                #expect(ready?.status != 200)
                // With another one gone there is no majority that knows everything: unavailable, never wrong.
                try cluster.script("kill", "2")
                let alone = try RESPConnection(port: cluster.node(1).resp, within: 20)
                // On a key of its own: its outcome is unknown, and it may take effect once there is a majority again.
                guard case .error = try alone.ask("SET", "unknown", "x") else {
                    Issue.record("a write was accepted with the help of a node that lost its data")
                    return
                }
                guard case .error = try alone.ask("GET", "key-1") else {
                    Issue.record("a read was answered with the help of a node that lost its data")
                    return
                }
                try cluster.script("start", "2")
                for index in 1..<50 {
                    #expect(try cluster.askUntilServed(1, ["GET", "key-\(index)"]) == .text("value-\(index)"))
                }
            }
        }
    }
}
