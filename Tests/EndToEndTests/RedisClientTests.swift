import Foundation
import Testing

extension EndToEnd {
    /// Programs of others against a real cluster, as users run them.
    @Suite struct `redis clients` {
        @Test(
            .enabled(if: ForeignClients.python != nil, "no .build/python; scripts/python-environment makes it")
        )
        func `redis-py works unchanged, single and as a cluster client`() throws {
            let python = try #require(ForeignClients.python)
            try TestCluster.run { cluster in
                let ports = try cluster.addClusterListeners()
                let clusterPort = try #require(ports[2])
                let script = Programs.root.appending(path: "scripts/lib/redis_py_transcript.py").path
                let arguments = [script, "\(try cluster.node(2).resp)", "\(clusterPort)"]
                let command = try Command.run(python, arguments, within: 120)
                try #require(command.code == 0, "\(command.everything)")
                try Transcript.expect(command.text, isAs: "redis-py.txt")
            }
        }

        @Test(.enabled(if: ForeignClients.systemPython != nil, "python3 is not installed"))
        func `a node answers the examples as Redis did`() throws {
            try TestCluster.run { cluster in
                let python = try #require(ForeignClients.systemPython)
                let (script, file) = (ForeignClients.exampleFiles[0], ForeignClients.exampleFiles[1])
                let command = try Command.run(python, [script, "\(cluster.node(1).resp)", file], within: 60)
                try ForeignClients.expectExamples(command)
            }
        }

        @Test(
            .enabled(
                if: ForeignClients.redisServer != nil && ForeignClients.systemPython != nil,
                "redis-server or python3 is not installed"
            )
        )
        func `redis-server answers the examples as they were recorded`() throws {
            let program = try #require(ForeignClients.redisServer)
            let port = try #require(TakenPort.free(1).first)
            let folder = try TemporaryFolder()
            defer { folder.remove() }
            let script = """
                "$1" --port "$2" --bind 127.0.0.1 --save '' --dir "$3" >/dev/null & server=$!
                trap 'kill -9 $server' EXIT
                python3 "$4" "$2" "$5"
                """
            let command = try Command.run(
                "/bin/sh",
                ["-c", script, "sh", program, "\(port)", folder.url.path] + ForeignClients.exampleFiles,
                within: 60
            )
            try ForeignClients.expectExamples(command)
        }

