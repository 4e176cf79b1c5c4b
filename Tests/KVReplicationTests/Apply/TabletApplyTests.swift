import KVBase
import KVEnvironment
import KVRaft
import KVReplication
import KVService
import KVSimulation
import KVStorage
import Testing

/// Real tablets on a simulated disk, with memtables and a cache so small that everything flushes and nothing stays in memory.
private final class TabletNode {
    let disk: SimulatedFileSystem
    let shards: Int
    private let randomness: SeededRandomness
    private(set) var world: SimulatedWorld
    private var domain = SimulatedDomain("node")
    private(set) var tablets: [Tablet] = []

    init(seed: UInt64, shards: Int) throws {
        disk = SimulatedFileSystem(seed: seed)
        randomness = SeededRandomness(seed: seed)
        world = SimulatedWorld(seed: seed)
        self.shards = shards
        let options = optionsOfAll()
        for one in options { tablets.append(try Tablet.create(one)) }
    }

    private func optionsOfAll() -> [TabletOptions] {
        let shared = SharedResources(blockCacheBytes: 256, tablesOpenMax: 4)
        let workers = world.makeWorkerPool("workers", in: domain)
        return (0..<shards).map { shard in
            var options = TabletOptions(
                fileSystem: disk,
                directory: "tablet\(shard)",
                workers: workers,
                clock: SimulatedClock(world),
                randomness: randomness.split(),
                shared: shared
            )
            options.memtableBytes = 2 << 10
            options.sealedHardMax = 1000
            options.blockBytes = 256
            options.tableBytes = 2 << 10
            options.baseLevelBytes = 6 << 10
            options.levelMultiplier = 3
            return options
        }
    }

    func run() { _ = world.runUntilIdle() }

    /// The machine stops and comes back with what was flushed.
    func crash(_ survival: CrashSurvival) throws {
        domain.kill()
        disk.crash(survival)
        domain = SimulatedDomain("node")
        world = SimulatedWorld(seed: randomness.next())
        let options = optionsOfAll()
        tablets = []
        for one in options { tablets.append(try Tablet.open(one)) }
    }
}

private func expected(_ log: [Entry], shards: Int) throws -> ApplyBench<MemoryRowStore> {
    let bench = ApplyBench((0..<shards).map { _ in MemoryRowStore() })
    _ = try apply(log[...], to: bench)
    return bench
}

@Test(arguments: [21, 22] as [UInt64])
func `tablets that read every row from the disk agree with memory`(seed: UInt64) throws {
    let log = randomLog(seed: seed, entries: 400, shards: 3)
    let memory = ApplyBench((0..<3).map { _ in MemoryRowStore() })
    let node = try TabletNode(seed: seed, shards: 3)
    let bench = ApplyBench(node.tablets)
    for entry in log {
        let expected = try apply([entry], to: memory)
        #expect(try apply([entry], to: bench) == expected)
        if entry.index % 20 == 0 {
            for tablet in node.tablets { tablet.flush() }
            node.run()
        }
    }
    #expect(bench.blocks > 0)
    #expect(node.tablets.map(\.mark) == memory.applier.shards.map(\.mark))
    #expect(try digests(bench) == digests(memory))
    for request in [
        ScanRequest(limit: 100), ScanRequest(limit: 3), ScanRequest(limit: 100, isReversed: true),
        ScanRequest(end: Array("k5".utf8), limit: 2, isReversed: true),
        ScanRequest(start: Array("k2".utf8), limit: 10, keysOnly: true), ScanRequest(prefix: Array("k7".utf8)),
    ] {
        let time = bench.applier.loggedTime
        let page = try ShardScan.page(request, over: bench.applier.shards.map { $0.pin() }, time: time)
        #expect(page == (try ShardScan.page(request, over: memory.applier.shards.map { $0.pin() }, time: time)))
    }
}

@Test(arguments: [31, 32, 33] as [UInt64], CrashSurvival.allCases)
func `a replay over recovered tablets ends where a run without crash does`(
    seed: UInt64,
    survival: CrashSurvival
) throws {
    let log = randomLog(seed: seed, entries: 200, shards: 2)
    let straight = try expected(log, shards: 2)
    var numbers = Numbers(seed: seed)
    let node = try TabletNode(seed: seed, shards: 2)
    for _ in 0..<6 {
        let bench = ApplyBench(node.tablets)
        let start = node.tablets.map(\.mark.appliedIndex).min() ?? 0
        let end = min(Int(start) + 10 + numbers.below(80), log.count)
        for entry in log[Int(start)..<end] {
            _ = try apply([entry], to: bench)
            if numbers.below(15) == 0 { node.tablets[numbers.below(2)].flush() }
            if numbers.below(4) == 0 { node.run() }
        }
        try node.crash(survival)
    }
    let bench = ApplyBench(node.tablets)
    _ = try apply(log[...], to: bench)
    #expect(node.tablets.map(\.mark) == straight.applier.shards.map(\.mark))
    #expect(try digests(bench) == digests(straight))
}

@Test func `a pinned shard stays as it was while entries are applied`() throws {
    let node = try TabletNode(seed: 41, shards: 1)
    let bench = ApplyBench(node.tablets)
    try bench.run { $0.put("a", "1") }
    let shard = try #require(bench.applier[ShardID(0)])
    let pinned = shard.pin()
    let before = try ShardScan.digest(of: pinned, group: GroupID(1))
    try bench.run {
        $0.put("b", "2")
        $0.delete("a")
    }
    node.tablets[0].flush()
    node.run()
    #expect(try ShardScan.digest(of: pinned, group: GroupID(1)) == before)
    #expect(before.appliedIndex == 1)
    let after = try ShardScan.digest(of: shard.pin(), group: GroupID(1))
    #expect(after.appliedIndex == 2)
    #expect(after.hash != before.hash)
}
