import Foundation
import Synchronization
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

        @Test func `that many writers fill takes writes again when it grows, without a restart, and lost nothing`()
            throws
        {
            try TestCluster.run(nodes: 1, settings: Self.settings, diskBytes: Self.diskBytes) { cluster in
                let node = cluster.nodes[0]
                let writers = (0..<8).map { Writer(port: node.resp, prefix: "w\($0)") }
                // Each goes on until it was refused by name.
                let areRefused = Poll.until(90) { writers.allSatisfy { $0.refusals > 0 } }
                #expect(areRefused, "\(writers.map(\.last))")
                #expect(try Self.alarms(node).contains("disk is full"))
                let reader = try RESPConnection(port: node.resp, within: 30)
                for writer in writers {
                    for (key, bytes) in writer.acknowledged.prefix(20) {
                        #expect(
                            try reader.ask("GET", key) == .bulk(Writer.value(bytes)),
                            "\(key) while the disk is full"
                        )
                    }
                }
                let before = writers.map(\.acknowledged.count)
                try SmallDisk.grow(node.data, to: 4 * Self.diskBytes)
                let areServed = Poll.until(60) {
                    zip(writers, before).allSatisfy { $0.acknowledged.count > $1 + 10 }
                }
                #expect(areServed, "\(writers.map(\.last))")
                for writer in writers { writer.stop() }
                for writer in writers {
                    #expect(writer.wrong.isEmpty, "\(writer.wrong.first ?? "")")
                    for (key, bytes) in writer.acknowledged {
                        #expect(try reader.ask("GET", key) == .bulk(Writer.value(bytes)), "\(key)")
                    }
                }
                #expect(try HTTPExchange.send("GET", "/livez", port: node.http).status == 200)
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

/// A client that writes one new key after the other, until it is told to end.
private final class Writer: Sendable {
    private struct State {
        var isStopped = false
        /// The seed of each value that was acknowledged, by key.
        var acknowledged: [String: Int] = [:]
        var refusals = 0
        var last = ""
        var wrong: [String] = []
    }

    private let state = Mutex(State())
    private let ended = DispatchSemaphore(value: 0)

    init(port: Int, prefix: String) {
        Thread.detachNewThread { self.run(port, prefix) }
    }

    var acknowledged: [String: Int] { state.withLock(\.acknowledged) }
    /// How often a write was refused because the disk is full.
    var refusals: Int { state.withLock(\.refusals) }
    var last: String { state.withLock(\.last) }
    /// Answers that no write may get.
    var wrong: [String] { state.withLock(\.wrong) }

    func stop() {
        state.withLock { $0.isStopped = true }
        ended.wait()
    }

    /// Eight kilobytes that cannot be compressed.
    static func value(_ seed: Int) -> [UInt8] {
        var state = UInt64(seed)
        return (0..<(8 << 10)).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: state >> 56)
        }
    }

    private func run(_ port: Int, _ prefix: String) {
        defer { ended.signal() }
        var number = 0
        do {
            let connection = try RESPConnection(port: port, within: 30)
            while !state.withLock(\.isStopped) {
                number += 1
                let (key, seed) = ("\(prefix)-\(number)", number &* 31 &+ prefix.hashValue & 0xffff)
                let answer = try connection.ask([Array("SET".utf8), Array(key.utf8), Self.value(seed)])
                state.withLock { state in
                    state.last = "\(answer)"
                    switch answer {
                    case .ok: state.acknowledged[key] = seed
                    // Those that were under way at that moment may not know.
                    case .error(let text) where text.hasPrefix("DISKFULL ") || text.hasPrefix("UNKNOWN "):
                        state.refusals += 1
                    case .error(let text) where text.hasPrefix("OVERLOADED ") || text.hasPrefix("TRYAGAIN "): break
                    default: state.wrong.append("\(key): \(answer)")
                    }
                }
                // One that is refused asks again a little later, as clients do.
                if answer != .ok { usleep(20_000) }
            }
        } catch {
            state.withLock { $0.wrong.append("\(error)") }
        }
    }
}
