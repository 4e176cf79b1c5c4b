import Foundation
import Testing

@testable import KVPeer

extension EndToEnd {
    /// The rows of docs/threat-model.md that need a whole node: what an attacker may cost it in memory and descriptors, and that it
    /// serves others meanwhile.
    ///
    /// Bounds are for a debug build, several times what was measured, and far below what no bound at all would give.
    @Suite struct `who means harm` {
        private static let quick = [
            "resp.idle_timeout=4s", "resp.command_timeout=2s", "resp.write_timeout=2s", "http.idle_timeout=4s",
            "http.body_timeout=2s", "http.write_timeout=2s", "grpc.idle_timeout=4s", "grpc.message_timeout=2s",
            "grpc.write_timeout=2s",
        ]

        /// Waits until the node has let go of all but a few descriptors more than before.
        private func expectLetGo(_ cluster: TestCluster, _ before: ProcessReading, within seconds: Double) throws {
            let isFree = try Poll.until(seconds) { try cluster.reading(1).descriptors <= before.descriptors + 10 }
            let now = try cluster.reading(1)
            #expect(isFree, "before \(before), now \(now)")
        }

        @Test func `ten thousand connections that say nothing or half a word hold little and are let go`() throws {
            // Long enough for all to be there at once, on a machine that others use.
            let limits = ["resp.idle_timeout", "resp.command_timeout", "http.idle_timeout", "grpc.idle_timeout"]
            let settings =
                limits.map { "\($0)=\($0.hasPrefix("grpc") ? 30 : 12)s" } + ["limits.connections=10000"]
            try TestCluster.run(nodes: 1, settings: settings) { cluster in
                let node = cluster.nodes[0]
                let friend = try RESPConnection(port: node.resp, within: 20)
                #expect(try friend.ask("SET", "k", "v") == .ok)
                for (name, port, half, bound) in [
                    ("resp", node.resp, "*2\r\n$3\r\nGE", 300 << 20),
                    ("http", node.http, "GET /v1/kv/k HTTP/1.1\r\nHost: x\r\nX-Sl", 700 << 20),
                    ("grpc", node.grpc, "PRI * HTTP/2.0\r\n\r\nS", 900 << 20),
                ] {
                    let before = try cluster.reading(1)
                    let crowd = ConnectionCrowd(10_000, port: port) { $0.isMultiple(of: 2) ? Array(half.utf8) : [] }
                    #expect(crowd.count == 10_000, "\(name)")
                    // All that are within the bound were taken; the rest was told so, or waits in the listen queue.
                    _ = try Poll.until(10) { try cluster.reading(1).descriptors > before.descriptors + 9_000 }
                    let during = try cluster.reading(1)
                    #expect(during.descriptors <= before.descriptors + 10_050, "\(name): \(during)")
                    #expect(during.residentBytes - before.residentBytes < bound, "\(name): \(before), then \(during)")
                    // Who was there before is served.
                    #expect(try reconnected(friend, port: node.resp).ask("PING") == .simple("PONG"))
                    print("\(name): \(before), with \(crowd.count) connections \(during)")
                    try expectLetGo(cluster, before, within: 90)
                    #expect(crowd.answeredCount >= 9_000, "\(name)")
                }
                #expect(try RESPConnection(port: node.resp, within: 20).ask("GET", "k") == .text("v"))
                #expect(try HTTPExchange.send("GET", "/v1/kv/k", port: node.http).text == "v")
            }
        }

        @Test func `one connection more than there may be is told so, and the port for nodes takes few strangers`()
            throws
        {
            try TestCluster.run(nodes: 1, settings: Self.quick + ["limits.connections=50"]) { cluster in
                let node = cluster.nodes[0]
                let before = try cluster.reading(1)
                let crowd = ConnectionCrowd(50, port: node.resp)
                #expect(
                    Poll.until(10) {
                        (try? RESPConnection(port: node.resp).answer()) == .error("ERR max number of clients reached")
                    }
                )
                #expect(crowd.answeredCount == 0)
                // Nobody here is a node: half of a greeting, or none.
                let strangers = ConnectionCrowd(2_000, port: node.peer) {
                    $0.isMultiple(of: 2) ? Array(PeerFrameFormat.magic.prefix(3)) : []
                }
                #expect(try cluster.reading(1).descriptors <= before.descriptors + 50 + 300)
                #expect(Poll.until(20) { strangers.answeredCount == strangers.count })
                #expect(try HTTPExchange.send("GET", "/readyz", port: node.http).status == 200)
                try expectLetGo(cluster, before, within: 20)
            }
        }

        @Test func `a byte now and then does not keep a connection, on any listener`() throws {
            try TestCluster.run(nodes: 1, settings: Self.quick + ["http.idle_timeout=2s"]) { cluster in
                let node = cluster.nodes[0]
                let value = String(repeating: "v", count: 4_000)
                let slow: [(String, Int, [UInt8])] = [
                    ("resp", node.resp, Array("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4000\r\n\(value)".utf8)),
                    ("inline", node.resp, Array("SET k \(value)".utf8)),
                    ("http head", node.http, Array("GET /v1/kv/k HTTP/1.1\r\nHost: x\r\nX-Slow: \(value)".utf8)),
                    (
                        "http body", node.http,
                        Array("PUT /v1/kv/k HTTP/1.1\r\nHost: x\r\nContent-Length: 4000\r\n\r\n\(value)".utf8)
                    ),
                    (
                        "http chunks", node.http,
                        Array(
                            "PUT /v1/kv/k HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfa0\r\n\(value)".utf8
                        )
                    ),
                    (
                        "grpc", node.grpc,
                        Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + [UInt8](repeating: 0, count: 4_000)
                    ),
                    ("peer", node.peer, PeerFrameFormat.magic + [UInt8](repeating: 1, count: 4_000)),
                ]
                // All at the same time, each a byte every 50 ms: 200 s for the whole.
                let sockets = try slow.map { try Socket(port: $0.1, within: 1) }
                var closedAt: [Int: ContinuousClock.Instant] = [:]
                let start = ContinuousClock.now
                var place = 0
                while closedAt.count < slow.count, ContinuousClock.now - start < .seconds(15) {
                    for (number, socket) in sockets.enumerated() where closedAt[number] == nil {
                        guard place < slow[number].2.count else { continue }
                        let isOpen = (try? socket.send([slow[number].2[place]])) != nil && !socket.isClosedByOther
                        if !isOpen { closedAt[number] = .now }
                    }
                    place += 1
                    usleep(50_000)
                }
                for (number, (name, _, _)) in slow.enumerated() {
                    #expect(closedAt[number] != nil, "\(name) is still open after \(place) bytes")
                }
                #expect(try RESPConnection(port: node.resp).ask("EXISTS", "k") == .number(0))
            }
        }

