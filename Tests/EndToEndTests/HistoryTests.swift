import Foundation
import KVLinearizability
import Synchronization
import Testing

extension EndToEnd {
    @Suite struct `recorded histories of real processes` {
        typealias Recorder = HistoryRecorder<KeyValueModel.Call, KeyValueModel.Result>

        /// A client that runs until told to stop: one random operation after the other, through one node after the
        /// other.
        final class Client: Sendable {
            private let number: Int
            private let ports: [Int]
            private let recorder: Recorder
            private let isStopped: Atomic<Bool>
            private let ended = DispatchSemaphore(value: 0)

            init(_ number: Int, ports: [Int], recorder: Recorder) {
                self.number = number
                self.ports = ports
                self.recorder = recorder
                isStopped = Atomic(false)
            }

            func start() { Thread.detachNewThread { self.run() } }

            func stop() {
                isStopped.store(true, ordering: .relaxed)
                ended.wait()
            }

            private func run() {
                defer { ended.signal() }
                var connection: RESPConnection?
                var turn = number
                // A process of the history has one operation open at a time, and none after one with an unknown
                // outcome.
                var process = number
                while !isStopped.load(ordering: .relaxed) {
                    guard let open = connection ?? (try? RESPConnection(port: ports[turn % ports.count], within: 8))
                    else {
                        turn += 1
                        usleep(5_000)
                        continue
                    }
                    let (call, key, words) = operation(turn)
                    let record = recorder.begin(process: process, key: key, call: call)
                    do {
                        let answer = try open.ask(words)
                        switch Self.outcome(of: call, answer) {
                        case .told(let result): recorder.complete(record, result)
                        case .refused: recorder.fail(record)
                        case .open: process += 1_000
                        }
                        connection = open
                    } catch {
                        process += 1_000
                        connection = nil
                    }
                    turn += 1
                    if turn % 16 == 0 { connection = nil }
                }
            }

            private func operation(_ turn: Int) -> (KeyValueModel.Call, String, [[UInt8]]) {
                let kind = Int.random(in: 0..<10)
                let value = "\(number).\(turn)"
                func words(_ words: String...) -> [[UInt8]] { words.map { Array($0.utf8) } }
                switch kind {
                case 0, 1:
                    let key = "counter-\(Int.random(in: 0..<2))"
                    return (.increment(1), key, words("INCR", key))
                case 2:
                    let key = "counter-\(Int.random(in: 0..<2))"
                    return (.get, key, words("GET", key))
                case 3:
                    let key = "key-\(Int.random(in: 0..<6))"
                    return (.delete, key, words("DEL", key))
                case 4:
                    let key = "key-\(Int.random(in: 0..<6))"
                    return (.putIfAbsent(Array(value.utf8)), key, words("SET", key, value, "NX"))
                case 5, 6:
                    let key = "key-\(Int.random(in: 0..<6))"
                    return (.put(Array(value.utf8)), key, words("SET", key, value))
                default:
                    let key = "key-\(Int.random(in: 0..<6))"
                    return (.get, key, words("GET", key))
                }
            }

            private enum Outcome {
                case told(KeyValueModel.Result)
                case refused
                case open
            }

            /// The codes that promise that nothing happened: the checker holds the node to it.
            private static let refusals = ["CLUSTERDOWN", "TRYAGAIN", "OVERLOADED", "DISKFULL", "LOADING"]

            private static func outcome(of call: KeyValueModel.Call, _ answer: RESPConnection.Answer) -> Outcome {
                switch (call, answer) {
                case (.get, .bulk(let value)): .told(.value(value, version: nil))
                case (.get, .none), (.delete, .number(0)): .told(.absent)
                case (.put, .simple), (.putIfAbsent, .simple), (.delete, .number(1)): .told(.done(version: nil))
                case (.putIfAbsent, .none): .told(.conditionFailed(version: nil))
                case (.increment, .number(let number)): .told(.number(number, version: nil))
                // A read without an answer says nothing about the key.
                case (.get, _): .refused
                case (_, .error(let text)) where refusals.contains(where: text.hasPrefix): .refused
                default: .open
                }
            }
        }

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
            let recorder = Recorder()
            let clients = (0..<4).map { Client($0, ports: cluster.nodes.map(\.resp), recorder: recorder) }
            for client in clients { client.start() }
            defer { for client in clients { client.stop() } }
            try body(recorder)
            return recorder
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
