package import KVBase
import Synchronization

/// A number that only grows.
///
/// Any thread; an update is one relaxed atomic addition and allocates nothing.
package final class Counter: Sendable {
    private let bits = Atomic<UInt64>(0)

    init() {}

    /// Adds `amount`.
    package func add(_ amount: UInt64 = 1) {
        bits.wrappingAdd(amount, ordering: .relaxed)
    }

    /// Sets it to a total that someone else counts; a lower one than before is a restart of that count.
    package func set(_ total: UInt64) {
        bits.store(total, ordering: .relaxed)
    }

    /// The total.
    package var value: UInt64 { bits.load(ordering: .relaxed) }
}

/// A number that goes up and down.
///
/// Any thread.
package final class Gauge: Sendable {
    private let bits = Atomic<UInt64>(0)

    init() {}

    /// Sets it.
    package func set(_ value: Double) {
        bits.store(value.bitPattern, ordering: .relaxed)
    }

    /// Adds to it; a negative amount takes away.
    package func add(_ amount: Double) {
        var old = bits.load(ordering: .relaxed)
        while true {
            let new = (Double(bitPattern: old) + amount).bitPattern
            let result = bits.weakCompareExchange(expected: old, desired: new, ordering: .relaxed)
            if result.exchanged { return }
            old = result.original
        }
    }

    /// The number.
    package var value: Double { Double(bitPattern: bits.load(ordering: .relaxed)) }
}

/// Counts observations by size in fixed buckets.
///
/// Any thread; an observation is a search among about twenty bounds and two relaxed atomic additions, and allocates
/// nothing.
///
/// Observations are whole numbers of the scale's parts (nanoseconds for seconds), so that the sum is exact.
package final class Histogram: Sendable {
    /// The upper bounds in the metric's unit.
    package let bounds: [Double]
    /// How many parts make one of the metric's unit: 1e9 for seconds, 1 otherwise.
    let scale: Double
    /// The upper bounds in parts.
    private let parts: [UInt64]
    /// `bounds.count + 1` buckets, then the sum.
    ///
    /// SAFETY: allocated and initialized in `init`, released in `deinit`, never resized; every index is at most `bounds.count + 1`.
    /// SENDABLE: the pointer is constant and what it points to is atomic.
    private nonisolated(unsafe) let cells: UnsafeMutablePointer<Atomic<UInt64>>

    init(bounds: [Double], scale: Double) {
        self.bounds = bounds
        self.scale = scale
        parts = bounds.map { UInt64(($0 * scale).rounded()) }
        cells = .allocate(capacity: bounds.count + 2)
        for index in 0..<(bounds.count + 2) { (cells + index).initialize(to: Atomic<UInt64>(0)) }
    }

    deinit {
        cells.deinitialize(count: bounds.count + 2)
        cells.deallocate()
    }

    /// Which bucket an observation belongs to; `bounds.count` is the one without a bound.
    package func bucket(of value: UInt64) -> Int {
        parts.withUnsafeBufferPointer { parts in
            var index = 0
            while index < parts.count && parts[index] < value { index += 1 }
            return index
        }
    }

    /// Counts an observation, in parts (nanoseconds for seconds), `times` over.
    package func observe(_ value: UInt64, times: UInt64 = 1) {
        add(times, toBucket: bucket(of: value), sum: value &* times)
    }

    /// Counts observations whose bucket is known.
    /// - Precondition: `0 <= bucket <= bounds.count`.
    package func add(_ count: UInt64, toBucket bucket: Int, sum: UInt64) {
        precondition(bucket >= 0 && bucket <= bounds.count, "bucket \(bucket) of \(bounds.count + 1)")
        cells[bucket].wrappingAdd(count, ordering: .relaxed)
        cells[bounds.count + 1].wrappingAdd(sum, ordering: .relaxed)
    }

    /// Sets it to what someone else counted.
    /// - Precondition: by the same bounds.
    package func set(_ distribution: Distribution) {
        precondition(distribution.bounds == parts, "a distribution by other bounds")
        for (bucket, count) in distribution.counts.enumerated() { cells[bucket].store(count, ordering: .relaxed) }
        cells[bounds.count + 1].store(distribution.sum, ordering: .relaxed)
    }

    /// The buckets' counts, not cumulative, and the sum in the metric's unit.
    package func read() -> (counts: [UInt64], sum: Double) {
        let counts = (0...bounds.count).map { cells[$0].load(ordering: .relaxed) }
        return (counts, Double(cells[bounds.count + 1].load(ordering: .relaxed)) / scale)
    }
}
