import Foundation
import Testing

extension EndToEnd {
    @Suite struct `input that no client should send` {
        /// Each is sent on a connection of its own; the node answers with an error or closes, and serves on.
        static let malformedRESP: [[UInt8]] =
            [
                "*1\r\n$-5\r\nPING\r\n", "*1\r\n$999999999999\r\n", "*99999999999\r\n", "*-7\r\n", "*1\r\n:5\r\n",
                "*1\r\n$4\r\nPINGxx",
                "*2\r\n$3\r\nGET\r\n", "$3\r\nGET\r\n", "*x\r\n", "*1\r\n$x\r\n", "NOSUCHCOMMAND a b\r\n",
                "GET \"unbalanced\r\n",
            ].map { Array($0.utf8) } + [[0, 255, 254, 13, 10], [UInt8](repeating: 42, count: 100_000)]

        @Test func `malformed commands are answered with an error or closed, and the node serves on`() throws {
            try TestCluster.run(nodes: 1) { cluster in
                let port = cluster.nodes[0].resp
                #expect(try RESPConnection(port: port).ask("SET", "k", "v") == .ok)
                for bytes in Self.malformedRESP {
                    let socket = try Socket(port: port)
                    // The node may close while we still send.
                    try? socket.send(bytes)
                    socket.finishSending()
                    // Nothing, or an error line: the connection may also be reset.
                    let answer = (try? socket.readToEnd()) ?? []
                    let isRefused = answer.isEmpty || answer.first == UInt8(ascii: "-")
                    #expect(isRefused, "\(String(decoding: bytes.prefix(40), as: UTF8.self).debugDescription)")
                    #expect(try RESPConnection(port: port).ask("GET", "k") == .text("v"))
                }
            }
        }

        @Test func `half a request and a close does nothing`() throws {
            try TestCluster.run(nodes: 1) { cluster in
                let port = cluster.nodes[0].resp
                let request = Array("*3\r\n$3\r\nSET\r\n$4\r\nhalf\r\n$5\r\nvalue\r\n".utf8)
                for count in 1..<request.count {
                    try Socket(port: port).send(Array(request[..<count]))
                }
                #expect(try RESPConnection(port: port).ask("EXISTS", "half") == .number(0))
            }
        }

        @Test func `commands of other types and unknown ones have a clear error`() throws {
            try TestCluster.run(nodes: 1) { cluster in
                let connection = try RESPConnection(port: cluster.nodes[0].resp)
                let commands = [
                    ["LPUSH", "l", "x"], ["NOSUCH"], ["GET"], ["SET", "k"], ["SET", "k", "v", "EX", "0"],
                    ["SET", "k", "v", "NX", "XX"], ["SELECT", "1"], ["INCRBY", "k", "word"],
                ]
                for words in commands {
                    guard case .error(let text) = try connection.ask(words.map { Array($0.utf8) }) else {
                        Issue.record("\(words) was accepted")
                        continue
                    }
                    #expect(text.count > 8, "\(words): \(text)")
                }
                #expect(try connection.ask("PING") == .simple("PONG"))
            }
        }

        @Test func `values up to the limit pass unchanged, above it they are refused`() throws {
            try TestCluster.run(nodes: 3) { cluster in
                let limit = 4 * 1024 * 1024
                let value = (0..<limit).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
                let key = Array("big".utf8)
                let writer = try RESPConnection(port: cluster.node(1).resp, within: 30)
                #expect(try writer.ask([Array("SET".utf8), key, value]) == .ok)
                let reader = try RESPConnection(port: cluster.node(3).resp, within: 30)
                #expect(try reader.ask([Array("GET".utf8), key]) == .bulk(value))
                let found = try HTTPExchange.send("GET", "/v1/kv/big", port: cluster.node(2).http, within: 30)
                #expect(found.body == value)

                let over = try HTTPExchange.send(
                    "PUT",
                    "/v1/kv/over",
                    port: cluster.node(2).http,
                    headers: ["Content-Length": "\(limit + 1)"],
                    body: [1, 2, 3]
                )
                #expect(over.status == 413)
                let refused = try RESPConnection(port: cluster.node(2).resp, within: 30)
                // The answer is an error, or the connection is closed before all of it was sent.
                if let answer = try? refused.ask([Array("SET".utf8), Array("over".utf8), value + [0]]) {
                    guard case .error = answer else {
                        Issue.record("a value over the limit was answered with \(answer)")
                        return
                    }
                }
                #expect(try cluster.askUntilServed(1, ["EXISTS", "over"]) == .number(0))
            }
        }

