import Foundation
import KVHistoryClient
import KVLinearizability
import Testing

extension EndToEnd {
    @Suite struct `recorded histories of real processes` {
        typealias Recorder = HistoryClient.Recorder

        /// Records until `count` further operations were answered.
        static func record(_ recorder: Recorder, _ count: Int, within seconds: Double = 60) throws {
            let before = recorder.operations.count { $0.completedAt != nil }
            let isReached = Poll.until(seconds) {
                usleep(50_000)
                return recorder.operations.count { $0.completedAt != nil } >= before + count
            }
            try #require(isReached, "fewer than \(count) operations were answered within \(seconds) s")
        }

        static func judge(_ recorder: Recorder, successesMin: Int) {
            let history = recorder.operations
            let successes = history.count { $0.completedAt != nil }
            let reads = history.count { $0.call == .get && $0.completedAt != nil }
            #expect(successes >= successesMin)
            #expect(
                reads * 5 >= successes && reads < successes,
                "reads and writes both have to succeed: \(reads) of \(successes)"
            )
            switch LinearizabilityChecker(KeyValueModel()).check(history) {
            case .linearizable: break
            case .violation(let report): Issue.record("\(report)")
            case .undecided(let key): Issue.record("the history of \(key) was too much to judge")
            }
        }

        private static func withClients(_ cluster: TestCluster, _ body: (Recorder) throws -> Void) throws -> Recorder {
            let shared = HistoryClient.Shared(ports: cluster.nodes.map(\.resp))
            let ended = DispatchSemaphore(value: 0)
            for number in 0..<4 {
                Thread.detachNewThread {
                    HistoryClient(number, shared).run()
                    ended.signal()
                }
            }
            defer {
                shared.stop()
                for _ in 0..<4 { ended.wait() }
            }
            try body(shared.recorder)
            return shared.recorder
        }

        @Test func `a history recorded while nodes are killed is linearizable`() throws {
            try TestCluster.run { cluster in
                let recorder = try Self.withClients(cluster) { recorder in
                    for round in 0..<3 {
                        try Self.record(recorder, 150)
                        let victim = round == 1 ? "\(cluster.nodes[round].id)" : "leader"
                        let id = try cluster.script("kill", victim)
                        try Self.record(recorder, 150)
                        try cluster.script("start", id)
                    }
                    try Self.record(recorder, 100)
                }
                Self.judge(recorder, successesMin: 1_000)
            }
        }

        @Test func `a history recorded while all nodes are killed at once is linearizable`() throws {
            try TestCluster.run { cluster in
                let recorder = try Self.withClients(cluster) { recorder in
                    for _ in 0..<2 {
                        try Self.record(recorder, 150)
                        cluster.killAll()
                        try cluster.script("start")
                    }
                    try Self.record(recorder, 150)
                }
                Self.judge(recorder, successesMin: 450)
            }
        }

        @Test func `a history recorded while the leader is halted and wakes up is linearizable`() throws {
            try TestCluster.run { cluster in
                let recorder = try Self.withClients(cluster) { recorder in
                    for _ in 0..<2 {
                        try Self.record(recorder, 150)
                        let found = try cluster.leader()
                        let leader = try #require(found)
                        try cluster.signal(leader, SIGSTOP)
                        try Self.record(recorder, 100)
                        try cluster.signal(leader, SIGCONT)
                        try Self.record(recorder, 100)
                    }
                }
                Self.judge(recorder, successesMin: 700)
            }
        }
    }
}
