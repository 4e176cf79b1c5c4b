import Foundation

/// What failures of a cluster came to.
struct FailoverReport: Codable, BenchmarkReport {
    struct Round: Codable {
        var round: Int
        /// The longest time without service; nil where it did not come back in time.
        var gapMilliseconds: Double?
        var commandExit: Int32
        var failedRequests: Int
    }

    var rounds: [Round]
    var medianMilliseconds: Double?
    var worstMilliseconds: Double?
    var writes: Int
    var acknowledged: Int
    var refused: Int
    var unknown: Int
    /// Acknowledged and not there.
    var lost: Int
    /// Sent once and there twice.
    var duplicated: Int
    /// Refused and there all the same.
    var refusedButThere: Int
    /// Not readable at the end.
    var unread: Int
    var failures: [String: UInt64]

    init(_ rounds: [Round], _ probes: ProbeSource, _ check: CheckSource) {
        self.rounds = rounds
        let gaps = rounds.compactMap(\.gapMilliseconds).sorted()
        if !gaps.isEmpty, gaps.count == rounds.count {
            medianMilliseconds =
                gaps.count % 2 == 1
                ? gaps[gaps.count / 2] : (gaps[gaps.count / 2 - 1] + gaps[gaps.count / 2]) / 2
            worstMilliseconds = gaps.last
        }
        let outcomes = probes.outcomes
        writes = outcomes.count
        acknowledged = outcomes.count { $0 == .acknowledged }
        refused = outcomes.count { $0 == .refused }
        unknown = outcomes.count { $0 == .unknown || $0 == .underWay }
        (lost, duplicated, refusedButThere) = (0, 0, 0)
        for (number, outcome) in outcomes.enumerated() where check.isAnswered(number) {
            let value = check.values[number]
            if outcome == .acknowledged, value == nil { lost += 1 }
            if outcome == .refused, value != nil { refusedButThere += 1 }
            if let value, value != 1 { duplicated += 1 }
        }
        duplicated = max(duplicated, Int(probes.answeredTwice))
        unread = check.unansweredCount
        failures = probes.failures
    }

    var text: String {
        var lines = rounds.map { round in
            let gap = round.gapMilliseconds.map { "\(fixed($0, 1)) ms" } ?? "did not come back"
            return "round \(padded("\(round.round)", 3)): \(padded(gap, 12)); \(round.failedRequests) requests failed"
        }
        if let medianMilliseconds, let worstMilliseconds {
            lines.append("median \(fixed(medianMilliseconds, 1)) ms, worst \(fixed(worstMilliseconds, 1)) ms")
        }
        lines.append(
            "\(writes) writes: \(acknowledged) acknowledged, \(refused) refused, \(unknown) with unknown outcome; "
                + "\(lost) lost, \(duplicated) duplicated"
        )
        if refusedButThere > 0 { lines.append("\(refusedButThere) were refused and are there all the same") }
        if unread > 0 { lines.append("\(unread) keys could not be read at the end") }
        for (code, count) in failures.sorted(by: { $0.key < $1.key }) { lines.append("  failed: \(code) \(count)") }
        return lines.joined(separator: "\n")
    }
}
