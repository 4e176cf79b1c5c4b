import KVSimulation
import Testing

@testable import KVStorage

struct CheckpointTests {
    // SENDABLE: the simulator runs in one thread.
    private final class Box: @unchecked Sendable {
        var result: Result<TabletMark, StorageError>?
    }

    private func open(_ harness: TabletHarness, _ directory: String) throws -> Tablet {
        var options = TabletHarness.options(
            harness.disk,
            harness.world,
            SimulatedDomain("other"),
            harness.randomness,
            TabletHarness.Durable()
        ) { _ in }
        options.directory = directory
        return try Tablet.open(options)
    }

    private func contents(_ tablet: Tablet) throws -> [[UInt8]: [UInt8]] {
        let iterator = try tablet.makeIterator()
        try iterator.seekToFirst()
        var found: [[UInt8]: [UInt8]] = [:]
        while iterator.isValid {
            found[[UInt8](iterator.key)] = [UInt8](iterator.value)
            try iterator.next()
        }
        return found
    }

    @Test(arguments: 1...6)
    func `a checkpoint holds exactly the moment it was taken at, and outlives the tablet`(_ seed: UInt64) throws {
        let harness = try TabletHarness(seed: seed)
        for _ in 0..<80 {
            try harness.writeRandomly()
            if harness.randomness.below(6) == 0 { harness.run() }
        }
        let box = Box()
        let ticket = try harness.tablet.sealForCheckpoint()
        harness.tablet.checkpoint(ticket, into: "copy") { box.result = $0 }
        let mark = harness.tablet.mark
        let model = harness.model
        #expect(ticket.mark == mark)
        // The tablet goes on at once; what it writes is not in the checkpoint.
        for _ in 0..<150 { try harness.writeRandomly() }
        harness.run()
        for _ in 0..<50 { try harness.writeRandomly() }
        harness.tablet.compactAll { _ in }
        harness.run()
        #expect(box.result == .success(mark))
        try harness.disk.removeTree("t")
        harness.stop()
        harness.disk.crash(.loseAll)

        let copy = try open(harness, "copy")
        #expect(copy.mark == mark)
        #expect(try contents(copy) == model)
        // It takes writes of its own.
        var batch = WriteBatch()
        batch.put([1], [2])
        try copy.write(batch, mark: TabletHarness.mark(mark.appliedIndex + 1))
        #expect(try copy.get([1]) == [2])
    }

    @Test func `two checkpoints at different moments differ`() throws {
        let harness = try TabletHarness(seed: 3)
        for _ in 0..<30 { try harness.writeRandomly() }
        let first = Box()
        let second = Box()
        harness.tablet.checkpoint(into: "a") { first.result = $0 }
        let firstModel = harness.model
        for _ in 0..<30 { try harness.writeRandomly() }
        harness.tablet.checkpoint(into: "b") { second.result = $0 }
        let secondModel = harness.model
        for _ in 0..<30 { try harness.writeRandomly() }
        harness.run()
        #expect(first.result == .success(TabletHarness.mark(30)))
        #expect(second.result == .success(TabletHarness.mark(60)))
        #expect(try contents(try open(harness, "a")) == firstModel)
        #expect(try contents(try open(harness, "b")) == secondModel)
    }

    @Test func `a checkpoint into a directory that holds a half-made one replaces it`() throws {
        let harness = try TabletHarness(seed: 4)
        for _ in 0..<30 { try harness.writeRandomly() }
        try harness.disk.createDirectory("copy")
        harness.disk.setContent([1, 2, 3], of: "copy/00000001.sst")
        let box = Box()
        harness.tablet.checkpoint(into: "copy") { box.result = $0 }
        harness.run()
        #expect(box.result == .success(harness.tablet.mark))
        #expect(try contents(try open(harness, "copy")) == harness.model)
    }

    @Test func `a checkpoint of an empty tablet is an empty tablet with its mark`() throws {
        let harness = try TabletHarness(seed: 5)
        try harness.write { _, _ in }
        let box = Box()
        harness.tablet.checkpoint(into: "copy") { box.result = $0 }
        harness.run()
        #expect(box.result == .success(TabletHarness.mark(1)))
        let copy = try open(harness, "copy")
        #expect(copy.mark == TabletHarness.mark(1))
        #expect(try contents(copy).isEmpty)
    }
}
