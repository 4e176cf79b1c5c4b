import Foundation
import Testing

extension EndToEnd {
    @Suite struct `the load generator` {
        @Test func `loads a cluster in both loops and nothing fails`() throws {
            try TestCluster.run { cluster in
                let endpoints = cluster.nodes.map { "127.0.0.1:\($0.resp)" }.joined(separator: ",")
                let load = ["cluster", "--endpoints", endpoints, "--keys", "500", "--requests", "2000", "--json"]
                for more in [["--fill", "--connections", "8"], ["--rate", "500", "--mix", "put=4,get=5,delete=1"]] {
                    let run = try Command.run(Programs.kvbench, load + more)
                    try #require(run.code == 0, "\(run.everything)")
                    let report = try #require(
                        try JSONSerialization.jsonObject(with: Data(run.output)) as? [String: Any]
                    )
                    #expect(report["operations"] as? Int == 2_000)
                    #expect(report["failed"] as? Int == 0)
                    #expect(report["unsent"] as? Int == 0)
                }
            }
        }

        @Test func `measures a killed leader and finds nothing lost`() throws {
            try TestCluster.run { cluster in
                let endpoints = cluster.nodes.map { "127.0.0.1:\($0.resp)" }.joined(separator: ",")
                let script = "KVNODE='\(Programs.kvnode)' '\(Programs.cluster)'"
                let place = "--dir '\(cluster.folder.url.path)'"
                let run = try Command.run(
                    Programs.kvbench,
                    [
                        "failover", "--endpoints", endpoints, "--rounds", "2", "--rate", "200", "--settle", "0.5",
                        "--observe", "0.5", "--json", "--command", "\(script) kill leader \(place)",
                        "--restore", "\(script) start \(place)",
                    ],
                    within: 180
                )
                try #require(run.code == 0, "\(run.everything)")
                let report = try #require(try JSONSerialization.jsonObject(with: Data(run.output)) as? [String: Any])
                #expect((report["acknowledged"] as? Int ?? 0) > 100)
                #expect(report["lost"] as? Int == 0)
                #expect(report["duplicated"] as? Int == 0)
                #expect((report["rounds"] as? [Any])?.count == 2)
            }
        }
    }
}
