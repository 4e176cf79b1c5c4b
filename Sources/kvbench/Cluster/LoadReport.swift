import Foundation
import Histogram

/// What a load came to.
struct LoadReport: Codable {
    /// Latencies in microseconds, from when a request was due.
    struct Latency: Codable {
        var mean: Double
        var p50: Double
        var p90: Double
        var p99: Double
        var p999: Double
        var p9999: Double
        var max: Double

        init(_ histogram: Histogram<UInt64>) {
            func at(_ percentile: Double) -> Double { Double(histogram.valueAtPercentile(percentile)) / 1_000 }
            let isEmpty = histogram.totalCount == 0
            mean = isEmpty ? 0 : histogram.mean / 1_000
            p50 = isEmpty ? 0 : at(50)
            p90 = isEmpty ? 0 : at(90)
            p99 = isEmpty ? 0 : at(99)
            p999 = isEmpty ? 0 : at(99.9)
            p9999 = isEmpty ? 0 : at(99.99)
            max = isEmpty ? 0 : Double(histogram.max) / 1_000
        }
    }

    struct Kind: Codable {
        var kind: String
        var operations: UInt64
        var absent: UInt64
        var latencyMicroseconds: Latency
    }

    struct Second: Codable {
        var second: Int
        var operations: UInt64
        var failures: UInt64
        var p50Microseconds: Double
        var p99Microseconds: Double
        var maxMicroseconds: Double
    }

    /// `closed` or `open`.
    var loop: String
    var endpoints: [String]
    var threads: Int
    var connections: Int
    var pipeline: Int
    /// What an open loop was asked for.
    var rateAsked: Double?
    var seconds: Double
    var operations: UInt64
    var opsPerSecond: Double
    var failed: UInt64
    var failures: [String: UInt64]
    /// Due and not sent by the end: the cluster did not keep up with the rate.
    var unsent: UInt64
    var kinds: [Kind]
    var timeline: [Second]
    /// How much of its threads' time the generator itself worked; near 1, it is the bottleneck.
    var clientBusy: Double

    init(_ settings: LoadSettings, _ tally: LoadTally, cpuSeconds: Double, wallSeconds: Double) {
        loop = settings.rate == nil ? "closed" : "open"
        endpoints = settings.endpoints.map(\.name)
        threads = settings.threads
        connections = settings.connections
        pipeline = settings.pipeline
        rateAsked = settings.rate
        let isEmpty = tally.lastDone <= tally.firstDue
        seconds = isEmpty ? 0 : Double(tally.lastDone - tally.firstDue) / 1e9
        operations = tally.kinds.reduce(0) { $0 + $1.operations }
        opsPerSecond = seconds > 0 ? Double(operations) / seconds : 0
        failures = tally.failures
        failed = tally.failures.values.reduce(0, +)
        unsent = tally.unsent
        kinds = zip(OperationMix.Kind.allCases, tally.kinds).filter { $0.1.operations > 0 }.map { kind, counted in
            Kind(
                kind: kind.name,
                operations: counted.operations,
                absent: counted.absent,
                latencyMicroseconds: Latency(counted.latencies)
            )
        }
        timeline = tally.seconds.enumerated().map { place, second in
            let latency = Latency(second.latencies)
            return Second(
                second: place,
                operations: second.operations,
                failures: second.failures,
                p50Microseconds: latency.p50,
                p99Microseconds: latency.p99,
                maxMicroseconds: latency.max
            )
        }
        clientBusy = wallSeconds > 0 ? cpuSeconds / wallSeconds / Double(settings.threads) : 0
    }

    /// A few lines for people.
    var text: String {
        var lines: [String] = []
        let asked = rateAsked.map { " at \(fixed($0, 0)) requests a second" } ?? ""
        lines.append(
            "\(loop) loop\(asked): \(connections) connections, \(pipeline) requests each, \(threads) threads, "
                + "\(endpoints.count) endpoints"
        )
        lines.append(
            "\(operations) operations in \(fixed(seconds, 2)) s: \(fixed(opsPerSecond, 0)) a second; "
                + "\(failed) failed; the generator was busy \(fixed(clientBusy * 100, 0)) % of the time"
        )
        if unsent > 0 { lines.append("\(unsent) requests were due and not sent: the cluster does not keep up") }
        for (code, count) in failures.sorted(by: { $0.key < $1.key }) { lines.append("  failed: \(code) \(count)") }
        lines.append("latency, ms      count      mean       p50       p90       p99     p99.9    p99.99       max")
        for kind in kinds {
            let latency = kind.latencyMicroseconds
            let figures = [
                latency.mean, latency.p50, latency.p90, latency.p99, latency.p999, latency.p9999, latency.max,
            ]
            lines.append(
                kind.kind.padding(toLength: 8, withPad: " ", startingAt: 0) + padded("\(kind.operations)", 14)
                    + figures.map { padded(fixed($0 / 1_000, 3), 10) }.joined()
                    + (kind.absent > 0 ? "  (\(kind.absent) found nothing)" : "")
            )
        }
        return lines.joined(separator: "\n")
    }
}

/// A number with so many digits after the point.
func fixed(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", value) }

/// A text of at least `width`, its end at the right.
func padded(_ text: String, _ width: Int) -> String { String(repeating: " ", count: max(0, width - text.count)) + text }
