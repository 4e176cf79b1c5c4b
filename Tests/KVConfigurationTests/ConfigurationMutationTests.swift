import KVConfiguration
import Testing

struct ConfigurationMutationTests {
    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func `a mutated file loads or is refused, and never traps`(seed: UInt64) throws {
        var random = SplitMix(state: seed)
        let originals = try ["config/kvnode.yaml", "config/single.yaml", "config/cluster/n2.yaml"].map(packageFile)
        let bits: [[UInt8]] =
            [
                "\n", "  ", ": ", "- ", "[", "]", "{", "}", "\"", "'", "&a ", "*a", "!!x ", "|\n", "? ", "---\n", "%",
                "\u{0}", "\u{85}",
            ]
            .map { Array($0.utf8) } + [[0xff], [0xc3], [0xef, 0xbb, 0xbf], [0xff, 0xfe]]
        var refusals = 0
        for _ in 0..<400 {
            var bytes = originals[Int(random.next() % UInt64(originals.count))]
            for _ in 0...(random.next() % 4) {
                let place = Int(random.next() % UInt64(bytes.count))
                let end = min(bytes.count, place + Int(random.next() % 12))
                switch random.next() % 4 {
                case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
                case 1: bytes.removeSubrange(place..<end)
                case 2: bytes.insert(contentsOf: bits[Int(random.next() % UInt64(bits.count))], at: place)
                default: bytes.insert(contentsOf: bytes[place..<end], at: Int(random.next() % UInt64(bytes.count)))
                }
                if bytes.isEmpty { bytes = [0x20] }
            }
            let found = problems(load(bytes: bytes))
            refusals += found.isEmpty ? 0 : 1
            #expect(found.allSatisfy { !$0.isEmpty && !$0.contains("\n") })
        }
        #expect(refusals > 100)
    }
}

/// A small generator with a fixed stream for each seed (Steele, Lea, Flood 2014).
struct SplitMix {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
