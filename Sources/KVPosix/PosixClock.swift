import Glibc
import KVEnvironment

/// The host's clocks.
package final class PosixClock: Clock {
    /// A view of the host's clocks.
    package init() {}

    package var monotonicNanoseconds: UInt64 { now(CLOCK_BOOTTIME) }

    package var wallMilliseconds: UInt64 { now(CLOCK_REALTIME) / 1_000_000 }
}

/// Nanoseconds that a clock shows.
func now(_ clock: clockid_t) -> UInt64 {
    var time = timespec()
    let result = clock_gettime(clock, &time)
    precondition(result == 0, "clock \(clock) cannot be read: error \(errno)")
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// The kernel's random numbers.
package final class SystemRandomness: Randomness {
    /// A view of the kernel's generator.
    package init() {}

    package func next() -> UInt64 {
        var generator = SystemRandomNumberGenerator()
        return generator.next()
    }
}
