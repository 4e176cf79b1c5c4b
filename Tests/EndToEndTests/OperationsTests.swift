import Foundation
import Testing

extension EndToEnd {
    @Suite struct `what an operator sees` {
        @Test func `a slow write is kept with the time of each stage, counted and logged`() throws {
            try TestCluster.run(settings: ["logging.slow_request=1ms", "logging.format=json"]) { cluster in
                let leader = try #require(try cluster.leader())
                let node = try cluster.node(leader)
                // A write of this size takes over a millisecond on any machine; a few are sent where one would be lucky.
                let value = [UInt8](repeating: 7, count: 4 << 20)
                let isKept = Poll.until(30) {
                    _ = try? HTTPExchange.send("PUT", "/v1/kv/large", port: node.http, body: value)
                    let kept = try? HTTPExchange.send("GET", "/admin/v1/slow-requests", port: node.http)
                    return !((kept?.object["slowRequests"] as? [Any]) ?? []).isEmpty
                }
                #expect(isKept)
                let kept = try HTTPExchange.send("GET", "/admin/v1/slow-requests?limit=1", port: node.http)
                let slow = try #require((kept.object["slowRequests"] as? [[String: Any]])?.first)
                #expect(slow["key"] as? String == "large")
                #expect(slow["operation"] as? String == "put")
                let stages = try #require(slow["stagesUs"] as? [String: Int])
                #expect(Set(stages.keys) == ["queue", "propose", "sync", "replicate", "apply"])
                let total = try #require(slow["totalUs"] as? Int)
                #expect(abs(stages.values.reduce(0, +) - total) < 10)
                let isShown = Poll.until(10) { metric("kv_slow_requests_total", of: node).map { $0 > 0 } ?? false }
                #expect(isShown)
                #expect(Poll.until(10) { cluster.log(leader, bytes: 100_000).contains("slow request") })
            }
        }

        @Test func `a request's id is in its answer and in the log`() throws {
            try TestCluster.run(nodes: 1) { cluster in
                let node = try cluster.node(1)
                let changed = try HTTPExchange.send("PUT", "/admin/v1/log-level?level=debug", port: node.http)
                #expect(changed.status == 200)
                let answer = try HTTPExchange.send(
                    "GET",
                    "/v1/kv/nothing",
                    port: node.http,
                    headers: ["X-Request-Id": "find-me-41"]
                )
                #expect(answer.headers["x-request-id"] == "find-me-41")
                #expect(Poll.until(10) { cluster.log(1).contains("find-me-41") })
                #expect(try HTTPExchange.send("PUT", "/admin/v1/log-level?level=info", port: node.http).status == 200)
                let wrong = try HTTPExchange.send("PUT", "/admin/v1/log-level?level=loud", port: node.http)
                #expect(wrong.status == 400)
                #expect(wrong.text.contains("debug"))
                #expect(try HTTPExchange.send("GET", "/admin/v1/log-level", port: node.http).text.contains("info"))
            }
        }

        @Test func `a probe answers for a node that runs, and says why where none does`() throws {
            try TestCluster.run(nodes: 1) { cluster in
                let node = try cluster.node(1)
                let probe = { (name: String) in
                    try Command.run(Programs.kvnode, ["--config", node.config, "--probe", name])
                }
                #expect(try probe("livez").code == 0)
                #expect(try probe("readyz").code == 0)
                try cluster.script("kill", "1")
                let dead = try probe("livez")
                #expect(dead.code == 1)
                #expect(dead.errors.contains("nothing listens"))
            }
        }

        @Test(.enabled(if: SmallDisk.canBeMade, "only the superuser can mount a small disk"))
        func `a disk that runs full raises an alarm, which clears itself`() throws {
            try TestCluster.run(
                nodes: 1,
                settings: ["log.segment_bytes=1MiB", "log.retain.bytes=2MiB"],
                diskBytes: 48 << 20
            ) { cluster in
                let node = try cluster.node(1)
                let alarm = { metric("kv_alarm{alarm=\"disk_low\"}", of: node) }
                #expect(Poll.until(20) { alarm() == 0 })
                let ballast = node.data + "/ballast"
                #expect(FileManager.default.createFile(atPath: ballast, contents: Data(repeating: 1, count: 41 << 20)))
                #expect(Poll.until(20) { alarm() == 1 })
                #expect(try HTTPExchange.send("GET", "/readyz", port: node.http).text.contains("disk of the data"))
                #expect(try cluster.kvctl("alarm").code == 6)
                // The bound changes while the node runs: below it the alarm is gone, and back again with the old one.
                #expect(try cluster.kvctl("config", "set", "alarms.disk_free", "0B").code == 0)
                let cleared = try cluster.kvctl("alarm", "clear", "--timeout", "30s")
                #expect(cleared.code == 0, "\(cleared.everything)")
                #expect(try cluster.kvctl("config", "set", "alarms.disk_free", "1GiB").code == 0)
                #expect(Poll.until(20) { alarm() == 1 })
                try FileManager.default.removeItem(atPath: ballast)
                #expect(Poll.until(20) { alarm() == 0 })
            }
        }
    }
}

/// A series' value in a node's metrics; nil where it is not there.
private func metric(_ series: String, of node: TestCluster.Node) -> Double? {
    // A node that does not answer shows no series.
    guard let text = try? HTTPExchange.send("GET", "/metrics", port: node.http).text else { return nil }
    let line = text.split(separator: "\n").first { $0.hasPrefix(series + " ") }
    return line.flatMap { $0.split(separator: " ").last }.flatMap { Double($0) }
}
