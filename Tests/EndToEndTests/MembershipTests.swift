import Foundation
import Testing

extension EndToEnd {
    @Suite struct `members that come and go` {
        /// Starts a node without data and adds it; returns when it votes.
        private func add(_ id: Int, _ cluster: TestCluster) throws {
            let address = try cluster.join(id)
            let added = try cluster.kvctl("member", "add", "\(id)", address, "--wait", "--wait-timeout", "50s")
            try #require(added.code == 0, "\(added.everything)\n\(cluster.log(id))")
        }

        /// Waits until a node's process has ended, or says that it was removed.
        private func expectRemoved(_ id: Int, _ cluster: TestCluster) throws {
            #expect(Poll.until(20) { cluster.log(id, bytes: 100_000).contains("was removed from the cluster") })
        }

        private func expect(_ written: [String: String], at ids: [Int], _ cluster: TestCluster) throws {
            for id in ids {
                let connection = try RESPConnection(port: cluster.node(id).resp)
                for (key, value) in written {
                    try #require(try connection.ask("GET", key) == .text(value), "\(key) at node \(id)")
                }
            }
        }

        private func voters(_ cluster: TestCluster) throws -> [String] {
            struct Envelope: Decodable {
                struct Body: Decodable {
                    let members: [Member]
                }
                struct Member: Decodable {
                    let id: String
                    let role: String
                    let state: String
                }
                let data: Body
            }
            let listed = try cluster.kvctl("member", "list", "-o", "json")
            try #require(listed.code == 0, "\(listed.everything)")
            let members = try JSONDecoder().decode(Envelope.self, from: Data(listed.output)).data.members
            return members.filter { $0.role == "voter" && $0.state == "steady" }.map(\.id)
        }

        @Test func `a cluster grows from one to three to five and shrinks to three under load, and no request fails`()
            throws
        {
            try TestCluster.run(nodes: 1) { cluster in
                let ports = { (ids: [Int]) in try ids.map { try cluster.node($0).resp } }
                let load = Load(ports: try ports([1]))
                for id in 2...5 { try add(id, cluster) }
                #expect(try voters(cluster) == ["1", "2", "3", "4", "5"])
                load.move(to: try ports([2, 3, 5]))
                // The first of all, which leads or did.
                for id in [1, 4] {
                    let removed = try cluster.kvctl("member", "remove", "\(id)", "--wait", "--wait-timeout", "50s")
                    try #require(removed.code == 0, "\(removed.everything)")
                    try expectRemoved(id, cluster)
                }
                #expect(try voters(cluster) == ["2", "3", "5"])
                let written = load.stop()
                #expect(load.failures == [])
                #expect(load.requests > 500)

                // Who was removed and still runs, the first of the endpoints, says so at once and is passed over.
                let gone = try RESPConnection(port: cluster.node(1).resp)
                for words in [["GET", "a"], ["SET", "a", "b"]] {
                    guard case .error(let text) = try gone.ask(words.map { Array($0.utf8) }) else {
                        Issue.record("a removed node answers \(words)")
                        continue
                    }
                    #expect(text.contains("node 1 was removed from the cluster; ask another"), "\(text)")
                }
                let alone = try cluster.kvctl("member", "list", node: 1)
                #expect(alone.code == 1 && alone.everything.contains("ask another"), "\(alone.everything)")
                let status = try cluster.kvctl("status")
                #expect(status.code == 0, "\(status.everything)")
                let snapshot = try cluster.kvctl("snapshot", "save", cluster.folder.file("backup").path, "--from", "1")
                #expect(snapshot.code == 1 && snapshot.everything.contains("ask another"), "\(snapshot.everything)")
                try expect(written, at: [2, 3, 5], cluster)

                // Who was removed stays away and says why.
                try cluster.script("kill", "4")
                let again = try cluster.tryScript("start", "4")
                #expect(again.code != 0)
                #expect(again.everything.contains("removed"), "\(again.everything)")
                // A start of all goes on without those that were removed.
                let all = try cluster.tryScript("start")
                #expect(all.code == 0, "\(all.everything)")
                for id in [1, 4] {
                    #expect(all.errors.contains("node \(id) was removed from the cluster"), "\(all.everything)")
                }
                #expect(
                    all.text.components(separatedBy: "\n").filter { $0.hasPrefix("node") }.count == 3,
                    "\(all.text)"
                )
                // Its endpoint is nobody's now.
                let without = try cluster.kvctl("status")
                #expect(without.code == 0 && without.text.contains("belongs to no member"), "\(without.everything)")
            }
        }

