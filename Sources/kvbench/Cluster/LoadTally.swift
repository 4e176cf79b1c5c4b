import Histogram

/// What one thread of a load counts.
struct LoadTally {
    /// Of one kind of request.
    struct PerKind {
        var operations: UInt64 = 0
        /// Gets that found nothing and deletes of keys that were not there.
        var absent: UInt64 = 0
        var latencies = Histogram<UInt64>(
            highestTrackableValue: 3_600_000_000_000,
            numberOfSignificantValueDigits: .three
        )
    }

    /// Of one second.
    struct PerSecond {
        var operations: UInt64 = 0
        var failures: UInt64 = 0
        var latencies = Histogram<UInt64>(
            highestTrackableValue: 600_000_000_000,
            numberOfSignificantValueDigits: .two
        )
    }

    var kinds: [PerKind] = OperationMix.Kind.allCases.map { _ in PerKind() }
    /// By the second in which the request was due.
    var seconds: [PerSecond] = []
    /// Answered with an error, by its code; or not answered.
    var failures: [String: UInt64] = [:]
    /// Due and never sent: the cluster did not keep up.
    var unsent: UInt64 = 0
    var firstDue: UInt64 = .max
    var lastDone: UInt64 = 0

    private static let secondsMax = 3_600

    mutating func succeeded(_ kind: OperationMix.Kind, isAbsent: Bool, second: Int, nanoseconds: UInt64) {
        let place = Int(kind.rawValue)
        kinds[place].operations &+= 1
        if isAbsent { kinds[place].absent &+= 1 }
        kinds[place].latencies.record(nanoseconds)
        withSecond(second) {
            $0.operations &+= 1
            $0.latencies.record(nanoseconds)
        }
    }

    mutating func failed(_ code: String, second: Int) {
        failures[code, default: 0] += 1
        withSecond(second) { $0.failures &+= 1 }
    }

    @inline(__always)
    private mutating func withSecond(_ second: Int, _ change: (inout PerSecond) -> Void) {
        let place = min(max(0, second), Self.secondsMax - 1)
        while seconds.count <= place { seconds.append(PerSecond()) }
        change(&seconds[place])
    }

    /// Adds another thread's.
    mutating func add(_ other: LoadTally) {
        for place in kinds.indices {
            kinds[place].operations += other.kinds[place].operations
            kinds[place].absent += other.kinds[place].absent
            kinds[place].latencies.add(other.kinds[place].latencies)
        }
        while seconds.count < other.seconds.count { seconds.append(PerSecond()) }
        for (place, second) in other.seconds.enumerated() {
            seconds[place].operations += second.operations
            seconds[place].failures += second.failures
            seconds[place].latencies.add(second.latencies)
        }
        failures.merge(other.failures, uniquingKeysWith: +)
        unsent += other.unsent
        firstDue = min(firstDue, other.firstDue)
        lastDone = max(lastDone, other.lastDone)
    }
}