        @Test func `a declared length of a gigabyte is refused at once and nothing is set aside for it`() throws {
            try TestCluster.run(nodes: 1, settings: Self.quick) { cluster in
                let node = cluster.nodes[0]
                let before = try cluster.reading(1)
                let declared: [(String, Int, String, String)] = [
                    ("value", node.resp, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1073741824\r\n", "-ERR Protocol error"),
                    ("arguments", node.resp, "*1073741824\r\n", "-ERR Protocol error"),
                    (
                        "body", node.http, "PUT /v1/kv/k HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\n",
                        "HTTP/1.1 413"
                    ),
                    (
                        "expected body", node.http,
                        "PUT /v1/kv/k HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1073741824\r\n\r\n",
                        "HTTP/1.1 413"
                    ),
                    (
                        "batch", node.http, "POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\n",
                        "HTTP/1.1 413"
                    ),
                    (
                        "administration", node.http,
                        "POST /admin/v1/members HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\n",
                        "HTTP/1.1 413"
                    ),
                ]
                for (name, port, text, answer) in declared {
                    for _ in 0..<20 {
                        let socket = try Socket(port: port, within: 10)
                        try socket.send(Array(text.utf8))
                        let line = String(decoding: try socket.readLine(), as: UTF8.self)
                        #expect(line.hasPrefix(answer), "\(name): \(line)")
                    }
                }
                // A frame between nodes: the greeting, then a length of a gigabyte.
                for _ in 0..<20 {
                    let socket = try Socket(port: node.peer, within: 10)
                    try socket.send(PeerFrameFormat.magic + [0, 0, 0, 64, 0, 0, 0, 64])
                    #expect((try? socket.readToEnd())?.count ?? 0 < 4_096)
                }
                // Chunks that never end are cut off past the limit of a value.
                let socket = try Socket(port: node.http, within: 10)
                try socket.send(Array("PUT /v1/kv/k HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".utf8))
                let chunk = Array("100000\r\n".utf8) + [UInt8](repeating: 0x76, count: 1 << 20) + Array("\r\n".utf8)
                for _ in 0..<64 { guard (try? socket.send(chunk)) != nil else { break } }
                let line = (try? socket.readLine()).map { String(decoding: $0, as: UTF8.self) }
                #expect(line?.hasPrefix("HTTP/1.1 413") ?? true, "\(line ?? "")")
                let after = try cluster.reading(1)
                print("declared lengths: \(before), then \(after)")
                #expect(after.residentBytes - before.residentBytes < 100 << 20, "\(before), then \(after)")
                #expect(try RESPConnection(port: node.resp).ask("EXISTS", "k") == .number(0))
            }
        }

        @Test func `answers that nobody reads fill a bound and no more, and end the connection`() throws {
            try TestCluster.run(nodes: 1, settings: Self.quick) { cluster in
                let node = cluster.nodes[0]
                let friend = try RESPConnection(port: node.resp, within: 20)
                #expect(
                    try friend.ask([Array("SET".utf8), Array("big".utf8), [UInt8](repeating: 1, count: 256 << 10)])
                        == .ok
                )
                let before = try cluster.reading(1)
                let asked: [(String, Int, String)] = [
                    ("resp", node.resp, "*2\r\n$3\r\nGET\r\n$3\r\nbig\r\n"),
                    ("http", node.http, "GET /v1/kv/big HTTP/1.1\r\nHost: x\r\n\r\n"),
                ]
                for (name, port, request) in asked {
                    let sockets = try (0..<4).map { _ in try Socket(port: port, within: 1) }
                    let burst = Array(String(repeating: request, count: 2_000).utf8)
                    // 500 MB of answers are asked for by each, until it cannot send any more.
                    for socket in sockets { try? socket.send(burst) }
                    var most = try cluster.reading(1).residentBytes
                    let isOver = try Poll.until(20) {
                        most = max(most, try cluster.reading(1).residentBytes)
                        return try cluster.reading(1).descriptors <= before.descriptors
                    }
                    let now = try cluster.reading(1)
                    #expect(isOver, "\(name): \(now)")
                    print("\(name): \(before), at most \(most >> 20) MiB")
                    #expect(most - before.residentBytes < 1_200 << 20, "\(name): \(before), then \(most >> 20) MiB")
                    #expect(try RESPConnection(port: node.resp, within: 20).ask("PING") == .simple("PONG"))
                    withExtendedLifetime(sockets) {}
                }
            }
        }
    }
}

/// The connection, or another where it was idle for too long meanwhile.
private func reconnected(_ friend: RESPConnection, port: Int) throws -> RESPConnection {
    if (try? friend.ask("PING")) == .simple("PONG") { return friend }
    return try RESPConnection(port: port, within: 20)
}