        @Test func `what is too long together is refused at once on every node, and all others go on`() throws {
            try TestCluster.run(nodes: 3) { cluster in
                func words(_ command: String, _ count: Int, _ value: [UInt8]?) -> [[UInt8]] {
                    [Array(command.utf8)]
                        + (0..<count).flatMap { [Array("long\($0)".utf8)] + (value.map { [$0] } ?? []) }
                }
                let value = [UInt8](repeating: 7, count: 4 * 1024 * 1024)
                let leader = try #require(try cluster.leader())
                let follower = try #require(cluster.nodes.map(\.id).first { $0 != leader })
                for id in [leader, follower] {
                    let connection = try RESPConnection(port: cluster.node(id).resp, within: 30)
                    guard case .error(let text) = try connection.ask(words("MSET", 5, value)) else {
                        Issue.record("20 MiB were taken as one write by node \(id)")
                        return
                    }
                    #expect(text.contains("together") && text.contains("several commands"), "\(text)")
                    #expect(try connection.ask("EXISTS", "long0", "long4") == .number(0))
                    #expect(try connection.ask("SET", "k\(id)", "v") == .ok)
                }
                for first in stride(from: 0, to: 15, by: 3) {
                    let connection = try RESPConnection(port: cluster.node(follower).resp, within: 30)
                    let pairs = (first..<first + 3).flatMap { [Array("long\($0)".utf8), value] }
                    #expect(try connection.ask([Array("MSET".utf8)] + pairs) == .ok)
                }
                let reader = try RESPConnection(port: cluster.node(follower).resp, within: 30)
                let answer = RESPConnection.Answer.list(Array(repeating: .bulk(value), count: 8))
                #expect(try reader.ask(words("MGET", 8, nil)) == answer)
                guard case .error(let text) = try reader.ask(words("MGET", 15, nil)) else {
                    Issue.record("60 MiB came through another node")
                    return
                }
                #expect(text.contains("fewer keys"), "\(text)")
                #expect(try cluster.askUntilServed(follower, ["GET", "k\(leader)"]) == .bulk([UInt8(ascii: "v")]))
            }
        }

        @Test func `a key over the limit is refused on every edge`() throws {
            try TestCluster.run(nodes: 1) { cluster in
                let key = String(repeating: "k", count: 4 * 1024 + 1)
                guard case .error = try RESPConnection(port: cluster.nodes[0].resp).ask("SET", key, "v") else {
                    Issue.record("accepted over RESP")
                    return
                }
                let status = try HTTPExchange.send("PUT", "/v1/kv/\(key)", port: cluster.nodes[0].http, body: [1])
                    .status
                #expect([400, 413, 414].contains(status))
            }
        }

