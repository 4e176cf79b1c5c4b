import ArgumentParser
import Foundation

/// `kvbench failover`: how long a cluster does not serve when something happens to it, and what gets lost.
struct FailoverCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "failover",
        abstract: "Measure how long a cluster does not serve after a failure, and count lost and duplicated writes.",
        discussion: """
            The failure is whatever COMMAND does (sh runs it, with KVBENCH_ROUND in its environment): it may kill, pause or cut \
            off a node. The gap goes from the last success before to the first of ten in a row after it.
            """
    )

    @Option(help: "Where the nodes are, with commas: HOST:PORT,….")
    var endpoints = "127.0.0.1:6401,127.0.0.1:6402,127.0.0.1:6403"
    @Option(help: "What breaks the cluster.")
    var command: String
    @Option(help: "What repairs it at the end of a round.")
    var restore: String?
    @Option(help: "How often.")
    var rounds = 20
    @Option(help: "Writes a second, at equal distances.")
    var rate = 1_000.0
    @Option(help: "Connections, spread over the endpoints.")
    var connections = 6
    @Option(help: "Seconds for which all writes must succeed before a round.")
    var settle = 2.0
    @Option(help: "Seconds to go on after the service is back.")
    var observe = 2.0
    @Option(help: "Seconds within which it must be back.")
    var recoveryMax = 30.0
    @Option(
        help: "Seconds after which an unanswered write counts as failed and its connection goes to the next endpoint."
    )
    var timeout = 1.0
    @Flag(help: "Leave the written keys in the cluster.")
    var keep = false
    @Flag(help: "One JSON object.")
    var json = false
    @Option(help: "Exit 1 if the median gap is longer, in milliseconds.")
    var medianMax: Double?
    @Option(help: "Exit 1 if the longest gap is longer, in milliseconds.")
    var worstMax: Double?

    func validate() throws {
        guard rounds > 0, rate >= 10, rate <= 100_000, (1...1_024).contains(connections), settle >= 0.1, observe >= 0,
            recoveryMax > 0, timeout > 0, max(settle, observe, recoveryMax, timeout) <= 3_600
        else { throw ValidationError("counts and times must be positive, --rate from 10 to 100000") }
    }

    func run() throws {
        do {
            let run = FailoverRun(
                endpoints: try endpoints.split(separator: ",").map { try LoadEndpoint(String($0)) },
                connections: connections,
                rate: rate,
                rounds: rounds,
                command: command,
                restore: restore,
                settleSeconds: settle,
                observeSeconds: observe,
                recoverySecondsMax: recoveryMax,
                requestTimeoutSeconds: timeout,
                keepsKeys: keep
            )
            let report = try run.run()
            try show(report, json: json)
            try judge(report)
        } catch {
            throw reported(error)
        }
    }

    private func judge(_ report: FailoverReport) throws {
        guard report.lost == 0, report.duplicated == 0, report.refusedButThere == 0 else {
            throw BenchmarkError("\(report.lost) writes lost, \(report.duplicated) duplicated")
        }
        guard report.unread == 0 else { throw BenchmarkError("\(report.unread) keys could not be read at the end") }
        guard let median = report.medianMilliseconds, let worst = report.worstMilliseconds else {
            throw BenchmarkError("the cluster did not come back in every round")
        }
        if let medianMax, median > medianMax {
            throw BenchmarkError("median gap \(fixed(median, 1)) ms, over \(fixed(medianMax, 1))")
        }
        if let worstMax, worst > worstMax {
            throw BenchmarkError("longest gap \(fixed(worst, 1)) ms, over \(fixed(worstMax, 1))")
        }
    }
}
