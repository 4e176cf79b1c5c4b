import Glibc
package import KVLinearizability
import Synchronization

/// A client that runs in its caller's thread until told to stop: one random operation after the other, through one node after the
/// other, each noted in a history.
package final class HistoryClient: Sendable {
    /// Where clients note what they do.
    package typealias Recorder = HistoryRecorder<KeyValueModel.Call, KeyValueModel.Result>

    /// What clients share: which nodes there are, which keys they work on, and when to stop.
    package final class Shared: Sendable {
        private let ports: Mutex<[Int]>
        private let era = Atomic<Int>(0)
        private let isStopped = Atomic<Bool>(false)
        /// How long a client rests after an operation, in microseconds.
        let pauseMicroseconds: UInt32
        /// Where everything is noted.
        package let recorder = Recorder()

        /// Clients of the nodes that listen on these ports.
        package init(ports: [Int], pauseMicroseconds: UInt32 = 0) {
            self.ports = Mutex(ports)
            self.pauseMicroseconds = pauseMicroseconds
        }

        /// From now on these are the nodes.
        package func move(to new: [Int]) { ports.withLock { $0 = new } }

        /// From now on the clients work on other keys, so that no key's history gets too long to judge.
        package func beginEra() { era.add(1, ordering: .relaxed) }

        /// Ends the clients after the operation at hand.
        package func stop() { isStopped.store(true, ordering: .relaxed) }

        var goesOn: Bool { !isStopped.load(ordering: .relaxed) }

        func port(_ turn: Int) -> Int? { ports.withLock { $0.isEmpty ? nil : $0[turn % $0.count] } }

        func key(_ kind: String, of count: Int) -> String {
            "\(kind)-\(era.load(ordering: .relaxed))-\(Int.random(in: 0..<count))"
        }
    }

    private let number: Int
    private let shared: Shared

    /// A client with a number of its own, below 1,000.
    package init(_ number: Int, _ shared: Shared) {
        self.number = number
        self.shared = shared
    }

    /// Works until it is told to stop.
    package func run() {
        var connection: RESPConnection?
        var turn = number
        // A process of the history has one operation open at a time, and none after one with an unknown outcome.
        var process = number
        while shared.goesOn {
            guard let open = connection ?? shared.port(turn).flatMap({ try? RESPConnection(port: $0, within: 8) })
            else {
                turn += 1
                usleep(5_000)
                continue
            }
            let (call, key, words) = operation(turn)
            let record = shared.recorder.begin(process: process, key: key, call: call)
            do {
                switch Self.outcome(of: call, try open.ask(words)) {
                case .told(let result): shared.recorder.complete(record, result)
                case .refused: shared.recorder.fail(record)
                case .open: process += 1_000
                }
                connection = open
            } catch {
                process += 1_000
                connection = nil
            }
            turn += 1
            if turn % 16 == 0 { connection = nil }
            if shared.pauseMicroseconds > 0 { usleep(shared.pauseMicroseconds) }
        }
    }

    private func operation(_ turn: Int) -> (KeyValueModel.Call, String, [[UInt8]]) {
        let value = "\(number).\(turn)"
        func words(_ words: String...) -> [[UInt8]] { words.map { Array($0.utf8) } }
        let counter = shared.key("counter", of: 2)
        let key = shared.key("key", of: 6)
        switch Int.random(in: 0..<10) {
        case 0, 1: return (.increment(1), counter, words("INCR", counter))
        case 2: return (.get, counter, words("GET", counter))
        case 3: return (.delete, key, words("DEL", key))
        case 4: return (.putIfAbsent(Array(value.utf8)), key, words("SET", key, value, "NX"))
        case 5, 6: return (.put(Array(value.utf8)), key, words("SET", key, value))
        default: return (.get, key, words("GET", key))
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
