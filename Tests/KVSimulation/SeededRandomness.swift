import KVEnvironment

/// A stream of numbers that a seed fixes (SplitMix64, Steele et al.
///
/// 2014): same seed, same run.
// SENDABLE: the simulator runs in one thread.
package final class SeededRandomness: Randomness, RandomNumberGenerator, @unchecked Sendable {
    private var state: UInt64

    /// The stream of `seed`.
    package init(seed: UInt64) {
        state = seed
    }

    /// The next number, uniform over all 64 bits.
    package func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    /// A number in `0 ..< bound`.
    /// - Precondition: `bound > 0`.
    package func below(_ bound: Int) -> Int {
        precondition(bound > 0, "nothing is below \(bound)")
        return Int(next() % UInt64(bound))
    }

    /// True with this probability, 0 … 1.
    package func chance(_ probability: Double) -> Bool {
        guard probability > 0 else { return false }
        return Double(next() >> 11) * 0x1p-53 < probability
    }

    /// A stream of its own, fixed by this one.
    package func split() -> SeededRandomness {
        SeededRandomness(seed: next())
    }
}
