import KVSimulation
import Testing

@testable import KVStorage

struct CompactionTests {
    private func rules(_ snapshots: [UInt64], below: [Level]?, _ ranges: [RangeTombstone] = []) -> DropRules {
        DropRules(snapshots: snapshots, ranges: RangeTombstoneSet(ranges), below: below)
    }

    private func kept(_ rules: DropRules, _ entries: [([UInt8], UInt64, UInt8)]) -> [UInt64] {
        var rules = rules
        var isNew = false
        return entries.filter { key, sequence, kind in
            key.withView { rules.keeps($0, EntryTag.make(sequence, kind), isNewKey: &isNew) }
        }.map(\.1)
    }

    @Test func `without snapshots only the newest version stays`() {
        #expect(kept(rules([], below: nil), [([1], 9, 1), ([1], 5, 1), ([1], 3, 0), ([2], 4, 1)]) == [9, 4])
    }

    @Test func `each snapshot keeps the version it sees`() {
        let entries: [([UInt8], UInt64, UInt8)] = [([1], 9, 1), ([1], 7, 1), ([1], 5, 1), ([1], 3, 1), ([1], 1, 1)]
        #expect(kept(rules([5], below: nil), entries) == [9, 5])
        #expect(kept(rules([4, 8], below: nil), entries) == [9, 7, 3])
        #expect(kept(rules([0], below: nil), entries) == [9])
        #expect(kept(rules([9], below: nil), entries) == [9])
    }

    @Test func `a deletion goes only where nothing below holds the key and no snapshot is older`() throws {
        let entries: [([UInt8], UInt64, UInt8)] = [([1], 9, 0), ([1], 5, 1)]
        #expect(kept(rules([], below: []), entries) == [])
        #expect(kept(rules([], below: nil), entries) == [9])
        #expect(kept(rules([6], below: []), entries) == [9, 5])
        #expect(kept(rules([9], below: []), entries) == [])
        #expect(kept(rules([], below: [try level([0], [5])]), entries) == [9])
        #expect(kept(rules([], below: [try level([2], [5])]), entries) == [])
    }

    @Test func `a range deletion drops what is older, in the same stripe only`() {
        let range = RangeTombstone(start: [1], end: [3], sequence: 8)
        let entries: [([UInt8], UInt64, UInt8)] = [([0], 5, 1), ([1], 9, 1), ([2], 5, 1), ([3], 5, 1)]
        #expect(kept(rules([], below: nil, [range]), entries) == [5, 9, 5])
        #expect(kept(rules([6], below: nil, [range]), entries) == [5, 9, 5, 5])
        #expect(rules([], below: nil, [range]).keptRanges() == [range])
        #expect(rules([], below: [], [range]).keptRanges() == [])
        #expect(rules([7], below: [], [range]).keptRanges() == [range])
    }

    private func level(_ smallest: [UInt8], _ largest: [UInt8]) throws -> Level {
        let environment = TableEnvironment(
            fileSystem: SimulatedFileSystem(),
            directory: "t",
            shared: SharedResources(blockCacheBytes: 0)
        )
        let metadata = TableMetadata(
            number: 1,
            uid: 1,
            size: 1,
            smallest: smallest,
            largest: largest,
            largestIsExclusive: false,
            sequenceMin: 1,
            sequenceMax: 2,
            entryCount: 1,
            tombstoneCount: 0,
            rangeCount: 0
        )
        return Level([TableFile(metadata, environment)])
    }

    @Test func `overlapping range deletions are cut into fragments that keep every sequence`() {
        let set = RangeTombstoneSet([
            RangeTombstone(start: [1], end: [5], sequence: 4), RangeTombstone(start: [3], end: [8], sequence: 6),
            RangeTombstone(start: [3], end: [3], sequence: 9),
        ])
        #expect(set.fragments.map(\.start) == [[1], [3], [5]])
        #expect(set.fragments.map(\.sequences) == [[4], [6, 4], [6]])
        func newest(_ key: UInt8, _ sequence: UInt64) -> UInt64 {
            [key].withView { set.newestCovering($0, at: sequence) }
        }
        #expect(newest(0, 99) == 0)
        #expect(newest(1, 99) == 4)
        #expect(newest(3, 99) == 6)
        #expect(newest(4, 5) == 4)
        #expect(newest(7, 5) == 0)
        #expect(newest(8, 99) == 0)
    }

    @Test(
        arguments: [
            ([0, 0, 0, 0, 0, 0, 0], 6, [0, 0, 0, 0, 0, 0, 100]), ([0, 0, 0, 0, 0, 0, 90], 6, [0, 0, 0, 0, 0, 0, 100]),
            ([0, 0, 0, 0, 0, 0, 500], 5, [0, 0, 0, 0, 0, 50, 500]),
            ([0, 0, 0, 0, 0, 0, 50_000], 3, [0, 0, 0, 50, 500, 5000, 50_000]),
            ([0, 0, 0, 5, 0, 0, 500], 3, [0, 0, 0, 1, 5, 50, 500]),
        ] as [([UInt64], Int, [UInt64])]
    )
    func `level targets follow the last level, and no used level is skipped`(
        _ sizes: [UInt64],
        _ baseLevel: Int,
        _ targets: [UInt64]
    ) {
        let found = LevelTargets(sizes: sizes, base: 100, multiplier: 10)
        #expect(found.baseLevel == baseLevel)
        #expect(found.targets == targets)
    }

    @Test func `what a snapshot sees survives any number of compactions, and goes after it`() throws {
        let harness = try TabletHarness(seed: 21)
        for number in 0..<100 {
            try harness.write { batch, model in
                batch.put(TabletHarness.key(number), [1])
                model[TabletHarness.key(number)] = [1]
            }
        }
        let held = harness.tablet.snapshot()
        let before = harness.model
        for number in 0..<100 {
            try harness.write { batch, model in
                batch.delete(TabletHarness.key(number))
                model[TabletHarness.key(number)] = nil
            }
        }
        for _ in 0..<3 {
            harness.tablet.flush()
            harness.tablet.compactAll { _ in }
            harness.run()
        }
        #expect(try harness.contents(held) == before)
        #expect(try harness.contents().isEmpty)
        #expect(harness.tablet.statistics.bytesPerLevel.reduce(0, +) > 0)
    }

    @Test func `deletions of everything leave nothing behind`() throws {
        let harness = try TabletHarness(seed: 22)
        for round in 0..<3 {
            for number in 0..<300 {
                try harness.write { batch, model in
                    batch.put(TabletHarness.key(number), [UInt8(round)])
                    model[TabletHarness.key(number)] = [UInt8(round)]
                }
            }
            harness.run()
        }
        try harness.write { batch, model in
            batch.deleteRange([0], [0xff])
            model = [:]
        }
        harness.tablet.flush()
        harness.tablet.compactAll { _ in }
        harness.run()
        #expect(try harness.contents().isEmpty)
        #expect(harness.tablet.statistics.tablesPerLevel.reduce(0, +) == 0)
    }

    @Test func `keys in rising order are moved down without being rewritten`() throws {
        let harness = try TabletHarness(seed: 23)
        for number in 0..<4000 {
            try harness.write { batch, model in
                let key = Array("\(1_000_000 + number)".utf8)
                let value = (0..<40).map { _ in UInt8(harness.randomness.below(256)) }
                batch.put(key, value)
                model[key] = value
            }
            if number % 50 == 0 { harness.run() }
        }
        harness.run()
        #expect(harness.tablet.statistics.trivialMoves > 10)
        #expect(try harness.contents() == harness.model)
    }
}
