/// The set of configurations (which operations are linearized, in which state the object is) that the search has seen.
///
/// Exact, not probabilistic: entries lie side by side in one array of words, and an open table of indexes points at
/// them, so that a lookup allocates nothing.
struct ConfigurationCache {
    private let entryWords: Int
    private var storage: [UInt64] = []
    private var table: [Int32]
    private var mask: Int
    private(set) var count = 0

    /// A set of configurations of `bitWords` words of bits each.
    init(bitWords: Int) {
        entryWords = bitWords + 2
        mask = 255
        table = [Int32](repeating: -1, count: mask + 1)
    }

    /// Adds a configuration; returns false where it was there (`hash`: any function of `bits`).
    mutating func insert(bits: [UInt64], hash: UInt64, state: Int) -> Bool {
        let hash = Self.mix(hash ^ (UInt64(state) &* 0x9E37_79B9_7F4A_7C15))
        var slot = Int(truncatingIfNeeded: hash) & mask
        while table[slot] >= 0 {
            if matches(Int(table[slot]), bits: bits, hash: hash, state: state) { return false }
            slot = (slot + 1) & mask
        }
        table[slot] = Int32(count)
        storage.append(hash)
        storage.append(UInt64(state))
        storage.append(contentsOf: bits)
        count += 1
        if count * 2 > mask { grow() }
        return true
    }

    private func matches(_ entry: Int, bits: [UInt64], hash: UInt64, state: Int) -> Bool {
        let start = entry * entryWords
        guard storage[start] == hash, storage[start + 1] == UInt64(state) else { return false }
        return storage[(start + 2)..<(start + entryWords)].elementsEqual(bits)
    }

    private mutating func grow() {
        mask = mask * 2 + 1
        table = [Int32](repeating: -1, count: mask + 1)
        for entry in 0..<count {
            var slot = Int(truncatingIfNeeded: storage[entry * entryWords]) & mask
            while table[slot] >= 0 { slot = (slot + 1) & mask }
            table[slot] = Int32(entry)
        }
    }

    /// A well-mixed function of `value` (the finalizer of SplitMix64).
    static func mix(_ value: UInt64) -> UInt64 {
        var mixed = value
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