        @Test func `a killed node is replaced by another host, and one that lost its data by itself`() throws {
            try TestCluster.run { cluster in
                let load = Load(ports: [try cluster.node(1).resp])
                try cluster.script("kill", "3")
                let address = try cluster.join(4)
                let other = try cluster.kvctl("member", "replace", "3", "4", address, "--wait", "--wait-timeout", "50s")
                try #require(other.code == 0, "\(other.everything)\n\(cluster.log(4))")
                #expect(try voters(cluster) == ["1", "2", "4"])
                let again = try cluster.kvctl("member", "replace", "3", "4", "--wait")
                #expect(again.code == 0 && again.text.contains("it is so already"), "\(again.everything)")

                try cluster.script("kill", "2")
                let same = try cluster.join(2)
                // It waits to be let in, rather than to vote as if it had its log.
                #expect(Poll.until(20) { cluster.log(2, bytes: 100_000).contains("waiting to join") })
                let itself = try cluster.kvctl("member", "replace", "2", "2", same, "--wait", "--wait-timeout", "50s")
                try #require(itself.code == 0, "\(itself.everything)\n\(cluster.log(2))")
                #expect(try voters(cluster) == ["1", "2", "4"])
                let written = load.stop()
                try expect(written, at: [1, 2, 4], cluster)

                // The new ones carry the cluster without the last of the old.
                try cluster.script("kill", "1")
                #expect(try cluster.askUntilServed(4, ["SET", "after", "all"]) == .ok)
                #expect(try cluster.askUntilServed(2, ["GET", "after"]) == .text("all"))
                // A restart of one that joined needs nothing but its data.
                try cluster.script("kill", "4")
                try cluster.script("start", "4")
                #expect(try cluster.askUntilServed(2, ["GET", "after"]) == .text("all"))
            }
        }

        @Test func `the leader is stopped gracefully again and again, and no request through the others fails`() throws
        {
            try TestCluster.run { cluster in
                let all = [1, 2, 3]
                let load = Load(ports: try all.map { try cluster.node($0).resp })
                for _ in 0..<3 {
                    let leader = try #require(try cluster.leader())
                    load.move(to: try all.filter { $0 != leader }.map { try cluster.node($0).resp })
                    let stopped = try cluster.kvctl("member", "stop", "\(leader)")
                    try #require(stopped.code == 0, "\(stopped.everything)")
                    #expect(Poll.until(20) { cluster.log(leader).contains("stopped") })
                    try cluster.script("stop", "\(leader)")
                    try cluster.script("start", "\(leader)")
                    try cluster.waitCaughtUp([leader])
                }
                let moved = try cluster.kvctl("member", "transfer-leader", "--to", "2")
                #expect(moved.code == 0, "\(moved.everything)")
                let written = load.stop()
                #expect(load.failures == [])
                #expect(load.requests > 200)
                try expect(written, at: all, cluster)
            }
        }

