import Foundation
import Testing

extension EndToEnd {
    @Suite struct `a cluster of three` {
        static let keys = (0..<200).map { "key-\($0)" }

        /// Writes the keys through every node in turn.
        static func write(_ cluster: TestCluster, _ value: String) throws {
            let connections = try cluster.nodes.map { try RESPConnection(port: $0.resp) }
            for (index, key) in keys.enumerated() {
                let answer = try connections[index % connections.count].ask("SET", key, "\(value)-\(index)")
                try #require(answer == .ok, "\(key): \(answer)")
            }
        }

        /// Expects what `write` wrote, from each node.
        static func expect(_ cluster: TestCluster, _ value: String) throws {
            for node in cluster.nodes {
                let connection = try RESPConnection(port: node.resp)
                let answer = try connection.ask([Array("MGET".utf8)] + keys.map { Array($0.utf8) })
                let expected = keys.indices.map { RESPConnection.Answer.text("\(value)-\($0)") }
                #expect(answer == .list(expected), "node \(node.id)")
            }
        }

        @Test func `what one node took another gives back, over any protocol`() throws {
            try TestCluster.run { cluster in
                #expect(try RESPConnection(port: cluster.node(2).resp).ask("SET", "k", "v") == .ok)
                #expect(try RESPConnection(port: cluster.node(3).resp).ask("GET", "k") == .text("v"))
                let found = try HTTPExchange.send("GET", "/v1/kv/k", port: cluster.node(1).http)
                #expect(found.status == 200)
                #expect(found.text == "v")
                let version = try #require(found.headers["etag"])

                let stale = try HTTPExchange.send(
                    "PUT",
                    "/v1/kv/k",
                    port: cluster.node(2).http,
                    headers: ["If-Match": "\"1\(version.filter(\.isNumber))\""],
                    body: Array("w".utf8)
                )
                #expect(stale.status == 412)
                let fresh = try HTTPExchange.send(
                    "PUT",
                    "/v1/kv/k",
                    port: cluster.node(2).http,
                    headers: ["If-Match": version],
                    body: Array("w".utf8)
                )
                #expect([200, 204].contains(fresh.status), "\(fresh.status) \(fresh.text)")
                #expect(try RESPConnection(port: cluster.node(1).resp).ask("GET", "k") == .text("w"))
                #expect(try cluster.kvctl("get", "k").text.trimmingCharacters(in: .newlines) == "w")

                let removed = try HTTPExchange.send("DELETE", "/v1/kv/k", port: cluster.node(3).http)
                #expect(removed.status == 204)
                #expect(try HTTPExchange.send("GET", "/v1/kv/k", port: cluster.node(1).http).status == 404)
                #expect(try RESPConnection(port: cluster.node(2).resp).ask("GET", "k") == .none)
            }
        }

        @Test func `a key with slashes, spaces and bytes that are no text is one key`() throws {
            try TestCluster.run { cluster in
                let body = Array("slash".utf8)
                let put = try HTTPExchange.send("PUT", "/v1/kv/a%2Fb%20%FF%00c", port: cluster.node(1).http, body: body)
                #expect([200, 201, 204].contains(put.status), "\(put.status) \(put.text)")
                let key = Array("a/b ".utf8) + [0xFF, 0x00] + Array("c".utf8)
                #expect(try RESPConnection(port: cluster.node(2).resp).ask([Array("GET".utf8), key]) == .bulk(body))
            }
        }

        @Test func `all nodes are killed at once and nothing acknowledged is lost`() throws {
            try TestCluster.run { cluster in
                try Self.write(cluster, "before")
                for round in 1...2 {
                    cluster.killAll()
                    try cluster.script("start")
                    try Self.expect(cluster, round == 1 ? "before" : "after")
                    try Self.write(cluster, "after")
                }
                try Self.expect(cluster, "after")
            }
        }

        @Test func `a graceful stop ends every node and a start goes on with the data`() throws {
            try TestCluster.run { cluster in
                try Self.write(cluster, "kept")
                // Stops with 0 only where every node ended by itself in time.
                try cluster.script("stop")
                #expect(try cluster.tryScript("status").code != 0)
                try cluster.script("start")
                try Self.expect(cluster, "kept")
            }
        }

        @Test func `the leader is killed, writes go on, and it catches up when it returns`() throws {
            try TestCluster.run { cluster in
                try Self.write(cluster, "first")
                for _ in 0..<2 {
                    let victim = try cluster.killLeader()
                    let survivor = try #require(cluster.nodes.first { $0.id != victim })
                    #expect(try cluster.askUntilServed(survivor.id, ["SET", "after", "the kill"]) == .ok)
                    #expect(try cluster.askUntilServed(survivor.id, ["GET", "key-7"]) == .text("first-7"))
                    try cluster.script("start", "\(victim)")
                    try cluster.waitCaughtUp()
                    let stale = try HTTPExchange.send(
                        "GET",
                        "/v1/kv/after?consistency=stale",
                        port: cluster.node(victim).http
                    )
                    #expect(stale.text == "the kill")
                }
                try Self.expect(cluster, "first")
            }
        }

        @Test func `without a majority nothing is answered wrongly, and service returns with it`() throws {
            try TestCluster.run { cluster in
                try Self.write(cluster, "first")
                try cluster.script("kill", "1")
                try cluster.script("kill", "2")
                let connection = try RESPConnection(port: cluster.node(3).resp, within: 20)
                for words in [["SET", "key-1", "lost"], ["GET", "key-1"]] {
                    guard case .error = try connection.ask(words.map { Array($0.utf8) }) else {
                        Issue.record("\(words) was answered without a majority")
                        continue
                    }
                }
                let stale = try HTTPExchange.send("GET", "/v1/kv/key-2?consistency=stale", port: cluster.node(3).http)
                #expect(stale.text == "first-2")
                #expect(try HTTPExchange.send("GET", "/livez", port: cluster.node(3).http).status == 200)
                try cluster.script("start")
                #expect(try cluster.askUntilServed(3, ["GET", "key-2"]) == .text("first-2"))
            }
        }

        @Test func `an expiry holds across a restart of all nodes`() throws {
            try TestCluster.run { cluster in
                let connection = try RESPConnection(port: cluster.node(1).resp)
                #expect(try connection.ask("SET", "short", "x", "PX", "1") == .ok)
                #expect(try connection.ask("SET", "long", "x", "EX", "1000") == .ok)
                #expect(try Poll.until(5) { try connection.ask("GET", "short") == .none })
                cluster.killAll()
                try cluster.script("start")
                let again = try RESPConnection(port: cluster.node(2).resp)
                #expect(try again.ask("GET", "short") == .none)
                guard case .number(let left) = try again.ask("TTL", "long") else {
                    Issue.record("no TTL")
                    return
                }
                #expect((900...1000).contains(left))
            }
        }
    }
}
