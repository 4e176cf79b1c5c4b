import Foundation

/// What one workload came to.
struct WorkloadReport: Codable, BenchmarkReport {
    var workload: String
    var threads: Int
    var operations: UInt64
    var seconds: Double
    var opsPerSecond: Double
    var microsecondsPerOp: Double
    var megabytesPerSecond: Double
    /// Keys that were there; nil where nothing is looked for.
    var found: UInt64?
    /// Of all threads, background work included.
    var cpuSeconds: Double
    var peakRSSBytes: UInt64
    /// What the process had the kernel write to the disk.
    var bytesWritten: UInt64
    /// What the tablet's directory takes on the disk after it.
    var finalBytes: UInt64
    var p50Microseconds: Double
    var p99Microseconds: Double
    var p999Microseconds: Double
    var maxMicroseconds: Double
    /// How long writers waited because flushing did not keep up, all threads together.
    var stallSeconds: Double
    /// Figures of this workload only.
    var more: [String: Double] = [:]

    /// One line, as db_bench has it, and one with the rest.
    var text: String {
        var first = "\(workload.padding(toLength: 18, withPad: " ", startingAt: 0)): "
        first += "\(fixed(microsecondsPerOp, 3, 11)) micros/op \(fixed(opsPerSecond, 0, 9)) ops/sec "
        first += "\(fixed(seconds, 3)) seconds \(operations) operations; \(fixed(megabytesPerSecond, 1, 7)) MB/s"
        if let found { first += " (\(found) of \(operations) found)" }
        var second =
            "    threads \(threads)  cpu \(fixed(cpuSeconds, 2)) s  peak rss \(fixed(megabytes(peakRSSBytes), 1)) MB  "
        second += "written \(fixed(megabytes(bytesWritten), 1)) MB  size \(fixed(megabytes(finalBytes), 1)) MB  "
        second +=
            "p50 \(fixed(p50Microseconds, 2))  p99 \(fixed(p99Microseconds, 2))  p99.9 \(fixed(p999Microseconds, 2))  "
        second += "max \(fixed(maxMicroseconds, 0)) us  stalled \(fixed(stallSeconds, 3)) s"
        for (name, value) in more.sorted(by: { $0.key < $1.key }) { second += "  \(name) \(fixed(value, 4))" }
        return first + "\n" + second
    }

    private func megabytes(_ bytes: UInt64) -> Double { Double(bytes) / 1_048_576 }

    private func fixed(_ value: Double, _ digits: Int, _ width: Int = 0) -> String {
        let text = String(format: "%.\(digits)f", value)
        return String(repeating: " ", count: max(0, width - text.count)) + text
    }
}
