/// How often a wrong password may be tried: some at once, then one in a while, for each address and each name.
///
/// Both are bounded in number; the oldest is forgotten first. A name that is tried by others does not lock its owner out where
/// the owner's credentials are in the cache of proven ones, which is asked before this.
struct AttemptLimiter {
    struct Settings: Sendable {
        /// How many failures are free.
        var burst = 10
        /// After how long one more is, in nanoseconds.
        var interval: UInt64 = 2_000_000_000
        /// How many addresses and names are remembered.
        var entriesMax = 8_192
    }

    private struct Failures {
        /// How many count, as of `since`.
        var count: Int
        var since: UInt64
    }

    private let settings: Settings
    private var failures: [String: Failures] = [:]

    init(_ settings: Settings) { self.settings = settings }

    /// Whether all of these may try now.
    func mayTry(_ keys: [String], now: UInt64) -> Bool {
        keys.allSatisfy { count($0, now) < settings.burst }
    }

    /// Counts a failure.
    mutating func fail(_ keys: [String], now: UInt64) {
        for key in keys {
            if failures[key] == nil, failures.count >= settings.entriesMax { forget(now) }
            failures[key] = Failures(count: count(key, now) + 1, since: now)
        }
    }

    /// Takes back one that was no failure.
    mutating func forgive(_ keys: [String], now: UInt64) {
        for key in keys {
            let rest = max(0, count(key, now) - 1)
            failures[key]?.count = rest
        }
    }

    /// How many addresses and names are remembered.
    var entryCount: Int { failures.count }

    private func count(_ key: String, _ now: UInt64) -> Int {
        guard let known = failures[key] else { return 0 }
        let passed = now > known.since ? (now - known.since) / settings.interval : 0
        return max(0, known.count - Int(clamping: passed))
    }

    /// Makes room: those that count no more, else the older half.
    private mutating func forget(_ now: UInt64) {
        failures = failures.filter { count($0.key, now) > 0 }
        guard failures.count >= settings.entriesMax else { return }
        let times = failures.values.map(\.since).sorted()
        let middle = times[times.count / 2]
        failures = failures.filter { $0.value.since > middle }
    }
}
