import Foundation
import Testing

extension EndToEnd {
    @Suite(.enabled(if: SmallDisk.canBeMade, "only the superuser can mount a small disk")) struct `a full disk` {
        /// Small files, so that the disk matters soon.
        static let settings = [
            "log.segment_bytes=1MiB", "log.retain.bytes=2MiB", "storage.memtable_bytes=256KiB",
        ]
        static let diskBytes = 24 << 20

        /// Values that were acknowledged, by key.
        struct Acknowledged {
            private(set) var values: [String: [UInt8]] = [:]
            private var next = 0

            /// Writes another value, one that cannot be compressed; returns the answer.
            mutating func write(_ connection: RESPConnection, bytes: Int = 16 << 10) throws -> RESPConnection.Answer {
                next += 1
                let key = "key-\(next)"
                var state = UInt64(next)
                let value = (0..<bytes).map { _ in
                    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                    return UInt8(truncatingIfNeeded: state >> 56)
                }
                let answer = try connection.ask([Array("SET".utf8), Array(key.utf8), value])
                if answer == .ok { values[key] = value }
                return answer
            }

            /// Expects every value, through a node.
            func expect(_ connection: RESPConnection, _ moment: String) throws {
                for (key, value) in values {
                    let answer = try connection.ask("GET", key)
                    #expect(answer == .bulk(value), "\(moment): \(key) is \(answer)")
                }
            }
        }

        /// Writes until the node says that the disk is full.
        ///
        /// Those that were under way at that moment may hear that their outcome is unknown.
        static func writeUntilFull(_ acknowledged: inout Acknowledged, _ port: Int) throws {
            var last = RESPConnection.Answer.none
            let connection = try RESPConnection(port: port, within: 30)
            for _ in 0..<2_000 {
                last = try acknowledged.write(connection)
                if case .error(let text) = last, text.hasPrefix("DISKFULL ") { return }
            }
            Issue.record("no write was refused; the last: \(last)")
        }

        static func alarms(_ node: TestCluster.Node) throws -> String {
            "\(try HTTPExchange.send("GET", "/status", port: node.http).object["alarms"] ?? "")"
        }

        @Test func `refuses writes by name, serves reads, and takes writes again once there is room`() throws {
            try TestCluster.run(nodes: 1, settings: Self.settings, diskBytes: Self.diskBytes) { cluster in
                let node = cluster.nodes[0]
                var acknowledged = Acknowledged()
                let connection = try RESPConnection(port: node.resp, within: 30)
                for _ in 0..<50 { #expect(try acknowledged.write(connection) == .ok) }
                let ballast = try SmallDisk.fill(node.data)
                try Self.writeUntilFull(&acknowledged, node.resp)

                let put = try HTTPExchange.send("PUT", "/v1/kv/k", port: node.http, body: [1])
                #expect(put.status == 507, "\(put.text)")
                #expect(try Self.alarms(node).contains("disk is full"))
                #expect(try HTTPExchange.send("GET", "/livez", port: node.http).status == 200)
                try acknowledged.expect(connection, "while the disk is full")

                try FileManager.default.removeItem(at: ballast)
                #expect(try cluster.askUntilServed(1, ["SET", "after", "room"]) == .ok)
                for _ in 0..<50 { #expect(try acknowledged.write(connection) == .ok) }
                try acknowledged.expect(connection, "after there was room")
                #expect(try Poll.until(30) { try !Self.alarms(node).contains("disk is full") })
                cluster.killAll()
                try cluster.script("start")
                try acknowledged.expect(RESPConnection(port: node.resp, within: 30), "after a restart")
            }
        }

        @Test func `is survived when the data alone fills it, and by a kill meanwhile`() throws {
            try TestCluster.run(nodes: 1, settings: Self.settings, diskBytes: Self.diskBytes) { cluster in
                let node = cluster.nodes[0]
                var acknowledged = Acknowledged()
                let ballast = try SmallDisk.fill(node.data)
                // Some room, for tables too: flushes and compactions meet the end as well.
                truncate(ballast.path, off_t(8 << 20))
                try Self.writeUntilFull(&acknowledged, node.resp)
                cluster.killAll()
                try FileManager.default.removeItem(at: ballast)
                try cluster.script("start")
                try acknowledged.expect(RESPConnection(port: node.resp, within: 30), "after a kill")
                #expect(try cluster.askUntilServed(1, ["SET", "after", "room"]) == .ok)
            }
        }

        @Test func `of one follower leaves the cluster writing, and it catches up once there is room`() throws {
            try TestCluster.run(settings: Self.settings, diskBytes: Self.diskBytes) { cluster in
                let leader = try #require(try cluster.leader())
                let follower = try #require(cluster.nodes.first { $0.id != leader })
                let ballast = try SmallDisk.fill(follower.data)
                var acknowledged = Acknowledged()
                let connection = try RESPConnection(port: cluster.node(leader).resp, within: 30)
                for _ in 0..<300 {
                    let answer = try acknowledged.write(connection)
                    try #require(answer == .ok, "a write with a majority of disks: \(answer)")
                }
                #expect(try Self.alarms(follower).contains("disk is full"))
                try FileManager.default.removeItem(at: ballast)
                try cluster.waitCaughtUp()
                let digest = try cluster.kvctl("digest")
                #expect(digest.code == 0, "\(digest.everything)")
                try acknowledged.expect(RESPConnection(port: follower.resp, within: 30), "from the follower")
            }
        }

        @Test func `of the leader refuses writes by name through every node, and loses nothing`() throws {
            try TestCluster.run(settings: Self.settings, diskBytes: Self.diskBytes) { cluster in
                let leader = try #require(try cluster.leader())
                let other = try #require(cluster.nodes.first { $0.id != leader })
                var acknowledged = Acknowledged()
                let ballast = try SmallDisk.fill(cluster.node(leader).data)
                try Self.writeUntilFull(&acknowledged, other.resp)
                try acknowledged.expect(RESPConnection(port: other.resp, within: 30), "while the disk is full")
                try FileManager.default.removeItem(at: ballast)
                #expect(try cluster.askUntilServed(other.id, ["SET", "after", "room"]) == .ok)
                try cluster.waitCaughtUp()
                for node in cluster.nodes {
                    try acknowledged.expect(RESPConnection(port: node.resp, within: 30), "node \(node.id)")
                }
            }
        }
    }
}
