import ArgumentParser
import Foundation
import KVHistoryClient
import KVLinearizability

/// Clients of a real cluster, their recorded history, and the judgement of it: what `scripts/chaos` starts beside what it breaks.
@main
struct KVChaos: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kvchaos",
        abstract: "Works on a cluster until its input ends, then judges the recorded history.",
        discussion: """
            Lines of the input: 'ports 6401 6402' names the nodes anew; 'progress' prints how many operations were answered. When the input \
            ends the clients stop, and a line of JSON says how many operations there were and whether the history is linearizable.
            """
    )

    @Option(name: .customLong("port"), help: "A node's port for Redis clients; may be repeated.")
    var ports: [Int]

    @Option(help: "How many clients.")
    var clients = 6

    @Option(help: "How long each rests after an operation, in milliseconds.")
    var pause = 2

    @Option(help: "Seconds after which the clients turn to other keys.")
    var era = 4.0

    @Option(help: "Write the history here where it is not linearizable.")
    var history: String?

    func validate() throws {
        guard (1...900).contains(clients), pause >= 0, era > 0 else {
            throw ValidationError("--clients takes 1 to 900, --pause and --era what is positive")
        }
    }

    private struct Report: Encodable {
        var verdict: String
        var details = ""
        var operations: Int
        var succeeded: Int
        var reads: Int
        var refused: Int
        var unknown: Int
        var keys: Int
    }

    func run() throws {
        signal(SIGPIPE, SIG_IGN)
        let shared = HistoryClient.Shared(ports: ports, pauseMicroseconds: UInt32(pause) * 1_000)
        let ended = DispatchSemaphore(value: 0)
        for number in 0..<clients {
            Thread.detachNewThread {
                HistoryClient(number, shared).run()
                ended.signal()
            }
        }
        let seconds = era
        Thread.detachNewThread {
            while true {
                usleep(UInt32(seconds * 1_000_000))
                shared.beginEra()
            }
        }
        while let line = readLine() { follow(line, shared) }
        shared.stop()
        for _ in 0..<clients { ended.wait() }
        let report = judge(shared.recorder.operations)
        print(String(decoding: try JSONEncoder().encode(report), as: UTF8.self))
        if report.verdict != "linearizable" { throw ExitCode(1) }
    }

    private func follow(_ line: String, _ shared: HistoryClient.Shared) {
        let words = line.split(separator: " ")
        switch words.first {
        case "ports": shared.move(to: words.dropFirst().compactMap { Int($0) })
        case "progress":
            print(shared.recorder.operations.count { $0.completedAt != nil })
            fflush(nil)
        default: break
        }
    }

    private func judge(_ operations: [HistoryOperation<KeyValueModel.Call, KeyValueModel.Result>]) -> Report {
        var report = Report(
            verdict: "linearizable",
            operations: operations.count,
            succeeded: operations.count { $0.completedAt != nil },
            reads: operations.count { $0.completedAt != nil && $0.call == .get },
            refused: 0,
            unknown: 0,
            keys: Set(operations.map(\.key)).count
        )
        for operation in operations {
            switch operation.outcome {
            case .failed: report.refused += 1
            case .unknown: report.unknown += 1
            case .completed: break
            }
        }
        switch LinearizabilityChecker(KeyValueModel()).check(operations) {
        case .linearizable: return report
        case .violation(let violation):
            report.verdict = "violation"
            report.details = "\(violation)"
        case .undecided(let key):
            report.verdict = "undecided"
            report.details = "the history of \(key) was too much to judge"
        }
        if let history { keep(operations, in: history) }
        return report
    }

    private func keep(
        _ operations: [HistoryOperation<KeyValueModel.Call, KeyValueModel.Result>],
        in path: String
    ) {
        let lines = operations.map { operation in
            "\(operation.invokedAt) process \(operation.process) \(operation.key) \(operation.call): \(operation.outcome)"
        }
        do {
            try lines.joined(separator: "\n").write(toFile: path, atomically: true, encoding: .utf8)
        } catch {
            FileHandle.standardError.write(Data("kvchaos: \(path): \(error)\n".utf8))
        }
    }
}
