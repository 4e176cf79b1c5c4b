import KVEnvironment
import KVSimulation
import Testing

@testable import KVStorage

/// A tablet with a log of its own: crashes, errors and failed reads at every operation.
struct JournalSweepTests {
    private static let adjust: @Sendable (inout TabletOptions) -> Void = {
        $0.durability = .log(synchronizes: true)
        $0.logSegmentBytes = 4 << 10
    }

    private static func makeHarness(_ seed: UInt64) throws -> TabletHarness {
        let harness = try TabletHarness(seed: seed, adjust: adjust)
        harness.disk.resetCounters()
        return harness
    }

    private static func operationCount(_ seed: UInt64) throws -> Int {
        let harness = try makeHarness(seed)
        CrashSweepTests.work(harness)
        return harness.disk.operationCount
    }

    /// Opened after a crash, it holds every write that returned, and at most one that did not.
    private func checkNothingLost(_ harness: TabletHarness, promised: Int, _ context: String) throws {
        let index = Int(harness.tablet.mark.appliedIndex)
        #expect(index >= promised, "\(context): write \(promised) returned, \(index) is held")
        #expect(harness.tablet.mark == (index == 0 ? TabletMark() : TabletHarness.mark(UInt64(index))), "\(context)")
        #expect(try harness.contents() == harness.model, "\(context)")
    }

    @Test(arguments: CrashSurvival.allCases)
    func `no crash loses a write that returned, nor does another one in the recovery`(
        _ survival: CrashSurvival
    ) throws {
        let count = try Self.operationCount(21)
        #expect(count > 100)
        for operation in stride(from: 1, through: count, by: 1) {
            let context = "crash at \(operation), \(survival)"
            let harness = try Self.makeHarness(21)
            harness.disk.faults.crashAt = operation
            CrashSweepTests.work(harness)
            let promised = harness.history.count - 1
            harness.stop()
            harness.disk.crash(survival)
            // The machine stops again while the tablet opens, at one operation after the other.
            harness.disk.resetCounters()
            harness.disk.faults.crashAt = 1 + operation % 23
            do { try harness.reopen() } catch {}
            harness.stop()
            harness.disk.crash(survival)
            try harness.reopen()
            try checkNothingLost(harness, promised: promised, context)
            // It goes on as if nothing had been, and once more comes back.
            for _ in 0..<12 { try harness.writeRandomly(keyCount: 40) }
            harness.tablet.flush()
            harness.run()
            #expect(try harness.contents() == harness.model, "\(context)")
            let written = harness.history.count - 1
            try harness.crash(.loseAll)
            try checkNothingLost(harness, promised: written, context + ", third life")
            harness.run()
            try checkFiles(harness, context)
        }
    }

    @Test(arguments: [FileError.Reason.inputOutput, .noSpace])
    func `an error at any operation loses no write that returned`(_ reason: FileError.Reason) throws {
        let count = try Self.operationCount(22)
        for operation in stride(from: 1, through: count, by: 1) {
            let context = "\(reason) at \(operation)"
            let harness = try Self.makeHarness(22)
            harness.disk.faults.failAt = operation
            harness.disk.faults.reason = reason
            for step in 0..<60 {
                do { try harness.writeRandomly(keyCount: 40, valueBytesMax: 120) } catch { continue }
                if step % 4 == 3 { harness.run() }
            }
            #expect(try harness.contents() == harness.model, "\(context)")
            // The process ends, the machine does not.
            harness.run()
            harness.disk.faults.failAt = nil
            let promised = harness.history.count - 1
            harness.stop()
            try harness.reopen()
            try checkNothingLost(harness, promised: promised, context)
            for _ in 0..<8 { try harness.writeRandomly(keyCount: 40) }
            harness.run()
            let written = harness.history.count - 1
            try harness.crash(.loseAll)
            try checkNothingLost(harness, promised: written, context + ", after a crash")
        }
    }

    @Test func `a read that fails while the tablet opens is an error, never a shorter log`() throws {
        let harness = try Self.makeHarness(23)
        for step in 0..<50 {
            try harness.writeRandomly(keyCount: 40, valueBytesMax: 120)
            if step % 7 == 6 { harness.run() }
        }
        let promised = harness.history.count - 1
        harness.stop()
        harness.disk.crash(.keepAll)
        let start = harness.disk.copy(seed: 1)
        start.resetCounters()
        _ = try TabletHarness.open(start, adjust: Self.adjust)
        let reads = start.readCount
        #expect(reads > 5)
        var refusals = 0
        for read in 1...reads {
            let disk = harness.disk.copy(seed: 2)
            disk.resetCounters()
            disk.faults.failReadAt = read
            do {
                let tablet = try TabletHarness.open(disk, adjust: Self.adjust)
                #expect(Int(tablet.mark.appliedIndex) == promised, "read \(read)")
            } catch {
                guard case .file? = error as? StorageError else {
                    Issue.record("read \(read): \(error)")
                    continue
                }
                refusals += 1
            }
            // Nothing was cut meanwhile: the next attempt, without the fault, has all of it.
            disk.faults.failReadAt = nil
            let tablet = try TabletHarness.open(disk, adjust: Self.adjust)
            #expect(Int(tablet.mark.appliedIndex) == promised, "after a failed read \(read)")
        }
        #expect(refusals > 0)
    }

    @Test(arguments: [true, false])
    func `a flipped bit in any file is the right answer, an error, or the cut of an unproven tail`(
        isClosed: Bool
    ) throws {
        let harness = try Self.makeHarness(24)
        for step in 0..<70 {
            try harness.writeRandomly(keyCount: 50, valueBytesMax: 90)
            if step % 9 == 8 { harness.run() }
        }
        if isClosed {
            harness.tablet.close()
            harness.run()
        }
        harness.stop()
        harness.disk.crash(.keepAll)
        let written = harness.history.count - 1
        var refused = 0
        var cut = 0
        for path in harness.disk.allFiles() {
            let bits = (harness.disk.content(of: path)?.count ?? 0) * 8
            for bit in stride(from: 3, to: bits, by: path.hasSuffix(".sst") ? Effort.step(211) : Effort.step(29)) {
                let disk = harness.disk.copy(seed: 1)
                disk.flipBit(bit, of: path)
                let context = "bit \(bit) of \(path)"
                do {
                    let tablet = try TabletHarness.open(disk, adjust: Self.adjust)
                    let index = Int(tablet.mark.appliedIndex)
                    #expect(index <= written, "\(context)")
                    if index < written { cut += 1 }
                    #expect(!isClosed || index == written, "\(context): \(index) of \(written), and no error")
                    // Only what follows the last proof of durability may be cut: the last write, in this workload.
                    #expect(index >= written - 1, "\(context): \(index) of \(written), and no error")
                    #expect(try TabletHarness.contents(tablet) == harness.history[index], "\(context)")
                } catch is StorageError {
                    refused += 1
                }
            }
        }
        #expect(refused > 50)
        if isClosed { #expect(cut == 0) }
    }

    /// Nothing leaks: tables of the version, the manifest, CURRENT, and the log from where it is needed.
    private func checkFiles(_ harness: TabletHarness, _ context: String) throws {
        let version = harness.tablet.currentView.version
        let expected = Set(
            version.allFiles.map { TableFormat.name($0.file.metadata.number) }
                + ["CURRENT", ManifestFormat.name(harness.tablet.manifest.number), "log"]
        )
        let found = Set(try harness.disk.list("t")).filter { !$0.lowercased().contains("ballast") }
        #expect(found == expected, "\(context)")
    }
}
