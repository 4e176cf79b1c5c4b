import KVBase
import KVSimulation
import Testing

@testable import KVStorage

/// Random work under several option sets, checked against a sorted dictionary.
struct ModelTests {
    struct Setting: Sendable, CustomStringConvertible {
        var name: String
        var adjust: @Sendable (inout TabletOptions) -> Void
        var description: String { name }
    }

    static let settings = [
        Setting(name: "tiny", adjust: { _ in }),
        Setting(
            name: "no compression",
            adjust: {
                $0.upperCodec = .none
                $0.bottomCodec = .none
                $0.blockBytes = 1
            }
        ),
        Setting(
            name: "restart at every key, one-table levels",
            adjust: {
                $0.restartInterval = 1
                $0.tableBytes = 512
                $0.levelMultiplier = 2
            }
        ),
        Setting(
            name: "large memtable, late compaction",
            adjust: {
                $0.memtableBytes = 16 << 10
                $0.levelZeroCompactAt = 8
                $0.restartInterval = 64
            }
        ),
        Setting(
            name: "no cache, one open table",
            adjust: { $0.shared = SharedResources(blockCacheBytes: 0, tablesOpenMax: 1) }
        ),
    ]

    static let keyCount = 120

    @Test(arguments: settings, 1...4)
    func `a tablet answers as a sorted dictionary does`(_ setting: Setting, _ seed: UInt64) throws {
        let harness = try TabletHarness(seed: seed, adjust: setting.adjust)
        var held: [(Snapshot, [[UInt8]: [UInt8]])] = []
        for step in 0..<600 {
            try harness.writeRandomly(keyCount: Self.keyCount)
            switch harness.randomness.below(40) {
            case 0..<6: harness.run()
            case 6: held.append((harness.tablet.snapshot(), harness.model))
            case 7 where !held.isEmpty: held.remove(at: harness.randomness.below(held.count))
            case 8:
                harness.tablet.flush()
                harness.run()
            case 9:
                if !held.isEmpty {
                    let (snapshot, model) = held[harness.randomness.below(held.count)]
                    #expect(try harness.contents(snapshot) == model)
                    try checkGets(harness, model, snapshot)
                }
            case 10:
                held = []
                try harness.restart()
            case 11: try checkIteration(harness)
            case 12: try checkGets(harness, harness.model, nil)
            default: break
            }
            if step % 200 == 199 {
                #expect(try harness.contents() == harness.model)
                try checkIteration(harness)
            }
        }
        harness.tablet.compactAll { _ in }
        harness.run()
        #expect(try harness.contents() == harness.model)
        for (snapshot, model) in held { #expect(try harness.contents(snapshot) == model) }
        try checkGets(harness, harness.model, nil)
    }

    private func checkGets(_ harness: TabletHarness, _ model: [[UInt8]: [UInt8]], _ snapshot: Snapshot?) throws {
        for number in 0..<Self.keyCount {
            let key = TabletHarness.key(number)
            #expect(try harness.tablet.get(key, at: snapshot) == model[key])
        }
        #expect(try harness.tablet.get(Array("nothing".utf8), at: snapshot) == nil)
    }

    /// Random moves of a cursor within random bounds.
    private func checkIteration(_ harness: TabletHarness) throws {
        let randomness = harness.randomness
        let lower = randomness.below(2) == 0 ? TabletHarness.key(randomness.below(Self.keyCount)) : nil
        let upper = randomness.below(2) == 0 ? TabletHarness.key(randomness.below(Self.keyCount)) : nil
        let keys = harness.sortedKeys(harness.model).filter { key in
            if let lower, compareKeys(key, lower) < 0 { return false }
            if let upper, compareKeys(key, upper) >= 0 { return false }
            return true
        }
        let iterator = try harness.tablet.makeIterator(lower: lower, upper: upper)
        var position = -1
        for _ in 0..<60 {
            switch randomness.below(8) {
            case 0:
                try iterator.seekToFirst()
                position = keys.isEmpty ? -1 : 0
            case 1:
                try iterator.seekToLast()
                position = keys.count - 1
            case 2:
                let target = TabletHarness.key(randomness.below(Self.keyCount))
                try iterator.seek(target)
                position = keys.firstIndex { compareKeys($0, target) >= 0 } ?? -1
            case 3:
                let target = TabletHarness.key(randomness.below(Self.keyCount))
                try iterator.seekForPrevious(target)
                position = keys.lastIndex { compareKeys($0, target) <= 0 } ?? -1
            case 4, 5:
                guard position >= 0 else { continue }
                try iterator.next()
                position = position + 1 < keys.count ? position + 1 : -1
            default:
                guard position >= 0 else { continue }
                try iterator.previous()
                position -= 1
            }
            #expect(iterator.isValid == (position >= 0))
            guard iterator.isValid, position >= 0 else {
                position = -1
                continue
            }
            #expect([UInt8](iterator.key) == keys[position])
            #expect([UInt8](iterator.value) == harness.model[keys[position]])
        }
    }
}
