import KVEnvironment
import KVSimulation
import Testing

@testable import KVStorage

/// A small workload with tiny limits, stopped at every one of its changing disk operations.
struct CrashSweepTests {
    /// The workload; ends early where the disk is dead.
    static func work(_ harness: TabletHarness) {
        do {
            for step in 0..<60 {
                try harness.writeRandomly(keyCount: 40, valueBytesMax: 120)
                if step % 4 == 3 { harness.run() }
                if step % 20 == 19 {
                    harness.tablet.flush()
                    harness.run()
                }
                if harness.disk.hasCrashed { return }
            }
            harness.tablet.close()
            harness.run()
        } catch {}
    }

    static func operationCount(_ seed: UInt64) throws -> Int {
        let harness = try TabletHarness(seed: seed)
        harness.disk.resetCounters()
        work(harness)
        return harness.disk.operationCount
    }

    @Test(arguments: CrashSurvival.allCases, [UInt64(1), 2])
    func `after a crash at any operation the tablet is an exact prefix, not before the last durable mark`(
        _ survival: CrashSurvival,
        _ seed: UInt64
    ) throws {
        let count = try Self.operationCount(seed)
        #expect(count > 60)
        for operation in 1...count {
            let harness = try TabletHarness(seed: seed)
            harness.disk.resetCounters()
            harness.disk.faults.crashAt = operation
            Self.work(harness)
            try check(harness, survival, operation)
            // It goes on as if nothing had been.
            for _ in 0..<20 { try harness.writeRandomly(keyCount: 40) }
            harness.tablet.flush()
            harness.run()
            #expect(try harness.contents() == harness.model)
            #expect(harness.tablet.state == .healthy)
        }
    }

    @Test(arguments: CrashSurvival.allCases)
    func `a crash at any operation of recovery changes nothing`(_ survival: CrashSurvival) throws {
        let base = try TabletHarness(seed: 5)
        for step in 0..<40 {
            try base.writeRandomly(keyCount: 40, valueBytesMax: 120)
            if step % 6 == 5 { base.run() }
        }
        base.stop()
        base.disk.crash(.keepAll)
        let start = base.disk
        start.resetCounters()
        try base.reopen()
        let expected = base.model
        let mark = base.tablet.mark
        let count = start.operationCount
        #expect(count >= 5)
        for operation in 1...count {
            base.stop()
            start.crash(.keepAll)
            start.resetCounters()
            start.faults.crashAt = operation
            do {
                try base.reopen()
            } catch {}
            base.stop()
            start.crash(survival)
            try base.reopen()
            #expect(base.tablet.mark == mark, "crash at \(operation)")
            #expect(try base.contents() == expected, "crash at \(operation)")
        }
    }

    @Test(arguments: CrashSurvival.allCases)
    func `with a log of its own that synchronizes, no crash loses a write that returned`(
        _ survival: CrashSurvival
    ) throws {
        let adjust: (inout TabletOptions) -> Void = {
            $0.durability = .log(synchronizes: true)
            $0.logSegmentBytes = 4 << 10
        }
        let clean = try TabletHarness(seed: 8, adjust: adjust)
        clean.disk.resetCounters()
        Self.work(clean)
        let count = clean.disk.operationCount
        for operation in stride(from: 1, through: count, by: 2) {
            let harness = try TabletHarness(seed: 8, adjust: adjust)
            harness.disk.resetCounters()
            harness.disk.faults.crashAt = operation
            Self.work(harness)
            let promised = harness.history.count - 1
            let model = harness.model
            harness.stop()
            harness.disk.crash(survival)
            let held = try harness.openAndLook()
            // The one write that did not return may be there or not.
            #expect(held.mark.appliedIndex >= UInt64(promised), "crash at \(operation)")
            #expect(held.mark.appliedIndex <= UInt64(promised + 1), "crash at \(operation)")
            if held.mark.appliedIndex == UInt64(promised) {
                #expect(try harness.contents() == model, "crash at \(operation)")
            }
        }
    }

    @Test func `with a log of its own a clean restart goes on where it was, and old segments go`() throws {
        let harness = try TabletHarness(seed: 9) {
            $0.durability = .log(synchronizes: false)
            $0.logSegmentBytes = 4 << 10
        }
        for _ in 0..<6 {
            for _ in 0..<60 { try harness.writeRandomly() }
            try harness.write { _, _ in }
            let count = harness.history.count
            let model = harness.model
            try harness.restart()
            #expect(harness.history.count == count)
            #expect(harness.tablet.mark.appliedIndex == UInt64(count - 1))
            #expect(try harness.contents() == model)
        }
        harness.tablet.flush()
        harness.run()
        #expect(harness.tablet.firstUnflushedIndex == nil)
        #expect(try harness.disk.list("t/log").count <= 3)
    }

    private func check(_ harness: TabletHarness, _ survival: CrashSurvival, _ operation: Int) throws {
        let durable = harness.durable.index
        try harness.crash(survival)
        let mark = harness.tablet.mark
        #expect(mark.appliedIndex >= durable, "crash at \(operation)")
        #expect(
            mark == (mark.appliedIndex == 0 ? TabletMark() : TabletHarness.mark(mark.appliedIndex)),
            "crash at \(operation)"
        )
        #expect(try harness.contents() == harness.model, "crash at \(operation), \(survival)")
        harness.run()
        try checkFiles(harness, operation)
    }

    /// Nothing leaks: the files on disk are those of the version, the manifest and CURRENT.
    private func checkFiles(_ harness: TabletHarness, _ operation: Int) throws {
        let version = harness.tablet.currentView.version
        let expected = Set(
            version.allFiles.map { TableFormat.name($0.file.metadata.number) }
                + ["CURRENT", ManifestFormat.name(harness.tablet.manifest.number)]
        )
        #expect(Set(try harness.disk.list("t")) == expected, "crash at \(operation)")
    }
}
