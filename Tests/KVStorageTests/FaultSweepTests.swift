import KVEnvironment
import KVSimulation
import Testing

@testable import KVStorage

/// One failing disk operation, at every place of a small workload; and a disk that stays full for a while.
struct FaultSweepTests {
    @Test(arguments: [FileError.Reason.inputOutput, .noSpace])
    func `a failure of any one operation loses nothing that was promised`(_ reason: FileError.Reason) throws {
        let count = try CrashSweepTests.operationCount(3)
        for operation in 1...count {
            let harness = try TabletHarness(seed: 3)
            harness.disk.resetCounters()
            harness.disk.faults.failAt = operation
            harness.disk.faults.reason = reason
            var writes = 0
            for step in 0..<60 {
                // Refused writes are not in the model, and must not be in the tablet.
                do { try harness.writeRandomly(keyCount: 40, valueBytesMax: 120) } catch { continue }
                writes += 1
                if step % 4 == 3 { harness.run() }
            }
            #expect(try harness.contents() == harness.model, "failure at \(operation)")
            if case .readOnly = harness.tablet.state {} else { #expect(writes == 60, "failure at \(operation)") }

            // Time goes by and the fault is gone: what was passing passes, also where it only struck the last flush.
            for _ in 0..<2 {
                harness.world.run(until: harness.world.now + 5_000_000_000)
                harness.tablet.maintain()
                harness.tablet.flush()
                harness.run()
            }
            #expect(harness.tablet.state == .healthy, "failure at \(operation): \(harness.tablet.state)")
            #expect(harness.tablet.firstUnflushedIndex == nil, "failure at \(operation)")
            let durable = harness.durable.index
            #expect(durable == harness.tablet.mark.appliedIndex)
            try harness.crash(.loseAll)
            #expect(harness.tablet.mark.appliedIndex >= durable, "failure at \(operation)")
            #expect(try harness.contents() == harness.model, "failure at \(operation)")
        }
    }

    @Test func `a read that fails is an error or is tried again, never a wrong answer`() throws {
        let base = try TabletHarness(seed: 12) {
            $0.shared = SharedResources(blockCacheBytes: 0, tablesOpenMax: 1)
            $0.compactsAutomatically = false
        }
        for step in 0..<80 {
            try base.writeRandomly(keyCount: 60)
            if step % 5 == 0 { base.run() }
        }
        base.tablet.flush()
        base.run()
        base.disk.resetCounters()
        #expect(try base.contents() == base.model)
        let count = base.disk.readCount
        #expect(count > 10)
        for read in 1...count {
            base.disk.resetCounters()
            base.disk.faults.failReadAt = read
            #expect(throws: StorageError.self) { try base.contents() }
            base.disk.faults.failReadAt = nil
            #expect(base.tablet.state == .healthy)
        }
        // Short reads are whole reads in the end.
        base.disk.faults.shortReadProbability = 0.5
        #expect(try base.contents() == base.model)
        // A compaction whose read fails is tried again.
        for _ in 0..<30 { try base.writeRandomly(keyCount: 60) }
        base.tablet.flush()
        base.run()
        base.disk.resetCounters()
        base.disk.faults.failReadAt = 1
        base.tablet.compactAll { _ in }
        base.run()
        #expect(base.tablet.statistics.failures == 1)
        base.world.run(until: base.world.now + 2_000_000_000)
        base.tablet.maintain()
        base.run()
        #expect(base.tablet.statistics.tablesPerLevel.prefix(6).allSatisfy { $0 == 0 })
        #expect(try base.contents() == base.model)
    }

    @Test func `a disk that fails from some operation on stops the tablet without a lie`() throws {
        let count = try CrashSweepTests.operationCount(4)
        for operation in stride(from: 1, through: count, by: 3) {
            let harness = try TabletHarness(seed: 4)
            harness.disk.resetCounters()
            harness.disk.faults.failFrom = operation
            for step in 0..<60 {
                do { try harness.writeRandomly(keyCount: 40, valueBytesMax: 120) } catch { continue }
                if step % 4 == 3 {
                    harness.run()
                    harness.world.run(until: harness.world.now + 2_000_000_000)
                    harness.tablet.maintain()
                }
            }
            // A compaction that fails is dropped, which is no state; a flush that fails is.
            harness.tablet.flush()
            harness.run()
            #expect(harness.tablet.state != .healthy || harness.tablet.statistics.failures == 0)
            #expect(try harness.contents() == harness.model, "failing from \(operation)")
            let durable = harness.durable.index
            try harness.crash(.loseAll)
            #expect(harness.tablet.mark.appliedIndex >= durable, "failing from \(operation)")
            #expect(try harness.contents() == harness.model, "failing from \(operation)")
        }
    }

    @Test func `a full disk is told, reads go on, and it ends by itself when there is room`() throws {
        var states: [TabletState] = []
        let box = StateBox()
        let harness = try TabletHarness(seed: 6) { options in
            options.sealedHardMax = 4
            options.onStateChange = { box.states.append($0) }
        }
        harness.disk.faults.capacityBytes = 3000
        var refusals = 0
        for _ in 0..<600 {
            do { try harness.writeRandomly(keyCount: 200) } catch {
                #expect(error as? StorageError == .memtablesFull)
                refusals += 1
            }
            harness.run()
        }
        #expect(refusals > 0)
        #expect(harness.tablet.isDiskFull)
        #expect(harness.tablet.pressure == 1)
        #expect(try harness.contents() == harness.model)
        harness.disk.faults.capacityBytes = nil
        for _ in 0..<10 {
            harness.world.run(until: harness.world.now + 2_000_000_000)
            harness.tablet.maintain()
            harness.run()
        }
        try harness.writeRandomly()
        harness.tablet.flush()
        harness.run()
        #expect(harness.tablet.state == .healthy)
        #expect(harness.tablet.pressure < 1)
        try harness.crash(.loseAll)
        #expect(try harness.contents() == harness.model)
        states = box.states
        #expect(states.first == .diskFull)
        #expect(states.last == .healthy)
    }

    @Test func `a manifest that cannot be written twice makes the tablet read-only`() throws {
        let harness = try TabletHarness(seed: 7)
        for _ in 0..<30 { try harness.writeRandomly() }
        harness.run()
        let before = harness.durable.index
        harness.disk.observer = { _, operation, path in
            // Everything about manifests fails from now on; tables can be written.
            harness.disk.faults.failAt =
                path.contains("MANIFEST") && operation != .remove ? harness.disk.operationCount : nil
        }
        for _ in 0..<200 {
            do { try harness.writeRandomly() } catch { break }
            harness.run()
        }
        harness.disk.observer = nil
        guard case .readOnly = harness.tablet.state else {
            Issue.record("state \(harness.tablet.state)")
            return
        }
        #expect(throws: StorageError.self) { try harness.writeRandomly() }
        #expect(try harness.contents() == harness.model)
        #expect(harness.durable.index == before)
        try harness.crash(.loseAll)
        #expect(harness.tablet.mark.appliedIndex >= before)
        #expect(try harness.contents() == harness.model)
    }

    // SENDABLE: the simulator runs in one thread.
    private final class StateBox: @unchecked Sendable {
        var states: [TabletState] = []
    }
}
