/// Time from outside.
///
/// Any thread.
package protocol Clock: AnyObject, Sendable {
    /// Nanoseconds since some fixed moment of this boot (CLOCK_BOOTTIME); never goes back.
    var monotonicNanoseconds: UInt64 { get }
    /// Milliseconds since 1970 by the wall clock; may jump either way.
    var wallMilliseconds: UInt64 { get }
}

/// Random 64-bit numbers from outside: the system's, or a seeded stream in the simulator.
///
/// Any thread.
package protocol Randomness: AnyObject, Sendable {
    /// The next number, uniform over all 64 bits.
    func next() -> UInt64
}