        @Test func `a node whose majority is lost for good goes on alone, and the cluster grows again from it`() throws
        {
            try TestCluster.run { cluster in
                let keys = (0..<100).map { "key-\($0)" }
                let connection = try RESPConnection(port: cluster.node(1).resp)
                for key in keys { try #require(try connection.ask("SET", key, "of \(key)") == .ok) }
                try cluster.waitCaughtUp()
                cluster.killAll()
                let config = try cluster.node(1).config
                let shown = try Command.run(Programs.kvctl, ["recover", "--config", config])
                #expect(shown.code == 0, "\(shown.everything)")
                #expect(shown.text.contains("voters are on nodes 1, 2, 3"), "\(shown.everything)")
                let recovered = try Command.run(
                    Programs.kvctl,
                    ["recover", "--config", config, "--accept-data-loss"]
                )
                try #require(recovered.code == 0, "\(recovered.everything)")
                try cluster.script("start", "1")
                for key in keys { #expect(try cluster.askUntilServed(1, ["GET", key]) == .text("of \(key)")) }

                // What is left of the others is of another cluster now.
                let left = try cluster.tryScript("start", "2", "--timeout", "3")
                #expect(left.code != 0)
                // A process that is left of the old cluster would tell a new host of that one.
                try cluster.script("kill", "2")
                #expect(try cluster.askUntilServed(1, ["SET", "alone", "yes"]) == .ok)
                for id in [2, 3] {
                    let removed = try cluster.kvctl("member", "remove", "\(id)", "--wait", "--wait-timeout", "30s")
                    try #require(removed.code == 0, "\(removed.everything)")
                }
                try add(4, cluster)
                #expect(try voters(cluster) == ["1", "4"])
                #expect(try cluster.askUntilServed(4, ["GET", "alone"]) == .text("yes"))
            }
        }

        @Test func `what is unknown, comes second or would lose a majority is refused with the numbers`() throws {
            try TestCluster.run { cluster in
                let unknown = try cluster.kvctl("member", "remove", "9")
                #expect(unknown.code == 5)
                #expect(unknown.everything.contains("members are 1, 2, 3"), "\(unknown.everything)")
                #expect(try cluster.kvctl("member", "add", "2", "127.0.0.1:1").code == 5)
                #expect(try cluster.kvctl("member", "add", "7", "nowhere").code == 2)
                #expect(try cluster.kvctl("member", "remove", "").code == 2)
                let same = try cluster.kvctl("member", "add", "1", "127.0.0.1:\(cluster.node(1).peer)")
                #expect(same.code == 0 && same.text.contains("it is so already"), "\(same.everything)")
                let voter = try cluster.kvctl("member", "promote", "1", "--wait")
                #expect(voter.code == 0 && voter.text.contains("it is so already"), "\(voter.everything)")
                let group = try cluster.kvctl("member", "transfer-leader", "--group", "77", "--to", "3")
                #expect(group.code == 5 && group.everything.contains("groups are 0, 1"), "\(group.everything)")

                try #require(try cluster.kvctl("member", "add", "7", "127.0.0.1:1").code == 0)
                let second = try cluster.kvctl("member", "remove", "3")
                #expect(second.code == 5)
                #expect(second.everything.contains("one at a time"), "\(second.everything)")
                try #require(try cluster.kvctl("member", "remove", "7", "--wait").code == 0)

                try cluster.script("kill", "3")
                #expect(
                    Poll.until(20) {
                        // It takes a moment until the others know that it is gone.
                        (try? cluster.kvctl("member", "remove", "2", "-o", "json"))?.everything.contains(
                            "a majority is 2"
                        )
                            == true
                    }
                )
                #expect(try voters(cluster) == ["1", "2", "3"])
                // The dead one may go.
                let dead = try cluster.kvctl("member", "remove", "3", "--wait")
                #expect(dead.code == 0, "\(dead.everything)")
                let two = try cluster.kvctl("member", "stop", "2")
                #expect(two.code == 5)
                #expect(two.everything.contains("a majority is 2"), "\(two.everything)")
                #expect(try voters(cluster) == ["1", "2"])

                // Without a majority everybody says so.
                let leader = try cluster.killLeader()
                #expect(
                    Poll.until(20) {
                        (try? cluster.kvctl("member", "promote", "1", "--timeout", "500ms"))?.everything.contains(
                            "reaches 1 of 2 voters (\(3 - leader)), a majority is 2"
                        ) == true
                    }
                )
                let added = try cluster.kvctl("member", "add", "8", "127.0.0.1:1", "--timeout", "500ms")
                #expect(added.code == 1 && added.everything.contains("1 of 2 voters"), "\(added.everything)")
                let moved = try cluster.kvctl("member", "transfer-leader", "--to", "\(leader)")
                #expect(moved.code == 1 && moved.everything.contains("has no leader"), "\(moved.everything)")
                let stopped = try cluster.kvctl("member", "stop", "\(3 - leader)")
                #expect(stopped.code == 5, "\(stopped.everything)")
                #expect(stopped.everything.contains("1 (\(3 - leader)) can be reached now"), "\(stopped.everything)")
            }
        }
    }
}
