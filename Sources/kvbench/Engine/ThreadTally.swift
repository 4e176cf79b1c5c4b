import Foundation
import Histogram

/// What one thread of a workload counts.
// SENDABLE: one thread fills it; it is read after that thread has ended.
final class ThreadTally: @unchecked Sendable {
    var operations: UInt64 = 0
    var found: UInt64 = 0
    var bytes: UInt64 = 0
    var stallNanoseconds: UInt64 = 0
    var failure: String?
    private(set) var latencies = Histogram<UInt64>(
        highestTrackableValue: 3_600_000_000_000,
        numberOfSignificantValueDigits: .three
    )
    private var last: UInt64 = 0

    /// The clock starts for the first operation.
    func start() { last = nowNanoseconds() }

    /// An operation is done: the time since the last one is its latency.
    @inline(__always)
    func finished() {
        let now = nowNanoseconds()
        latencies.record(now &- last)
        last = now
        operations &+= 1
    }

    /// Adds another thread's numbers.
    func add(_ other: ThreadTally) {
        operations += other.operations
        found += other.found
        bytes += other.bytes
        stallNanoseconds += other.stallNanoseconds
        latencies.add(other.latencies)
        failure = failure ?? other.failure
    }

    /// The latency that `percentile` of all operations are at or below, in microseconds.
    func microseconds(_ percentile: Double) -> Double {
        operations == 0 ? 0 : Double(latencies.valueAtPercentile(percentile)) / 1000
    }
}

/// The monotonic clock.
@inline(__always)
func nowNanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
}
