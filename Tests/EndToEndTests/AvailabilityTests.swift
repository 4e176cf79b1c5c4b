import Foundation
import Testing

extension EndToEnd {
    @Suite struct `availability` {
        @Test func `of five nodes that die one by one a majority serves everything, and fewer only stale reads`() throws
        {
            try TestCluster.run(nodes: 5) { cluster in
                #expect(try cluster.askUntilServed(1, ["SET", "key", "0"]) == .ok)
                try cluster.waitCaughtUp()
                var alive = Set(cluster.nodes.map(\.id))
                for round in 1...2 {
                    let victim = try cluster.killLeader()
                    alive.remove(victim)
                    let one = try #require(alive.min())
                    #expect(try cluster.askUntilServed(one, ["SET", "key", "\(round)"]) == .ok)
                    try cluster.waitCaughtUp(alive.sorted())
                    for id in alive {
                        #expect(try cluster.askUntilServed(id, ["GET", "key"]) == .text("\(round)"), "node \(id)")
                    }
                }
                alive.remove(try cluster.killLeader())
                for _ in 1...2 {
                    for id in alive {
                        let port = try cluster.node(id).resp
                        let began = ContinuousClock.now
                        let answer = try RESPConnection(port: port, within: 20).ask("SET", "key", "never")
                        guard case .error = answer else {
                            Issue.record("node \(id) of \(alive.count) alive answered \(answer)")
                            continue
                        }
                        #expect(ContinuousClock.now - began < .seconds(15))
                        let stale = try HTTPExchange.send(
                            "GET",
                            "/v1/kv/key?consistency=stale",
                            port: cluster.node(id).http
                        )
                        #expect(stale.status == 200 && stale.text == "2", "node \(id): \(stale.status) \(stale.text)")
                    }
                    guard alive.count > 1, let next = alive.max() else { break }
                    try cluster.script("kill", "\(next)")
                    alive.remove(next)
                }
            }
        }
    }
}
