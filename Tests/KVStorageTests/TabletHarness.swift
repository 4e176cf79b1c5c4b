import KVBase
import KVEnvironment
import KVSimulation
import Synchronization
import Testing

@testable import KVStorage

/// A tablet on a simulated disk in virtual time, and a model of what it should hold.
final class TabletHarness {
    let disk: SimulatedFileSystem
    let randomness: SeededRandomness
    private(set) var world: SimulatedWorld
    private(set) var domain = SimulatedDomain("node")
    private(set) var tablet: Tablet
    /// What the tablet held after each applied index; index 0: empty.
    private(set) var history: [[[UInt8]: [UInt8]]] = [[:]]
    /// What it would hold after writes that were refused since the last that was not: with a log of its own, a write whose sync
    /// failed may be there all the same.
    private(set) var refused: [[[UInt8]: [UInt8]]] = []
    /// The greatest mark that the tablet called durable.
    let durable = Durable()
    var adjust: (inout TabletOptions) -> Void

    // SENDABLE: the simulator runs in one thread.
    final class Durable: @unchecked Sendable {
        var index: UInt64 = 0
    }

    init(
        seed: UInt64,
        disk: SimulatedFileSystem? = nil,
        adjust: @escaping (inout TabletOptions) -> Void = { _ in }
    ) throws {
        self.disk = disk ?? SimulatedFileSystem(seed: seed)
        randomness = SeededRandomness(seed: seed &+ 77)
        world = SimulatedWorld(seed: seed)
        self.adjust = adjust
        tablet = try Tablet.create(
            Self.options(self.disk, world, domain, randomness, durable, adjust)
        )
    }

    static func options(
        _ disk: SimulatedFileSystem,
        _ world: SimulatedWorld,
        _ domain: SimulatedDomain,
        _ randomness: SeededRandomness,
        _ durable: Durable,
        _ adjust: (inout TabletOptions) -> Void
    ) -> TabletOptions {
        var options = TabletOptions(
            fileSystem: disk,
            directory: "t",
            workers: world.makeWorkerPool("workers", in: domain),
            clock: SimulatedClock(world),
            randomness: randomness.split(),
            shared: SharedResources(blockCacheBytes: 64 << 10, tablesOpenMax: 8)
        )
        options.memtableBytes = 2 << 10
        options.sealedHardMax = 1000
        options.blockBytes = 256
        options.restartInterval = 4
        options.tableBytes = 2 << 10
        options.baseLevelBytes = 6 << 10
        options.levelMultiplier = 3
        options.onDurable = { durable.index = max(durable.index, $0.appliedIndex) }
        adjust(&options)
        return options
    }

    var model: [[UInt8]: [UInt8]] { history[history.count - 1] }

    /// Applies a batch to the tablet and the model.
    func write(_ body: (inout WriteBatch, inout [[UInt8]: [UInt8]]) -> Void) throws {
        var batch = WriteBatch()
        var next = model
        body(&batch, &next)
        do { try tablet.write(batch, mark: Self.mark(UInt64(history.count))) } catch {
            refused.append(next)
            throw error
        }
        history.append(next)
        refused = []
    }

    /// A mark whose every field follows from the index.
    static func mark(_ index: UInt64) -> TabletMark {
        TabletMark(
            appliedIndex: index,
            appliedTerm: index / 10 + 1,
            revision: index * 3,
            loggedTime: index * 1000,
            epoch: Epoch(index / 50 + 1),
            flags: index % 2 == 0 ? .frozen : [],
            chainedHash: index &* 0x9e37_79b9_7f4a_7c15
        )
    }

    func run() { _ = world.runUntilIdle() }

    /// The machine stops and comes back; opens the tablet again.
    func crash(_ survival: CrashSurvival) throws {
        stop()
        disk.crash(survival)
        try reopen()
    }

    /// Ends this life without a word.
    func stop() { domain.kill() }