        @Test func `malformed HTTP requests have their status`() throws {
            try TestCluster.run(nodes: 1) { cluster in
                let port = cluster.nodes[0].http
                #expect(try HTTPExchange.send("GET", "/v1/kv/%zz", port: port).status == 400)
                #expect(try HTTPExchange.send("GET", "/v1/kv/%2", port: port).status == 400)
                #expect(try HTTPExchange.send("GET", "/nowhere", port: port).status == 404)
                #expect(try HTTPExchange.send("GET", "/v1/kv/none", port: port).status == 404)
                #expect(try HTTPExchange.send("PUT", "/v1/kv/k?ttl=soon", port: port, body: [1]).status == 400)
                #expect(try HTTPExchange.send("GET", "/v1/kv/k?consistency=perhaps", port: port).status == 400)
                for length in ["-5", "many"] {
                    // A wrong length is refused, or the connection is closed at once.
                    let answer = try? HTTPExchange.send(
                        "PUT",
                        "/v1/kv/wrong",
                        port: port,
                        headers: ["Content-Length": length],
                        body: [1]
                    )
                    #expect(answer.map { $0.status == 400 } ?? true)
                }
                let short = try Socket(port: port)
                try short.send(Array("PUT /v1/kv/short HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf".utf8))
                short.finishSending()
                _ = try? short.readToEnd()
                #expect(try HTTPExchange.send("GET", "/v1/kv/short", port: port).status == 404)
                #expect(try HTTPExchange.send("GET", "/v1/kv/wrong", port: port).status == 404)
            }
        }

        @Test func `a length that does not fit the body changes nothing but its own request`() throws {
            try TestCluster.run(nodes: 1) { cluster in
                let port = cluster.nodes[0].http
                func answer(to text: String) throws -> String {
                    let socket = try Socket(port: port)
                    try socket.send(Array(text.utf8))
                    socket.finishSending()
                    // A reset is a refusal too.
                    return String(decoding: (try? socket.readToEnd()) ?? [], as: UTF8.self)
                }
                let put = "PUT /v1/kv/smuggled HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx"
                let host = "HTTP/1.1\r\nHost: x\r\n"
                // More than announced: the rest is no request.
                let longer = try answer(to: "PUT /v1/kv/longer \(host)Content-Length: 2\r\n\r\nvalue and more")
                #expect(longer.components(separatedBy: "HTTP/1.1 ").dropFirst(2).allSatisfy { $0.hasPrefix("400") })
                // Two lengths, or a length and chunks: whoever stands in between may see another end than we do.
                let unclear = [
                    "PUT /v1/kv/unclear \(host)Content-Length: 0\r\nContent-Length: \(put.utf8.count)\r\n\r\n\(put)",
                    "PUT /v1/kv/unclear \(host)Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n\(put)",
                    "PUT /v1/kv/unclear \(host)Transfer-Encoding: chunked\r\n\r\nxyz\r\n\(put)",
                    "PUT /v1/kv/unclear \(host)Transfer-Encoding: chunked\r\n\r\n5\r\nhalf",
                ]
                for text in unclear {
                    let answer = try answer(to: text)
                    #expect(answer.isEmpty || answer.hasPrefix("HTTP/1.1 400"), "\(text)\n\(answer)")
                }
                for key in ["unclear", "smuggled"] {
                    #expect(try HTTPExchange.send("GET", "/v1/kv/\(key)", port: port).status == 404, "\(key)")
                }
            }
        }

        @Test func `a peer that sends garbage is dropped and the cluster serves on`() throws {
            try TestCluster.run(nodes: 3) { cluster in
                let garbage: [[UInt8]] = [
                    [], [UInt8](repeating: 0, count: 64), [UInt8](repeating: 255, count: 4_096),
                    Array("GET / HTTP/1.1\r\n\r\n".utf8),
                    [0, 0, 0, 8, 0, 0, 0, 4, 1, 2, 3, 4], [8, 0, 0, 0, 4, 0, 0, 0, 1, 2, 3, 4],
                ]
                for node in cluster.nodes {
                    for bytes in garbage {
                        let socket = try Socket(port: node.peer)
                        try? socket.send(bytes)
                        socket.finishSending()
                        // It closes, with or without a last word; a reset is a close too.
                        _ = try? socket.readToEnd()
                    }
                }
                for node in cluster.nodes {
                    #expect(try cluster.askUntilServed(node.id, ["SET", "from-\(node.id)", "x"]) == .ok)
                }
            }
        }
    }
}
