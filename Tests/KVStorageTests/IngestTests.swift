import KVEnvironment
import KVSimulation
import Testing

@testable import KVStorage

/// Finished tables that a tablet takes in with one edit.
struct IngestTests {
    // SENDABLE: the simulator runs in one thread.
    private final class Box: @unchecked Sendable {
        var result: Result<TabletMark, StorageError>?
    }

    private func key(_ number: Int) -> [UInt8] { Array("in\(1000 + number)".utf8) }

    private func makeTable(
        _ harness: TabletHarness,
        _ numbers: some Sequence<Int>,
        _ name: String,
        value: UInt8 = 9,
        sequence: UInt64? = nil
    ) throws -> FinishedTable {
        try harness.disk.createDirectory("in")
        let writer = try TableFileWriter(
            path: "in/" + name,
            sequence: sequence ?? harness.tablet.lastSequence + 1,
            options: harness.tablet.options
        )
        for number in numbers {
            try key(number).withUnsafeBytes { key in
                try [value, UInt8(number % 256)].withUnsafeBytes { try writer.put(key, $0) }
            }
        }
        return try writer.finish()
    }

    private func ingest(_ harness: TabletHarness, _ tables: [FinishedTable]) -> Result<TabletMark, StorageError>? {
        let box = Box()
        harness.tablet.ingest(tables, mark: TabletHarness.mark(harness.tablet.mark.appliedIndex + 1)) {
            box.result = $0
        }
        harness.run()
        return box.result
    }

