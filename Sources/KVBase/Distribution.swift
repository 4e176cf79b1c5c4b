/// Observations counted by size in fixed buckets, by one owner: what a module that knows no metrics keeps, to be read when
/// somebody asks.
///
/// An observation is a search among about twenty bounds and two additions; nothing is allocated after `init`.
package struct Distribution: Sendable, Equatable {
    /// The upper bounds, ascending, inclusive.
    package let bounds: [UInt64]
    /// How many observations fell into each bucket, not cumulative; the last one has no bound.
    package private(set) var counts: [UInt64]
    /// The sum of all observations.
    package private(set) var sum: UInt64 = 0

    /// Nothing observed yet.
    package init(bounds: [UInt64]) {
        self.bounds = bounds
        counts = [UInt64](repeating: 0, count: bounds.count + 1)
    }

    /// For times in nanoseconds.
    package static var latency: Distribution { Distribution(bounds: latencyBounds) }
    /// For how many things are handled at once.
    package static var count: Distribution { Distribution(bounds: countBounds) }

    /// Upper bounds for times, in nanoseconds: 50 µs … 10 s.
    package static let latencyBounds: [UInt64] = [
        50_000, 100_000, 200_000, 350_000, 500_000, 750_000, 1_000_000, 1_500_000, 2_500_000, 5_000_000, 10_000_000,
        25_000_000, 50_000_000, 100_000_000, 250_000_000, 500_000_000, 1_000_000_000, 2_500_000_000, 5_000_000_000,
        10_000_000_000,
    ]
    /// Upper bounds for counts: 1 … 4,096.
    package static let countBounds: [UInt64] = (0...12).map { 1 << $0 }

    /// Counts an observation, `times` over.
    package mutating func observe(_ value: UInt64, times: UInt64 = 1) {
        var bucket = 0
        while bucket < bounds.count, bounds[bucket] < value { bucket += 1 }
        counts[bucket] &+= times
        sum &+= value &* times
    }

    /// How many observations there were.
    package var total: UInt64 { counts.reduce(0, &+) }
}