    /// Opens the tablet without holding it against the model.
    func openAndLook() throws -> Tablet {
        domain = SimulatedDomain("node")
        world = SimulatedWorld(seed: randomness.next())
        tablet = try Tablet.open(Self.options(disk, world, domain, randomness, durable, adjust))
        return tablet
    }

    func reopen() throws {
        domain = SimulatedDomain("node")
        world = SimulatedWorld(seed: randomness.next())
        tablet = try Tablet.open(Self.options(disk, world, domain, randomness, durable, adjust))
        let index = Int(tablet.mark.appliedIndex)
        if index == history.count {
            let found = try contents()
            try #require(refused.contains(found), "batch \(index) is there and was never tried so")
            history.append(found)
        }
        refused = []
        // What the tablet does not hold is gone: the log would bring it again.
        try #require(index < history.count, "batch \(index) of \(history.count - 1)")
        history.removeLast(history.count - 1 - index)
    }

    /// Closes properly, and opens again.
    func restart() throws {
        tablet.close()
        run()
        try reopen()
    }

    /// One random batch of one to five operations on a small set of keys.
    func writeRandomly(keyCount: Int = 60, valueBytesMax: Int = 60, ranges: Bool = true) throws {
        try write { batch, model in
            for _ in 0..<(1 + randomness.below(5)) {
                let key = Self.key(randomness.below(keyCount))
                switch randomness.below(ranges ? 81 : 80) {
                case 0..<60:
                    let value = [UInt8](
                        repeating: UInt8(randomness.below(256)),
                        count: randomness.below(valueBytesMax + 1)
                    )
                    batch.put(key, value)
                    model[key] = value
                case 60..<80:
                    batch.delete(key)
                    model[key] = nil
                default:
                    let end = Self.key(randomness.below(keyCount))
                    batch.deleteRange(key, end)
                    for victim in model.keys where compareKeys(victim, key) >= 0 && compareKeys(victim, end) < 0 {
                        model[victim] = nil
                    }
                }
            }
        }
    }

    static func key(_ number: Int) -> [UInt8] {
        // Lengths and prefixes differ, so that separators and shared prefixes are met in all shapes.
        Array("key".utf8) + Array(String(number * 7919 % 1000).utf8) + [UInt8](repeating: 0xff, count: number % 3)
    }

    /// Opens the tablet on another disk, in a life of its own.
    static func open(
        _ disk: SimulatedFileSystem,
        _ directory: String = "t",
        adjust: (inout TabletOptions) -> Void
    ) throws -> Tablet {
        try Tablet.open(
            options(
                disk,
                SimulatedWorld(seed: 1),
                SimulatedDomain("node"),
                SeededRandomness(seed: 1),
                Durable()
            ) {
                adjust(&$0)
                $0.directory = directory
                $0.compactsAutomatically = false
            }
        )
    }

    /// What a cursor shows from front to back.
    func contents(_ snapshot: Snapshot? = nil) throws -> [[UInt8]: [UInt8]] {
        try Self.contents(tablet, snapshot)
    }

    static func contents(_ tablet: Tablet, _ snapshot: Snapshot? = nil) throws -> [[UInt8]: [UInt8]] {
        let iterator = try tablet.makeIterator(snapshot)
        try iterator.seekToFirst()
        var found: [[UInt8]: [UInt8]] = [:]
        while iterator.isValid {
            found[[UInt8](iterator.key)] = [UInt8](iterator.value)
            try iterator.next()
        }
        return found
    }

    func sortedKeys(_ model: [[UInt8]: [UInt8]]) -> [[UInt8]] { model.keys.sorted { compareKeys($0, $1) < 0 } }
}

/// A pool that runs jobs when told, in the order given.
// SENDABLE: tests use it from one thread.
final class StepPool: WorkerPool, @unchecked Sendable {
    private var jobs: [@Sendable () -> Void] = []

    func submit(_ job: @escaping @Sendable () -> Void) { jobs.append(job) }

    /// Runs the oldest job; false where there is none.
    @discardableResult
    func step() -> Bool {
        guard !jobs.isEmpty else { return false }
        jobs.removeFirst()()
        return true
    }

    func runAll() { while step() {} }
}
