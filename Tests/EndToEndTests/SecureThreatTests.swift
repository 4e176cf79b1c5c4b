import Foundation
import Testing

extension EndToEnd {
    /// The rows of docs/threat-model.md that need a closed cluster: config/secure, with certificates of scripts/certificates.
    @Suite(.enabled(if: ["openssl", "curl", "redis-cli"].allSatisfy { Programs.installed($0) != nil }))
    struct `a closed cluster against its own users and strangers` {
        @Test func `no way around a user's rights: transactions, listings, batches, sessions, other nodes`() throws {
            try SecureCluster.run { cluster in
                let (name, password) = try cluster.administrator
                for user in ["app", "spy"] {
                    let added = try cluster.kvctl(
                        ["user", "add", user, "--grant", "rw:\(user)/"],
                        input: "\(user)-password\n"
                    )
                    try #require(added.code == 0, "\(added.everything)")
                }
                for node in cluster.nodes {
                    let isKnown = try Poll.until(10) {
                        try cluster.redis(node.id, user: "spy", password: "spy-password", ["PING"]) == "PONG"
                    }
                    try #require(isKnown)
                }
                #expect(try cluster.redis(1, user: name, password: password, ["SET", "app/secret", "hidden"]) == "OK")

                // Every node is asked: two of three send the request on, where the right must have been looked at already.
                for node in cluster.nodes {
                    let lines = [
                        "GET app/secret", "MGET spy/a app/secret", "MSET spy/a 1 app/secret 2",
                        "RENAME app/{s} spy/{s}",
                        "COPY app/{s} spy/{s}", "STRLEN app/secret", "EXISTS app/secret", "TTL app/secret",
                        "TYPE app/secret",
                        "GETEX app/secret", "DEL spy/a app/secret", "TOUCH app/secret", "SET app/secret x GET",
                        "OBJECT ENCODING app/secret", "MEMORY USAGE app/secret", "WATCH app/secret",
                        "FLUSHALL", "DBSIZE", "CONFIG GET *", "CONFIG SET maxclients 1", "SLOWLOG GET", "CLIENT LIST",
                        "CLIENT KILL ID 1", "KV.SESSION DO 1 1 1 SET app/secret x",
                    ]
                    let answers = try session(cluster, node.id, "spy", lines)
                    #expect(answers.count == lines.count, "\(answers)")
                    for (line, answer) in zip(lines, answers) {
                        #expect(
                            answer.hasPrefix("NOPERM") || answer.hasPrefix("UNKNOWN"),
                            "node \(node.id), \(line): \(answer)"
                        )
                        #expect(!answer.contains("hidden"), "node \(node.id), \(line)")
                    }
                    // What shows keys shows the user's own.
                    for line in ["KEYS *", "SCAN 0 COUNT 1000", "RANDOMKEY", "CLUSTER GETKEYSINSLOT 5319 100"] {
                        let answer = try session(cluster, node.id, "spy", [line]).joined(separator: "\n")
                        #expect(!answer.contains("app/"), "node \(node.id), \(line): \(answer)")
                    }
                    // A transaction with one forbidden command does nothing at all.
                    let transaction = try session(
                        cluster,
                        node.id,
                        "spy",
                        ["MULTI", "SET spy/{q} 1", "GET app/{q}", "EXEC", "EXISTS spy/{q}"]
                    )
                    #expect(transaction.contains { $0.hasPrefix("NOPERM") }, "\(transaction)")
                    #expect(transaction.last == "0", "\(transaction)")

                    let curl = { (arguments: [String], path: String) in
                        try cluster.page(node.id, ["-u", "spy:spy-password"] + arguments, path)
                    }
                    for (arguments, path) in [
                        ([], "/v1/kv/app%2Fsecret"), (["-I"], "/v1/kv/app%2Fsecret"),
                        (["-X", "DELETE"], "/v1/kv/app/secret"),
                        (["-X", "PUT", "-d", "x"], "/v1/kv/app%2fsecret?return=previous"),
                        (["-X", "POST"], "/v1/kv/app%2Fsecret/increment"),
                        (["-d", #"{"operations":[{"op":"get","keyUtf8":"app/secret"}]}"#], "/v1/batch"),
                        (
                            ["-d", #"{"conditions":[{"keyUtf8":"app/secret","ifPresent":true}],"operations":[]}"#],
                            "/v1/batch"
                        ),
                        ([], "/admin/v1/users"), ([], "/admin/v1/config"), ([], "/admin/v1/slow-requests"),
                        (["-X", "POST"], "/admin/v1/compact"), (["-X", "POST"], "/admin/v1/snapshots"),
                        ([], "/admin/v1/log?group=1&from=1"), ([], "/admin/v1/digest"),
                        (["-X", "POST"], "/admin/v1/stop"),
                        ([], "http://x/admin/v1/users"), ([], "/admin/v1/../v1/users"), ([], "//admin/v1/users"),
                    ] as [([String], String)] {
                        let answer = try curl(arguments, path)
                        let isRefused = ["403", "404", "400"].contains(answer.status)
                        #expect(isRefused, "node \(node.id), \(arguments) \(path): \(answer)")
                        #expect(!answer.text.contains("hidden"), "node \(node.id), \(arguments) \(path)")
                    }
                    for path in ["/v1/kv", "/v1/kv?prefix=app/", "/v1/kv?start=a&end=z&reverse=true", "/v1/kv?limit=1"]
                    {
                        let answer = try curl([], path)
                        #expect(answer.status == "200" && !answer.text.contains("app/"), "\(path): \(answer)")
                        #expect(!answer.text.contains("YXBw"), "\(path): \(answer)")
                    }
                }
                // The answer to another's request under its key of idempotency.
                let once = ["-X", "PUT", "-H", "Idempotency-Key: once", "-d", "v"]
                let path = "/v1/kv/app%2Fonce?return=previous"
                #expect(try cluster.page(1, ["-u", "app:app-password"] + once, path).status.hasPrefix("20"))
                #expect(try cluster.page(2, ["-u", "spy:spy-password"] + once, path).status == "403")
            }
        }

        @Test func `no renegotiation, no old version of TLS, and no certificate of one node for another`() throws {
            try SecureCluster.run { cluster in
                let (name, password) = try cluster.administrator
                for port in [cluster.nodes[0].resp, cluster.nodes[0].http] {
                    let connect = ["s_client", "-connect", "127.0.0.1:\(port)", "-CAfile", cluster.authority]
                    // `R` alone on a line asks for a renegotiation; the other end refuses it, and the connection ends.
                    let again = try Command.run(
                        "/usr/bin/openssl",
                        connect + ["-tls1_2"],
                        input: Array("R\nPING\n".utf8)
                    )
                    #expect((again.text + again.errors).contains("RENEGOTIATING"), "\(again.everything)")
                    #expect(!again.text.contains("PONG") && !again.text.contains("NOAUTH"), "\(again.everything)")
                    #expect(again.code != 0 || again.errors.contains("error") || again.errors.contains("renegotiation"))
                    for old in ["-tls1", "-tls1_1"] {
                        #expect(try Command.run("/usr/bin/openssl", connect + [old]).code != 0, "\(old)")
                    }
                }
                #expect(try cluster.redis(1, user: name, password: password, ["SET", "k", "v"]) == "OK")

                // Node 3 comes back with node 2's certificate, which is of the right authority.
                cluster.stop(3)
                try cluster.useCertificate(of: 2, on: 3)
                try cluster.start(3)
                let isSaid = Poll.until(20) {
                    cluster.nodes.contains { cluster.log($0.id).contains("node 3 shows a certificate of node 2") }
                }
                #expect(isSaid, "\(cluster.log(1).suffix(1_000))\n\(cluster.log(3).suffix(1_000))")
                #expect(try cluster.curl(3, [], "/readyz") != "200")
                #expect(try cluster.redis(1, user: name, password: password, ["GET", "k"]) == "v")
            }
        }

        @Test func `ten thousand TLS handshakes that are never finished hold little and are let go`() throws {
            try SecureCluster.run { cluster in
                let (name, password) = try cluster.administrator
                let node = cluster.nodes[0]
                let before = try cluster.reading(1)
                // The first bytes of a handshake on every other one.
                let hello: [UInt8] = [0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03]
                let crowd = ConnectionCrowd(9_000, port: node.resp) { $0.isMultiple(of: 2) ? hello : [] }
                #expect(crowd.count == 9_000)
                _ = try Poll.until(10) { try cluster.reading(1).descriptors > before.descriptors + 8_000 }
                let during = try cluster.reading(1)
                print("TLS: \(before), with \(crowd.count) connections \(during)")
                #expect(during.residentBytes - before.residentBytes < 900 << 20, "\(before), then \(during)")
                #expect(try cluster.redis(1, user: name, password: password, ["PING"]) == "PONG")
                let isFree = try Poll.until(150) { try cluster.reading(1).descriptors <= before.descriptors + 20 }
                let now = try cluster.reading(1)
                #expect(isFree, "\(now)")
            }
        }

        @Test(.enabled(if: ForeignClients.python != nil, "no .build/python; scripts/python-environment makes it"))
        func `redis-py gets over TLS, as a user, what its transcript says`() throws {
            try SecureCluster.run { cluster in
                let (name, password) = try cluster.administrator
                let script = Programs.root.appending(path: "scripts/lib/redis_py_transcript.py").path
                let command = try Command.run(
                    try #require(ForeignClients.python),
                    [script, "\(cluster.nodes[1].resp)", "\(cluster.nodes[1].cluster)"],
                    environment: ["KV_CA": cluster.authority, "KV_USER": name, "KV_PASSWORD": password],
                    within: 180
                )
                try #require(command.code == 0, "\(command.everything)")
                try Transcript.expect(command.text, isAs: "redis-py.txt")
            }
        }

        @Test func `curl gets over TLS, as an administrator, what its transcript says`() throws {
            try SecureCluster.run { cluster in
                let (name, password) = try cluster.administrator
                let curlrc = "cacert = \"\(cluster.authority)\"\nuser = \"\(name):\(password)\"\n"
                try Data(curlrc.utf8).write(to: cluster.folder.file(".curlrc"))
                let curl = try Command.run(
                    Programs.root.appending(path: "scripts/lib/curl_transcript.sh").path,
                    ["\(cluster.nodes[0].http)", "\(cluster.nodes[1].http)"],
                    environment: ["SCHEME": "https", "CURL_HOME": cluster.folder.url.path],
                    within: 120
                )
                try Transcript.expect(curl.text, isAs: "curl.txt")
            }
        }

        @Test func `kvctl gets over TLS, as an administrator, what its transcript says`() throws {
            try SecureCluster.run { cluster in
                let kvctl = try Command.run(
                    Programs.root.appending(path: "scripts/lib/kvctl_transcript.sh").path,
                    [Programs.kvctl],
                    environment: cluster.environment,
                    within: 120
                )
                try Transcript.expect(kvctl.text, isAs: "kvctl.txt")
            }
        }

        @Test func `a probe hands leadership over with the credentials that it is given`() throws {
            try SecureCluster.run { cluster in
                let config = ["--config", cluster.folder.file("n1.yaml").path, "--probe", "hand-over"]
                let wrong = cluster.folder.file("wrong")
                try Data("admin:not-the-password\n".utf8).write(to: wrong)
                let nobody = try Command.run(Programs.kvnode, config + ["--probe-credentials", wrong.path])
                #expect(nobody.code == 1 && nobody.errors.contains("401"), "\(nobody.everything)")
                // The file of the first administrator is what it takes by itself.
                let first = try Command.run(Programs.kvnode, config)
                #expect(first.code == 0, "\(first.everything)")
                let right = cluster.folder.file("certs/administrator").path
                let known = try Command.run(Programs.kvnode, config + ["--probe-credentials", right])
                #expect(known.code == 0, "\(known.everything)")
            }
        }

        /// What redis-cli prints for several commands of one connection, an answer each.
        private func session(_ cluster: SecureCluster, _ id: Int, _ user: String, _ lines: [String]) throws -> [String]
        {
            let command = try Command.run(
                "/usr/bin/redis-cli",
                [
                    "-p", "\(cluster.nodes[id - 1].resp)", "--tls", "--cacert", cluster.authority, "--user", user,
                    "--pass",
                    "\(user)-password", "--no-auth-warning",
                ],
                input: Array((lines.joined(separator: "\n") + "\n").utf8)
            )
            return command.text.split(separator: "\n").map(String.init)
        }
    }
}
