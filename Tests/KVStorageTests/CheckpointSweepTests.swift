import KVEnvironment
import KVSimulation
import Testing

@testable import KVStorage

/// The machine stops, or an operation fails, at every place while a checkpoint is made.
struct CheckpointSweepTests {
    // SENDABLE: the simulator runs in one thread.
    private final class Box: @unchecked Sendable {
        var result: Result<TabletMark, StorageError>?
    }

    /// A tablet with tables and a memtable, on the same disk every time.
    private func makeHarness() throws -> TabletHarness {
        let harness = try TabletHarness(seed: 31)
        for step in 0..<40 {
            try harness.writeRandomly(keyCount: 50, valueBytesMax: 80)
            if step % 6 == 5 { harness.run() }
        }
        harness.disk.resetCounters()
        return harness
    }

    private func checkpoint(_ harness: TabletHarness) -> Result<TabletMark, StorageError>? {
        let box = Box()
        harness.tablet.checkpoint(into: "copy") { box.result = $0 }
        harness.run()
        return box.result
    }

    private func operationCount() throws -> Int {
        let harness = try makeHarness()
        #expect(checkpoint(harness) == .success(harness.tablet.mark))
        return harness.disk.operationCount
    }

    /// A directory with a CURRENT is a tablet, and a whole one.
    private func checkCopy(
        _ harness: TabletHarness,
        _ mark: TabletMark,
        _ model: [[UInt8]: [UInt8]],
        mustExist: Bool,
        _ context: String
    ) throws {
        guard Tablet.exists(harness.disk, "copy") else {
            #expect(!mustExist, "\(context): a checkpoint that was reported is gone")
            return
        }
        let copy = try TabletHarness.open(harness.disk, "copy", adjust: { _ in })
        #expect(copy.mark == mark, "\(context)")
        #expect(try TabletHarness.contents(copy) == model, "\(context)")
    }

    @Test(arguments: CrashSurvival.allCases)
    func `after a crash at any operation a checkpoint is whole or none, and the tablet unharmed`(
        _ survival: CrashSurvival
    ) throws {
        let count = try operationCount()
        #expect(count > 10)
        for operation in 1...count {
            let context = "crash at \(operation), \(survival)"
            let harness = try makeHarness()
            let mark = harness.tablet.mark
            let model = harness.model
            harness.disk.faults.crashAt = operation
            let result = checkpoint(harness)
            harness.stop()
            harness.disk.crash(survival)
            try checkCopy(harness, mark, model, mustExist: result == .success(mark), context)
            try harness.reopen()
            #expect(try harness.contents() == harness.model, "\(context)")
            // The next one takes its place.
            #expect(checkpoint(harness) == .success(harness.tablet.mark), "\(context)")
            try checkCopy(harness, harness.tablet.mark, harness.model, mustExist: true, "\(context), again")
        }
    }

    @Test(arguments: [FileError.Reason.inputOutput, .noSpace])
    func `an error at any operation is reported, and the next checkpoint is whole`(_ reason: FileError.Reason) throws {
        for operation in 1...(try operationCount()) {
            let context = "\(reason) at \(operation)"
            let harness = try makeHarness()
            let mark = harness.tablet.mark
            harness.disk.faults.failAt = operation
            harness.disk.faults.reason = reason
            let result = checkpoint(harness)
            harness.disk.faults.failAt = nil
            if case .success(let found) = result { #expect(found == mark, "\(context)") }
            // A flush that failed is tried again before long, and a checkpoint that waits for it goes on.
            harness.world.run(until: harness.world.now + 5_000_000_000)
            harness.tablet.maintain()
            harness.run()
            #expect(checkpoint(harness) == .success(mark), "\(context)")
            harness.stop()
            harness.disk.crash(.loseAll)
            try checkCopy(harness, mark, harness.model, mustExist: true, context)
        }
    }
}