    @Test(arguments: [UInt64(61), 62, 63, 64])
    func `tables taken in shadow what was there, survive a crash, and older snapshots do not see them`(
        _ seed: UInt64
    ) throws {
        let harness = try TabletHarness(seed: seed)
        for number in stride(from: 0, to: 300, by: 2) {
            try harness.write { batch, model in
                batch.put(key(number), [1])
                model[key(number)] = [1]
            }
            if seed % 2 == 0, number % 40 == 0 { harness.run() }
        }
        let held = harness.tablet.snapshot()
        let before = harness.model
        let tables = [
            try makeTable(harness, 0..<100, "a.sst"), try makeTable(harness, 100..<140, "b.sst"),
            try makeTable(harness, 900..<1000, "c.sst"),
        ]
        let mark = TabletHarness.mark(harness.tablet.mark.appliedIndex + 1)
        #expect(ingest(harness, tables) == .success(mark))
        #expect(harness.tablet.mark == mark)
        #expect(harness.tablet.durableMark == mark)
        var model = before
        for number in Array(0..<140) + Array(900..<1000) { model[key(number)] = [9, UInt8(number % 256)] }
        #expect(try harness.contents() == model)
        #expect(try harness.contents(held) == before)
        for number in 0..<300 { #expect(try harness.tablet.get(key(number)) == model[key(number)]) }

        // It goes on: newer writes shadow what was taken in.
        var batch = WriteBatch()
        batch.put(key(5), [7])
        batch.delete(key(6))
        try harness.tablet.write(batch, mark: TabletHarness.mark(mark.appliedIndex + 1))
        model[key(5)] = [7]
        model[key(6)] = nil
        #expect(try harness.contents() == model)
        harness.tablet.flush()
        harness.tablet.compactAll { _ in }
        harness.run()
        #expect(try harness.contents() == model)
        #expect(try harness.contents(held) == before)
        harness.stop()
        harness.disk.crash(.loseAll)
        #expect(try harness.openAndLook().mark.appliedIndex == mark.appliedIndex + 1)
        #expect(try harness.contents() == model)
    }

    @Test func `into an empty tablet they go to the last level`() throws {
        let harness = try TabletHarness(seed: 65)
        let tables = [try makeTable(harness, 0..<50, "a.sst"), try makeTable(harness, 50..<60, "b.sst")]
        #expect(ingest(harness, tables) == .success(TabletHarness.mark(1)))
        #expect(harness.tablet.statistics.tablesPerLevel == [0, 0, 0, 0, 0, 0, 2])
        #expect(harness.disk.exists("in/a.sst"))
    }

    @Test func `tables of another moment, or that overlap, are refused, and nothing changes`() throws {
        let harness = try TabletHarness(seed: 66)
        let early = try makeTable(harness, 0..<10, "early.sst")
        try harness.writeRandomly()
        func isRefused(_ result: Result<TabletMark, StorageError>?) -> Bool {
            if case .failure(.invalidIngest) = result { true } else { false }
        }
        #expect(isRefused(ingest(harness, [early])))
        let first = try makeTable(harness, 0..<10, "first.sst")
        let second = try makeTable(harness, 9..<20, "second.sst")
        #expect(isRefused(ingest(harness, [first, second])))
        #expect(isRefused(ingest(harness, [])))
        #expect(try harness.contents() == harness.model)
        try harness.writeRandomly()
        #expect(try harness.contents() == harness.model)
    }

    @Test func `a damaged table is refused, and nothing of its fellows stays`() throws {
        let harness = try TabletHarness(seed: 67)
        try harness.writeRandomly()
        harness.tablet.flush()
        harness.run()
        let files = try harness.disk.list("t").filter { $0.hasSuffix(".sst") }
        let good = try makeTable(harness, 0..<50, "good.sst")
        let bad = try makeTable(harness, 50..<90, "bad.sst")
        harness.disk.flipBit(700, of: "in/bad.sst")
        guard case .failure(.corruption) = ingest(harness, [good, bad]) else {
            Issue.record("a damaged table was taken in")
            return
        }
        #expect(try harness.disk.list("t").filter { $0.hasSuffix(".sst") } == files)
        #expect(harness.tablet.state == .healthy)
        #expect(try harness.contents() == harness.model)
        try harness.writeRandomly()
        #expect(try harness.contents() == harness.model)
    }

    @Test func `while tables come in nothing is written, and after it is`() throws {
        let harness = try TabletHarness(seed: 68)
        try harness.writeRandomly()
        let table = try makeTable(harness, 0..<50, "a.sst")
        let box = Box()
        harness.tablet.ingest([table], mark: TabletHarness.mark(2)) { box.result = $0 }
        #expect(throws: StorageError.ingesting) { try harness.writeRandomly() }
        harness.run()
        #expect(box.result == .success(TabletHarness.mark(2)))
        var batch = WriteBatch()
        batch.put([1], [1])
        try harness.tablet.write(batch, mark: TabletHarness.mark(3))
        #expect(try harness.tablet.get([1]) == [1])
    }

    @Test(arguments: CrashSurvival.allCases)
    func `after a crash at any operation all tables are in, or none`(_ survival: CrashSurvival) throws {
        for ownLog in [false, true] {
            let adjust: (inout TabletOptions) -> Void = {
                if ownLog { $0.durability = .log(synchronizes: true) }
                $0.logSegmentBytes = 4 << 10
                $0.preparesLogSegments = false
            }
            var operation = 0
            var isDone = false
            while !isDone {
                operation += 1
                let harness = try TabletHarness(seed: 69, adjust: adjust)
                for _ in 0..<10 { try harness.writeRandomly() }
                harness.tablet.flush()
                harness.run()
                let tables = [try makeTable(harness, 0..<50, "a.sst"), try makeTable(harness, 50..<90, "b.sst")]
                let before = harness.model
                let mark = harness.tablet.mark
                harness.disk.resetCounters()
                harness.disk.faults.crashAt = operation
                let result = ingest(harness, tables)
                isDone = !harness.disk.hasCrashed
                harness.stop()
                harness.disk.crash(survival)
                let tablet = try harness.openAndLook()
                var whole = before
                for number in 0..<90 { whole[key(number)] = [9, UInt8(number % 256)] }
                let isIn = tablet.mark.appliedIndex == mark.appliedIndex + 1
                if case .success = result { #expect(isIn, "crash at \(operation)") }
                #expect(isIn || tablet.mark == mark, "crash at \(operation)")
                #expect(try harness.contents() == (isIn ? whole : before), "crash at \(operation)")
            }
            #expect(operation > 4)
        }
    }
}
