import KVSimulation
import Testing

@testable import KVStorage

/// Space that deletions free comes back without a command: time passes and `maintain` is called, nothing else.
struct ReclaimingTests {
    private func makeHarness(_ seed: UInt64, _ shared: SharedResources) throws -> TabletHarness {
        try TabletHarness(seed: seed) {
            $0.shared = shared
            $0.memtableBytes = 64 << 10
            $0.blockBytes = 1 << 10
            $0.tableBytes = 64 << 10
            $0.baseLevelBytes = 256 << 10
            $0.levelMultiplier = 4
            $0.reclaimBytesMin = 4 << 10
        }
    }

    private func key(_ number: Int) -> [UInt8] { Array(String(1_000_000 + number).utf8) }

    /// What a node does once a second.
    private func pass(_ seconds: Int, _ harness: TabletHarness) {
        for _ in 0..<seconds {
            harness.world.run(until: harness.world.now + 1_000_000_000)
            harness.tablet.flushIfDue()
            harness.tablet.maintain()
            harness.run()
        }
    }

    private func fill(_ harness: TabletHarness, _ count: Int) throws {
        for start in stride(from: 0, to: count, by: 20) {
            try harness.write { batch, model in
                for number in start..<(start + 20) {
                    let value = (0..<100).map { _ in UInt8(harness.randomness.below(256)) }
                    batch.put(key(number), value)
                    model[key(number)] = value
                }
            }
            if start % 200 == 0 { harness.run() }
        }
        harness.run()
    }

    private func bytesOnDisk(_ harness: TabletHarness) throws -> UInt64 {
        try harness.disk.list("t").filter { $0.hasSuffix(".sst") }
            .reduce(0) { try $0 + harness.disk.size("t/" + $1) }
    }

    @Test func `nine of ten keys deleted, disk and memory follow within a minute`() throws {
        let shared = SharedResources(blockCacheBytes: 64 << 20, tablesOpenMax: 64)
        let harness = try makeHarness(41, shared)
        let count = 20_000
        try fill(harness, count)
        harness.tablet.flush()
        harness.run()
        #expect(try harness.contents().count == count)
        #expect(shared.blockCache.bytes > 1 << 20)
        #expect(try bytesOnDisk(harness) > 2 << 20)

        for start in stride(from: 0, to: count, by: 20) {
            try harness.write { batch, model in
                for number in start..<(start + 20) where number % 10 != 0 {
                    batch.delete(key(number))
                    model[key(number)] = nil
                }
            }
            if start % 1000 == 0 { harness.run() }
        }
        pass(60, harness)
        let live = UInt64(harness.model.reduce(0) { $0 + $1.key.count + $1.value.count })
        let disk = try bytesOnDisk(harness)
        let memory = UInt64(shared.memtableBytes + shared.blockCache.bytes)
        #expect(disk * 10 < live * 13, "\(disk) bytes on the disk for \(live) live ones")
        #expect(memory * 10 < live * 13, "\(memory) bytes in memory for \(live) live ones")
        #expect(try harness.contents() == harness.model)
        // Then it rests.
        let compactions = harness.tablet.statistics.compactions
        pass(60, harness)
        #expect(harness.tablet.statistics.compactions == compactions)
    }

    @Test func `a range deletion gives its space back as well`() throws {
        let harness = try makeHarness(42, SharedResources(blockCacheBytes: 1 << 20))
        try fill(harness, 4000)
        harness.tablet.flush()
        harness.run()
        try harness.write { batch, model in
            batch.deleteRange(key(100), key(4000))
            model = model.filter { compareKeys($0.key, key(100)) < 0 }
        }
        pass(20, harness)
        let live = UInt64(harness.model.reduce(0) { $0 + $1.key.count + $1.value.count })
        let disk = try bytesOnDisk(harness)
        #expect(disk * 10 < live * 13, "\(disk) bytes on the disk for \(live) live ones")
        #expect(try harness.contents() == harness.model)
    }

    @Test func `what a snapshot held goes after the snapshot`() throws {
        let harness = try makeHarness(43, SharedResources(blockCacheBytes: 1 << 20))
        try fill(harness, 4000)
        harness.tablet.flush()
        harness.run()
        var held: Snapshot? = harness.tablet.snapshot()
        let before = harness.model
        try harness.write { batch, model in
            for number in 0..<3900 {
                batch.delete(key(number))
                model[key(number)] = nil
            }
        }
        pass(30, harness)
        #expect(try harness.contents(held) == before)
        #expect(try bytesOnDisk(harness) > 400 << 10)
        held = nil
        pass(10, harness)
        #expect(held == nil)
        let live = UInt64(harness.model.reduce(0) { $0 + $1.key.count + $1.value.count })
        let disk = try bytesOnDisk(harness)
        #expect(disk * 10 < live * 13, "\(disk) bytes on the disk for \(live) live ones")
        #expect(try harness.contents() == harness.model)
    }

    @Test func `any memtable is flushed when it is old`() throws {
        let harness = try makeHarness(44, SharedResources(blockCacheBytes: 1 << 20))
        harness.adjust = { $0.memtableAgeNanoseconds = 30_000_000_000 }
        try harness.restart()
        try harness.writeRandomly()
        pass(20, harness)
        #expect(harness.tablet.firstUnflushedIndex != nil)
        pass(15, harness)
        #expect(harness.tablet.firstUnflushedIndex == nil)
    }
}
