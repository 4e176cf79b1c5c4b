import Foundation
import Testing

extension EndToEnd {
    /// kvctl beside what it prints: files that it keeps, and what it asks of a real cluster.
    @Suite struct `what kvctl does` {
        private func kvctl(_ folder: TemporaryFolder, _ arguments: [String], input: String = "") throws -> Command {
            try Command.run(
                Programs.kvctl,
                arguments,
                input: Array(input.utf8),
                environment: ["KVCTL_CONFIG": folder.file("config.json").path, "HOME": folder.url.path],
                within: 60
            )
        }

        private func setMode(_ mode: Int, _ file: URL) throws {
            try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file.path)
        }

        @Test func `contexts are kept in a file of their own, and one that others can open is refused`() throws {
            try TestCluster.run(nodes: 1) { cluster in
                let folder = try TemporaryFolder()
                defer { folder.remove() }
                let node = cluster.nodes[0]
                let made = try kvctl(
                    folder,
                    [
                        "context", "set", "here", "--endpoints", "127.0.0.1:\(node.resp)", "--http-endpoints",
                        "127.0.0.1:\(node.http)",
                    ]
                )
                #expect(made.code == 0, "\(made.everything)")
                let file = folder.file("config.json")
                let mode = try FileManager.default.attributesOfItem(atPath: file.path)[.posixPermissions] as? Int
                #expect(mode == 0o600)
                // The first one is the current one.
                #expect(try kvctl(folder, ["put", "k", "v"]).code == 0)
                #expect(
                    try kvctl(folder, ["get", "k", "--context", "here", "-o", "json"]).text.contains("\"utf8\":\"v\"")
                )

                try setMode(0o644, file)
                let open = try kvctl(folder, ["get", "k"])
                #expect(open.code == 2 && open.errors.contains("chmod 600"), "\(open.everything)")
                try setMode(0o600, file)

                // So is the file of a password.
                let password = folder.file("password")
                try Data("secret-1\n".utf8).write(to: password)
                try setMode(0o640, password)
                let named = ["context", "set", "here", "--user", "ops", "--password-file", password.path]
                #expect(try kvctl(folder, named).code == 0)
                #expect(try String(contentsOf: file, encoding: .utf8).contains("secret-1") == false)
                let refused = try kvctl(folder, ["get", "k"])
                #expect(refused.code == 2 && refused.errors.contains("open to others"), "\(refused.everything)")
                // A context's password is for its own nodes: other addresses leave it aside.
                let others = try kvctl(folder, ["get", "k", "--endpoints", "127.0.0.1:\(node.resp)"])
                #expect(others.code == 0 && others.text == "v", "\(others.everything)")
            }
        }

        @Test func `settings change while nodes run, tables are rewritten, and checks pass`() throws {
            try TestCluster.run { cluster in
                let set = try cluster.kvctl("config", "set", "logging.level", "debug")
                #expect(set.code == 0 && set.text.split(separator: "\n").count == 3, "\(set.everything)")
                #expect(try cluster.kvctl("log-level").text.contains("debug"))
                #expect(try cluster.kvctl("config", "show", "logging.level").text.contains("(changed while running)"))
                #expect(try cluster.kvctl("config", "set", "logging.level", "loud").code == 2)
                // What `log-level` changed stays when another setting changes, and goes when this one is set, to what it was too.
                #expect(try cluster.kvctl("log-level", "warning").code == 0)
                #expect(try cluster.kvctl("config", "set", "limits.connections", "200").code == 0)
                #expect(try cluster.kvctl("log-level").text.contains("warning"))
                #expect(try cluster.kvctl("config", "set", "logging.level", "debug").code == 0)
                #expect(try cluster.kvctl("log-level").text.contains("debug"))
                #expect(try cluster.kvctl("config", "set", "raft.heartbeat", "60ms").code == 5)
                #expect(
                    try cluster.kvctl("config", "set", "limits.conections", "5").errors.contains("limits.connections")
                )
                #expect(try cluster.kvctl("config", "set", "limits.connections", "100").code == 0)
                let shown = try RESPConnection(port: cluster.node(2).resp).ask("CONFIG", "GET", "maxclients")
                #expect(shown == .list([.text("maxclients"), .text("100")]))

                for number in 0..<200 { #expect(try cluster.kvctlIsDone("k\(number % 4)", number)) }
                let compacted = try cluster.kvctl("compact", "-o", "json")
                #expect(compacted.code == 0 && compacted.text.contains("bytesAfter"), "\(compacted.everything)")
                #expect(try cluster.kvctl("compact", "--shard", "99").code == 5)
                #expect(try cluster.kvctl("digest").code == 0)
                #expect(try cluster.kvctl("get", "k3").text == "199")

                let perf = try cluster.kvctl("check", "perf", "--load", "s", "--duration", "2s", "-o", "json")
                // A machine that others use may be too slow; then it says so.
                #expect([0, 6].contains(perf.code) && perf.text.contains("throughput"), "\(perf.everything)")
                #expect(try cluster.kvctl("scan", "kvctl-check").text.isEmpty)
                let disk = try cluster.kvctl("check", "disk", "--dir", cluster.folder.url.path)
                #expect([0, 6].contains(disk.code) && disk.text.contains("1000 syncs"), "\(disk.everything)")
                #expect([0, 6].contains(try cluster.kvctl("check", "disk").code))
            }
        }

        @Test func `a debug bundle is a tar file without keys, values and secrets`() throws {
            try TestCluster.run(nodes: 1, settings: ["logging.slow_request=1ms"]) { cluster in
                let key = "private-\(String(repeating: "k", count: 20))"
                let value = [UInt8](repeating: 0x76, count: 3 << 20)
                let isSlow = try Poll.until(20) {
                    _ = try cluster.kvctl("put", key, "-", input: value)
                    return try cluster.kvctl("slow").text.contains(key)
                }
                #expect(isSlow)
                let log = cluster.folder.file("given.log")
                try Data("password=hunter22\nAuthorization: Basic YTpi\ntoken kv1.2a.ff came\n".utf8).write(to: log)
                let path = cluster.folder.file("bundle.tar").path
                let made = try cluster.kvctl("debug", "bundle", "--to", path, "--log", log.path)
                #expect(made.code == 0, "\(made.everything)")
                let listed = try Command.run("/usr/bin/env", ["tar", "tf", path])
                #expect(listed.code == 0 && listed.text.contains("/metrics.txt"), "\(listed.everything)")
                let text = String(decoding: try Data(contentsOf: URL(filePath: path)), as: UTF8.self)
                for secret in [key, "hunter22", "YTpi", "kv1.2a.ff"] { #expect(!text.contains(secret), "\(secret)") }
                #expect(text.contains("logging.slow_request") && text.contains("raft_term"))
            }
        }

        @Test(.enabled(if: ForeignClients.systemPython != nil, "python3 is not installed"))
        func `the shell keeps history, completes and edits what is typed on a terminal`() throws {
            let python = try #require(ForeignClients.systemPython)
            try TestCluster.run(nodes: 1) { cluster in
                let folder = try TemporaryFolder()
                defer { folder.remove() }
                let node = cluster.nodes[0]
                // Tab completes `pu` to `put `; the arrow brings the line back; Ctrl-W takes its last word.
                let keys = ["pu\tk one\r", "get k\r", "\u{1b}[A\u{1b}[A\u{17}two\r", "get k\r", "\u{04}"]
                let ran = try Command.run(
                    python,
                    [
                        Programs.root.appending(path: "scripts/lib/terminal.py").path, "kv> ", Programs.kvctl, "shell",
                        "--endpoints", "127.0.0.1:\(node.resp)", "--http-endpoints", "127.0.0.1:\(node.http)",
                    ],
                    input: Array(keys.joined(separator: "\n").utf8),
                    environment: [
                        "HOME": folder.url.path, "TERM": "xterm", "KVCTL_CONFIG": folder.file("none").path,
                    ],
                    within: 60
                )
                #expect(ran.code == 0, "\(ran.everything.debugDescription)")
                #expect(ran.text.contains("\none") && ran.text.contains("\ntwo"), "\(ran.everything.debugDescription)")
                #expect(try RESPConnection(port: node.resp).ask("GET", "k") == .text("two"))
                let history = try String(contentsOf: folder.file(".kvctl_history"), encoding: .utf8)
                #expect(history == "put k one\nget k\nput k two\nget k\n")
            }
        }
    }
}

extension TestCluster {
    /// Whether a number could be stored, over the Redis protocol.
    fileprivate func kvctlIsDone(_ key: String, _ number: Int) throws -> Bool {
        try RESPConnection(port: node(1).resp, within: 10).ask("SET", key, "\(number)") == .ok
    }
}
