import Foundation
import Testing

extension EndToEnd {
    /// `sstdump` and `walreplay` on the files of real nodes.
    @Suite(.enabled(if: Programs.toolsExist, "sstdump and walreplay are not built; `make test` builds them"))
    struct `the offline tools` {
        static let settings = [
            "log.segment_bytes=1MiB", "log.retain.bytes=2MiB", "storage.memtable_bytes=256KiB", "cluster.shards=4",
        ]

        /// A row of an export, of `kvctl` or of `sstdump`, as bytes.
        struct Row: Hashable {
            let key: [UInt8]
            let value: [UInt8]
        }

        /// What `kvctl export` says that the cluster holds.
        static func exported(_ cluster: TestCluster) throws -> Set<Row> {
            let command = try cluster.kvctl("export")
            try #require(command.code == 0, "\(command.everything)")
            func bytes(_ row: [String: Any], _ name: String) throws -> [UInt8] {
                if let text = row[name] as? String { return Array(text.utf8) }
                let encoded = try #require(row[name + "64"] as? String)
                return Array(try #require(Data(base64Encoded: encoded)))
            }
            return Set(
                try command.text.split(separator: "\n").map { line in
                    let row = try Self.object(line)
                    return Row(key: try bytes(row, "key"), value: try bytes(row, "value"))
                }
            )
        }

        /// What a reader of these tablets would see, by `sstdump`.
        static func seen(_ tablets: String) throws -> Set<Row> {
            let command = try Command.run(
                Programs.sstdump,
                ["entries", tablets, "--visible", "--values", "-o", "json"]
            )
            try #require(command.code == 0, "\(command.everything)")
            func bytes(_ cell: Any?) throws -> [UInt8] {
                let encoded = try #require((cell as? [String: Any])?["base64"] as? String)
                return Array(try #require(Data(base64Encoded: encoded)))
            }
            return Set(
                try command.text.split(separator: "\n").compactMap { line in
                    let row = try Self.object(line)
                    // What the system keeps for itself is no user's.
                    guard row["type"] as? String == "entry", row["system"] == nil else { return nil }
                    return Row(key: try bytes(row["key"]), value: try bytes(row["value"]))
                }
            )
        }

        static func object(_ line: Substring) throws -> [String: Any] {
            let object = try JSONSerialization.jsonObject(with: Data(line.utf8))
            return try #require(object as? [String: Any])
        }

        /// Writes through every node: new keys, old ones again, deletions, bytes of every kind, values that do not compress.
        static func fill(_ cluster: TestCluster, from first: Int = 0, keys: Int = 600) throws {
            let connections = try cluster.nodes.map { try RESPConnection(port: $0.resp, within: 30) }
            for number in first..<(first + keys) {
                var state = UInt64(number)
                let value = (0..<(number % 3_000)).map { _ in
                    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                    return UInt8(truncatingIfNeeded: state >> 56)
                }
                let key =
                    number % 10 == 0
                    ? [0, UInt8(number >> 8), 0xff, UInt8(number & 255), 10] : Array("key-\(number % 400)".utf8)
                let connection = connections[number % connections.count]
                #expect(try connection.ask([Array("SET".utf8), key, value]) == .ok)
                if number % 7 == 0 { _ = try connection.ask("DEL", "key-\((number * 3) % 400)") }
            }
        }

        @Test func `replay a copied node to what the cluster exports, running and stopped`() throws {
            try TestCluster.run(settings: Self.settings) { cluster in
                try Self.fill(cluster)
                try cluster.waitCaughtUp()
                let expected = try Self.exported(cluster)
                #expect(expected.count > 300)
                // The last commit is in the log once the group is at rest.
                let id = try #require(try cluster.leader())
                let leader = try cluster.node(id)
                var copies = 0
                let isReached = try Poll.until(10) {
                    copies += 1
                    let copy = cluster.folder.file("copy-\(copies)").path
                    try FileManager.default.copyItem(atPath: leader.data, toPath: copy)
                    return try Self.replayed(copy, into: copy + "-tablets") == expected
                }
                #expect(isReached, "a copy of the running leader never held what the cluster exports")
                try cluster.script("stop")
                for node in cluster.nodes {
                    let tablets = cluster.folder.file("stopped-\(node.id)").path
                    #expect(try Self.replayed(node.data, into: tablets) == expected, "node \(node.id)")
                }
                try cluster.script("start")
                #expect(try Self.exported(cluster) == expected, "what the tools looked at is as it was")
            }
        }

        static func replayed(_ data: String, into tablets: String) throws -> Set<Row> {
            let command = try Command.run(Programs.walreplay, ["replay", data, "--into", tablets])
            try #require(command.code == 0, "\(command.everything)")
            return try Self.seen(tablets)
        }

        @Test func `name every damaged byte of a stopped and of a killed node, which serves what is right or refuses`()
            throws
        {
            var environment = ["KVNODE": Programs.kvnode, "KVCTL": Programs.kvctl]
            environment["SSTDUMP"] = Programs.sstdump
            environment["WALREPLAY"] = Programs.walreplay
            let command = try Command.run(
                Programs.root.appending(path: "scripts/damage-sweep").path,
                ["--both", "--samples", "9"],
                environment: environment,
                within: 180
            )
            #expect(command.code == 0, "\(command.everything)")
            for kind in ["segment", "table", "MANIFEST of a tablet", "MANIFEST of a group", "CURRENT", "node.yaml"] {
                #expect(command.text.contains("stopped, \(kind): 9 flips, 9 named"), "\(kind): \(command.text)")
            }
        }

        @Test func `refuse a node whose log lost its end`() throws {
            let settings = [
                "log.segment_bytes=1MiB", "log.retain.bytes=16MiB", "storage.memtable_bytes=64KiB", "cluster.shards=2",
            ]
            try TestCluster.run(nodes: 1, settings: settings) { cluster in
                try Self.fill(cluster, keys: 3_000)
                try cluster.script("stop")
                let node = cluster.nodes[0]
                let log = URL(filePath: node.data).appending(path: "log")
                let segments = try FileManager.default.contentsOfDirectory(atPath: log.path).sorted()
                try #require(segments.count > 2)
                for name in segments.suffix(2) { try FileManager.default.removeItem(at: log.appending(path: name)) }
                let verify = try Command.run(Programs.walreplay, ["verify", node.data])
                #expect(verify.code == 9, "\(verify.everything)")
                let start = try Command.run(Programs.kvnode, ["--config", node.config], within: 30)
                #expect(start.code > 0, "\(start.everything)")
                #expect((start.errors + start.text).contains(log.path), "\(start.everything)")
            }
        }
    }
}
