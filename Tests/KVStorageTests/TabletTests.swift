import KVBase
import KVEnvironment
import KVSimulation
import Testing

@testable import KVStorage

struct TabletTests {
    // SENDABLE: the simulator runs in one thread.
    private final class Box<T>: @unchecked Sendable {
        var values: [T] = []
    }

    private func put(_ harness: TabletHarness, _ key: UInt8, _ value: [UInt8]) throws {
        try harness.write { batch, model in
            batch.put([key], value)
            model[[key]] = value
        }
    }

    @Test func `the first unflushed index is that of the oldest write that only the log has`() throws {
        let harness = try TabletHarness(seed: 1) { $0.compactsAutomatically = false }
        #expect(harness.tablet.firstUnflushedIndex == nil)
        try put(harness, 1, [1])
        try put(harness, 2, [1])
        #expect(harness.tablet.firstUnflushedIndex == 1)
        harness.tablet.flush()
        #expect(harness.tablet.firstUnflushedIndex == 1)
        try put(harness, 3, [1])
        #expect(harness.tablet.firstUnflushedIndex == 1)
        harness.run()
        #expect(harness.tablet.firstUnflushedIndex == 3)
        #expect(harness.tablet.durableMark == TabletHarness.mark(2))
        #expect(harness.tablet.mark == TabletHarness.mark(3))
        harness.tablet.flush()
        harness.run()
        #expect(harness.tablet.firstUnflushedIndex == nil)
        #expect(harness.tablet.oldestUnflushed == nil)
    }

    @Test func `a batch without operations moves the mark, and the flush makes it durable`() throws {
        let harness = try TabletHarness(seed: 2)
        try put(harness, 1, [1])
        harness.tablet.flush()
        harness.run()
        try harness.write { _, _ in }
        #expect(harness.tablet.firstUnflushedIndex == 2)
        let box = Box<Result<TabletMark, StorageError>>()
        harness.tablet.forceFlush { box.values.append($0) }
        harness.run()
        #expect(box.values == [.success(TabletHarness.mark(2))])
        #expect(harness.durable.index == 2)
        try harness.crash(.loseAll)
        #expect(harness.tablet.mark == TabletHarness.mark(2))
        #expect(try harness.contents() == [[1]: [1]])
    }

    @Test func `look-ups that memory can answer never ask for the disk`() throws {
        let harness = try TabletHarness(seed: 3)
        try put(harness, 1, [1])
        harness.tablet.flush()
        harness.run()
        try harness.restart()
        try put(harness, 2, [2])
        func look(_ key: UInt8, memoryOnly: Bool) throws -> String {
            try [key].withUnsafeBytes { bytes in
                try harness.tablet.get(bytes, memoryOnly: memoryOnly) { result in
                    switch result {
                    case .found(let value): "found \(Array(value))"
                    case .absent: "absent"
                    case .needsDisk: "needs disk"
                    }
                }
            }
        }
        #expect(try look(2, memoryOnly: true) == "found [2]")
        #expect(try look(1, memoryOnly: true) == "needs disk")
        let reads = harness.disk.readCount
        #expect(try look(1, memoryOnly: true) == "needs disk")
        #expect(harness.disk.readCount == reads)
        #expect(try look(1, memoryOnly: false) == "found [1]")
        #expect(try look(1, memoryOnly: true) == "found [1]")
        #expect(try look(9, memoryOnly: true) == "absent")
    }