        @Test(
            .enabled(
                if: ForeignClients.redisServer != nil && ForeignClients.redisCLI != nil,
                "redis-server or redis-cli is not installed"
            )
        )
        func `the page has every command that redis-server lists in its groups`() throws {
            let (server, client) = (try #require(ForeignClients.redisServer), try #require(ForeignClients.redisCLI))
            let port = try #require(TakenPort.free(1).first)
            let folder = try TemporaryFolder()
            defer { folder.remove() }
            let script = """
                "$1" --port "$3" --bind 127.0.0.1 --save '' --dir "$4" >/dev/null & server=$!
                trap 'kill -9 $server' EXIT
                until "$2" -p "$3" PING >/dev/null 2>&1; do sleep 0.1; done
                "$2" -p "$3" --json COMMAND DOCS
                """
            let command = try Command.run("/bin/sh", ["-c", script, "sh", server, client, "\(port)", folder.url.path])
            let docs = try #require(
                try JSONSerialization.jsonObject(with: Data(command.output)) as? [String: [String: Any]]
            )
            let page = try String(
                contentsOf: Programs.root.appending(path: "docs/redis-compatibility.md"),
                encoding: .utf8
            )
            let groups: Set = ["string", "generic", "connection"]
            let names = docs.filter { groups.contains($0.value["group"] as? String ?? "") }.keys.map { $0.uppercased() }
            #expect(names.count >= 55)
            for name in names { #expect(page.contains("\n| \(name) | "), "\(name)") }
        }

        @Test(.enabled(if: ForeignClients.redisCLI != nil, "redis-cli is not installed"))
        func `redis-cli works, also as a cluster client`() throws {
            let program = try #require(ForeignClients.redisCLI)
            try TestCluster.run { cluster in
                let ports = try cluster.addClusterListeners()
                func cli(_ port: Int, _ words: String...) throws -> String {
                    let command = try Command.run(program, ["-p", "\(port)"] + words, within: 20)
                    try #require(command.code == 0, "\(words): \(command.everything)")
                    return command.text.trimmingCharacters(in: .whitespacesAndNewlines)
                }
                let plain = try cluster.node(1).resp
                #expect(try cli(plain, "SET", "k", "v") == "OK")
                #expect(try cli(plain, "-3", "GET", "k") == "v")
                #expect(try cli(plain, "CLUSTER", "KEYSLOT", "k") == "7629")
                #expect(try cli(plain, "INFO", "server").contains("redis_version:7.4.0"))
                // -c follows MOVED: every node is asked, at most one of them leads.
                for (id, port) in ports {
                    // redis-cli does not retry TRYAGAIN, which a node answers until it knows where the leader is.
                    let isSet = Poll.until(20) {
                        (try? cli(port, "-c", "SET", "by-\(id)", "\(id)").hasSuffix("OK")) == true
                    }
                    #expect(isSet)
                    #expect(try cli(port, "CLUSTER", "INFO").contains("cluster_state:ok"))
                }
                let answers = try ports.values.map { try cli($0, "GET", "k") }
                #expect(answers.filter { $0.hasPrefix("MOVED 7629 127.0.0.1:") }.count == 2, "\(answers)")
                #expect(answers.contains("v"))
                let slots = try cli(plain, "CLUSTER", "SLOTS")
                for port in ports.values { #expect(slots.contains("\(port)"), "\(slots)") }
            }
        }

        @Test(.enabled(if: ForeignClients.redisBenchmark != nil, "redis-benchmark is not installed"))
        func `redis-benchmark runs its tests on strings`() throws {
            let program = try #require(ForeignClients.redisBenchmark)
            try TestCluster.run { cluster in
                let port = try cluster.node(3).resp
                let arguments = [
                    "-p", "\(port)", "-t", "ping,set,get,incr,mset", "-n", "2000", "-c", "20", "-P", "4", "-q", "--csv",
                ]
                let command = try Command.run(program, arguments, within: 120)
                #expect(command.code == 0, "\(command.everything)")
                for test in ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET (10 keys)"] {
                    #expect(command.text.contains("\"\(test)\""), "\(command.text)")
                }
                #expect(!command.everything.contains("Error"))
            }
        }

        @Test(
            .enabled(if: ForeignClients.python != nil, "no .build/python; scripts/python-environment makes it")
        )
        func `openapi.json passes a public validator`() throws {
            let python = try #require(ForeignClients.python)
            try TestCluster.run(nodes: 1) { cluster in
                let answer = try HTTPExchange.send("GET", "/openapi.json", port: cluster.node(1).http)
                #expect(answer.status == 200)
                let file = cluster.folder.file("openapi.json")
                try Data(answer.text.utf8).write(to: file)
                let command = try Command.run(python, ["-m", "openapi_spec_validator", file.path], within: 60)
                #expect(command.code == 0, "\(command.everything)")
            }
        }

        @Test(.enabled(if: Programs.installed("curl") != nil, "curl is not installed"))
        func `curl gets what its transcript says`() throws {
            try TestCluster.run { cluster in
                let script = Programs.root.appending(path: "scripts/lib/curl_transcript.sh").path
                let ports = try [1, 2].map { "\(try cluster.node($0).http)" }
                let command = try Command.run(script, ports, within: 120)
                try #require(command.code == 0, "\(command.everything)")
                try Transcript.expect(command.text, isAs: "curl.txt")
            }
        }

        @Test func `kvctl gets what its transcript says`() throws {
            try TestCluster.run { cluster in
                let command = try Command.run(
                    Programs.root.appending(path: "scripts/lib/kvctl_transcript.sh").path,
                    [Programs.kvctl],
                    environment: cluster.environment,
                    within: 120
                )
                try Transcript.expect(command.text, isAs: "kvctl.txt")
            }
        }

        @Test func `a SCAN goes on at another node, unless the one that began it is gone`() throws {
            try TestCluster.run { cluster in
                let clients = try (1...3).map { try RESPConnection(port: cluster.node($0).resp) }
                let keys = Set((0..<50).map { "key-\($0)" })
                for key in keys { #expect(try clients[0].ask("SET", key, "v") == .ok) }
                func page(_ client: RESPConnection, _ cursor: String) throws -> (next: String, keys: [String]) {
                    guard case .list(let parts) = try client.ask("SCAN", cursor, "COUNT", "7"), parts.count == 2,
                        case .bulk(let next) = parts[0], case .list(let rows) = parts[1]
                    else { throw Socket.Failure(description: "SCAN \(cursor) has no page") }
                    let keys = rows.map { row in
                        if case .bulk(let key) = row { String(decoding: key, as: UTF8.self) } else { "" }
                    }
                    return (String(decoding: next, as: UTF8.self), keys)
                }
                var found: Set<String> = []
                var cursor = "0"
                var turn = 0
                repeat {
                    let (next, keys) = try page(clients[turn % 3], cursor)
                    found.formUnion(keys)
                    cursor = next
                    turn += 1
                } while cursor != "0"
                #expect(found == keys)
                #expect(turn == 8)

                let first = try page(clients[0], "0").next
                for node in cluster.nodes where node.id == 1 { try cluster.signal(node.id, SIGKILL) }
                guard
                    case .error(let text) = try RESPConnection(port: cluster.node(2).resp, within: 30).ask(
                        "SCAN",
                        first
                    )
                else {
                    Issue.record("a cursor of a node that is gone was taken")
                    return
                }
                #expect(text.hasPrefix("ERR cursor expired") || text.hasPrefix("LOADING "), "\(text)")
                guard case .error(let other) = try clients[1].ask("SCAN", "\(UInt64(9) << 48 | 5)") else {
                    Issue.record("a cursor of no node was taken")
                    return
                }
                #expect(other == "ERR cursor expired, start again at 0")
            }
        }

        @Test func `a retry through another node is answered as the first time, also after the leader died`() throws {
            try TestCluster.run { cluster in
                let first = try RESPConnection(port: cluster.node(1).resp)
                guard case .number(let session) = try first.ask("KV.SESSION", "OPEN", "600000") else {
                    Issue.record("no session")
                    return
                }
                func increment(_ id: Int, _ sequence: Int) throws -> RESPConnection.Answer {
                    let words = ["KV.SESSION", "DO", "\(session)", "\(sequence)", "1", "INCR", "n"]
                    return try cluster.askUntilServed(id, words)
                }
                for id in 1...3 { #expect(try increment(id, 1) == .number(1)) }
                let dead = try cluster.killLeader()
                for id in 1...3 where id != dead {
                    #expect(try increment(id, 1) == .number(1))
                    #expect(try increment(id, 2) == .number(2))
                }
                let alive = dead == 1 ? 2 : 1
                for _ in 0..<2 {
                    let answer = try HTTPExchange.send(
                        "POST",
                        "/v1/kv/n/increment",
                        port: cluster.node(alive).http,
                        headers: ["Idempotency-Key": "a-payment", "Content-Length": "0"]
                    )
                    #expect(answer.text.contains("\"value\":3"), "\(answer.text)")
                }
            }
        }
    }
}
