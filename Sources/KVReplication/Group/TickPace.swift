/// When a node's ticks pass: one by one, or several at once where none but the last of them does anything.
///
/// A node that nobody asks anything sleeps from heartbeat to heartbeat. What arrives in between finds the clocks as if it had not: who takes
/// it down asks first how many ticks have passed (`GroupReplica.catchUp`).
package struct TickPace {
    /// From when on the planned ticks count.
    private var tickedAt: UInt64 = 0
    /// How many it takes next.
    package private(set) var planned = 1
    private var nanoseconds: UInt64 = 1

    /// So many ticks pass at once at most: what looks around every so many ticks is not to be late.
    package static let ticksAtOnceMax = 20

    /// Ticks of which nothing is known yet: the next is a single one.
    package init() {}

    /// So many ticks are taken next, at most, counted from `now`.
    package mutating func plan(_ ticks: Int, of tickNanoseconds: UInt64, from now: UInt64) {
        tickedAt = now
        nanoseconds = tickNanoseconds
        planned = min(max(ticks, 1), Self.ticksAtOnceMax)
    }

    /// The planned ticks are taken: returns how many, and plans no more than a single one until it is said.
    package mutating func take() -> Int {
        defer { planned = 1 }
        return planned
    }

    /// When the planned ticks are taken.
    package var due: UInt64 { tickedAt + UInt64(planned) * nanoseconds }

    /// How many ticks passed since the last that was taken, without the last that is planned.
    ///
    /// `now` is asked for only where more than one is planned.
    package func passed(at now: @autoclosure () -> UInt64) -> Int {
        guard planned > 1 else { return 0 }
        return min(planned - 1, Int((max(now(), tickedAt) - tickedAt) / nanoseconds))
    }

    /// Takes back what was planned, where something is due earlier; returns whether that changed it.
    package mutating func draw(to due: Int, at now: UInt64) -> Bool {
        guard due < planned else { return false }
        let sooner = max(due, passed(at: now) + 1)
        guard sooner < planned else { return false }
        planned = sooner
        return true
    }
}