    @Test func `sealed memtables raise the pressure, and past the hard bound writes are refused whole`() throws {
        let harness = try TabletHarness(seed: 4) {
            $0.sealedMax = 3
            $0.sealedHardMax = 5
        }
        var pressures: [Double] = [harness.tablet.pressure]
        #expect(throws: StorageError.memtablesFull) {
            for number in 0..<1000 {
                try harness.write { batch, model in
                    let key = TabletHarness.key(number)
                    batch.put(key, [UInt8](repeating: 1, count: 100))
                    model[key] = [UInt8](repeating: 1, count: 100)
                }
                pressures.append(harness.tablet.pressure)
            }
        }
        #expect(pressures.first == 0)
        #expect(zip(pressures, pressures.dropFirst()).allSatisfy { $0 <= $1 })
        #expect(pressures.last == 1)
        #expect(harness.tablet.statistics.stalls > 0)
        #expect(try harness.contents() == harness.model)
        harness.run()
        #expect(harness.tablet.pressure < 0.5)
        try put(harness, 1, [1])
        #expect(try harness.contents() == harness.model)
    }

    @Test func `many tables in level 0 raise the pressure`() throws {
        let harness = try TabletHarness(seed: 5) {
            $0.compactsAutomatically = false
            $0.levelZeroSlowAt = 4
            $0.levelZeroStopAt = 8
        }
        for number in 0..<9 {
            #expect(harness.tablet.pressure == min(1, max(0, Double(number) - 4) / 4))
            try put(harness, 1, [UInt8(number)])
            harness.tablet.flush()
            harness.run()
        }
        #expect(harness.tablet.pressure == 1)
    }

    @Test func `a shared memory budget makes the larger tablets flush early`() throws {
        let shared = SharedResources(blockCacheBytes: 0, memtableBytesMax: 8 << 10)
        let harness = try TabletHarness(seed: 6) {
            $0.shared = shared
            $0.memtableBytes = 1 << 20
        }
        for number in 0..<200 {
            try put(harness, UInt8(number), [UInt8](repeating: 1, count: 100))
            harness.run()
        }
        #expect(harness.tablet.statistics.flushes > 2)
        #expect(shared.memtableBytes < 8 << 10)
        harness.tablet.flush()
        harness.run()
        #expect(try harness.contents() == harness.model)
    }

    @Test func `close stops jobs, tells who waits, and refuses writes`() throws {
        let harness = try TabletHarness(seed: 7)
        for _ in 0..<100 { try harness.writeRandomly() }
        let flushed = Box<Result<TabletMark, StorageError>>()
        harness.tablet.forceFlush { flushed.values.append($0) }
        let closed = Box<Bool>()
        harness.tablet.close { closed.values.append(true) }
        #expect(flushed.values == [.failure(.closed)])
        #expect(throws: StorageError.closed) { try harness.writeRandomly() }
        harness.run()
        #expect(closed.values == [true])
        harness.tablet.close { closed.values.append(true) }
        #expect(closed.values == [true, true])
    }

    @Test func `close ends even while an edit waits for room on the disk`() throws {
        let harness = try TabletHarness(seed: 8)
        for _ in 0..<20 { try harness.writeRandomly() }
        harness.disk.observer = { _, operation, path in
            harness.disk.faults.reason = .noSpace
            harness.disk.faults.failAt = path.contains("MANIFEST") ? harness.disk.operationCount : nil
        }
        harness.tablet.flush()
        harness.run()
        #expect(harness.tablet.isDiskFull)
        let closed = Box<Bool>()
        harness.tablet.close { closed.values.append(true) }
        harness.run()
        #expect(closed.values == [true])
        harness.disk.observer = nil
        try harness.crash(.random)
        #expect(try harness.contents() == harness.model)
    }

    @Test func `a tablet is not made where there is one`() throws {
        let harness = try TabletHarness(seed: 9)
        #expect(throws: StorageError.file(FileError(.create, path: "t", reason: .exists))) {
            try Tablet.create(
                TabletHarness.options(
                    harness.disk,
                    harness.world,
                    harness.domain,
                    harness.randomness,
                    TabletHarness.Durable()
                ) { _ in }
            )
        }
    }

    @Test(arguments: CrashSurvival.allCases)
    func `a crash while a tablet is made leaves none, or a whole one`(_ survival: CrashSurvival) throws {
        for operation in 1...20 {
            let disk = SimulatedFileSystem(seed: UInt64(operation))
            disk.faults.crashAt = operation
            let world = SimulatedWorld(seed: 1)
            let options = TabletHarness.options(
                disk,
                world,
                SimulatedDomain("n"),
                SeededRandomness(seed: 1),
                TabletHarness.Durable()
            ) { _ in }
            do { _ = try Tablet.create(options) } catch {}
            disk.crash(survival)
            let tablet = Tablet.exists(disk, "t") ? try Tablet.open(options) : try Tablet.create(options)
            #expect(tablet.mark == TabletMark())
        }
    }

    @Test func `later operations of a batch win, whatever their kind`() throws {
        let harness = try TabletHarness(seed: 10)
        try harness.write { batch, model in
            batch.put([1], [1])
            batch.put([2], [1])
            batch.put([3], [1])
            batch.deleteRange([1], [3])
            batch.put([2], [2])
            batch.put([2], [3])
            batch.delete([3])
            model = [[2]: [3]]
        }
        #expect(try harness.contents() == harness.model)
        harness.tablet.flush()
        harness.run()
        #expect(try harness.contents() == harness.model)
        for key in 1...3 { #expect(try harness.tablet.get([UInt8(key)]) == harness.model[[UInt8(key)]]) }
    }

    @Test func `a table cache of one table keeps one open, and reads still answer`() throws {
        let shared = SharedResources(blockCacheBytes: 1 << 20, tablesOpenMax: 1)
        let harness = try TabletHarness(seed: 11) {
            $0.shared = shared
            $0.compactsAutomatically = false
        }
        for number in 0..<10 {
            try put(harness, UInt8(number), [UInt8(number)])
            harness.tablet.flush()
            harness.run()
        }
        for _ in 0..<3 {
            for number in 0..<10 { #expect(try harness.tablet.get([UInt8(number)]) == [UInt8(number)]) }
            #expect(shared.tableCache.openCount <= 1)
        }
    }

    @Test func `a table that a reader holds is removed only after the reader lets go`() throws {
        let harness = try TabletHarness(seed: 12)
        for _ in 0..<100 { try harness.writeRandomly(ranges: false) }
        harness.tablet.flush()
        harness.run()
        let model = harness.model
        var iterator: TabletIterator? = try harness.tablet.makeIterator()
        try iterator?.seekToFirst()
        let before = try harness.disk.list("t").filter { $0.hasSuffix(".sst") }
        harness.tablet.compactAll { _ in }
        harness.run()
        for _ in 0..<50 { try harness.writeRandomly() }
        #expect(Set(before).isSubset(of: try harness.disk.list("t")))
        var count = 0
        while let cursor = iterator, cursor.isValid {
            #expect(model[[UInt8](cursor.key)] == [UInt8](cursor.value))
            count += 1
            try cursor.next()
        }
        #expect(count == model.count)
        iterator = nil
        harness.tablet.maintain()
        harness.run()
        #expect(Set(before).isDisjoint(with: try harness.disk.list("t")))
    }

    @Test func `the same seed makes the same bytes`() throws {
        func bytes() throws -> [String: [UInt8]] {
            let harness = try TabletHarness(seed: 13)
            for step in 0..<200 {
                try harness.writeRandomly()
                if step % 7 == 0 { harness.run() }
            }
            harness.run()
            return Dictionary(
                uniqueKeysWithValues: harness.disk.allFiles().map { ($0, harness.disk.content(of: $0) ?? []) }
            )
        }
        #expect(try bytes() == bytes())
    }
}
