import KVEnvironment
import KVSimulation
import Testing

@testable import KVStorage

/// A disk that runs full: the ballast makes room for what is in memory, and writes resume by themselves.
struct BallastTests {
    // SENDABLE: the simulator runs in one thread.
    private final class Box: @unchecked Sendable {
        var states: [TabletState] = []
    }

    /// Time passes as in a node: a look once a second.
    private func pass(_ seconds: Int, _ harness: TabletHarness) {
        for _ in 0..<seconds {
            harness.world.run(until: harness.world.now + 1_000_000_000)
            harness.tablet.maintain()
            harness.run()
        }
    }

    /// A tablet with a ballast whose disk somebody else filled but for one page, with writes of its own to flush.
    private struct FullDisk {
        let harness: TabletHarness
        let ballast: Ballast
        let box = Box()
        /// What takes the room: cut it to give the room back.
        let other: any File

        init(_ seed: UInt64) throws {
            let disk = SimulatedFileSystem(seed: seed)
            let box = box
            harness = try TabletHarness(seed: seed, disk: disk) { options in
                options.shared = SharedResources(
                    blockCacheBytes: 64 << 10,
                    tablesOpenMax: 8,
                    ballast: Ballast(disk, path: "ballast", bytes: 64 << 10)
                )
                options.onStateChange = { box.states.append($0) }
            }
            ballast = try #require(harness.tablet.options.shared.ballast)
            harness.tablet.maintain()
            harness.run()
            try #require(ballast.isPresent)
            disk.setContent([], of: "other")
            disk.faults.capacityBytes = 1 << 20
            other = try disk.open("other", .readWrite)
            try other.truncate(to: try disk.freeSpace("t") - 1000)
            for _ in 0..<200 { try harness.writeRandomly(keyCount: 200) }
        }

        func flush() {
            harness.tablet.flush()
            harness.run()
        }
    }

    @Test(arguments: [UInt64(51), 52, 53])
    func `the ballast lets a flush through, and the state ends when there is room for it again`(_ seed: UInt64) throws {
        let full = try FullDisk(seed)
        let harness = full.harness
        full.flush()
        #expect(!full.ballast.isPresent)
        #expect(harness.tablet.firstUnflushedIndex == nil, "everything is in tables")
        #expect(harness.durable.index == harness.tablet.mark.appliedIndex)
        #expect(harness.tablet.isDiskFull)
        #expect(full.box.states == [.diskFull])
        // It stays so while there is no room for the ballast, and reads go on.
        pass(20, harness)
        #expect(harness.tablet.isDiskFull)
        #expect(try harness.contents() == harness.model)

        try full.other.truncate(to: 0)
        pass(2, harness)
        #expect(full.ballast.isPresent)
        #expect(harness.tablet.state == .healthy)
        #expect(full.box.states == [.diskFull, .healthy])
        for _ in 0..<100 { try harness.writeRandomly(keyCount: 200) }
        full.flush()
        #expect(full.box.states == [.diskFull, .healthy])
        try harness.crash(.loseAll)
        #expect(try harness.contents() == harness.model)
    }

    @Test func `the state ends also where another tablet found the room first and made the ballast again`() throws {
        let full = try FullDisk(56)
        full.flush()
        #expect(full.harness.tablet.isDiskFull)
        try full.other.truncate(to: 0)
        #expect(full.ballast.restore(), "the other tablet's part")
        pass(2, full.harness)
        #expect(full.harness.tablet.state == .healthy)
        #expect(full.box.states == [.diskFull, .healthy])
    }

    @Test func `a disk too small for the ballast does without`() throws {
        let disk = SimulatedFileSystem(seed: 54)
        disk.faults.capacityBytes = 40 << 10
        let harness = try TabletHarness(seed: 54, disk: disk) { options in
            options.shared = SharedResources(
                blockCacheBytes: 64 << 10,
                ballast: Ballast(disk, path: "ballast", bytes: 64 << 10)
            )
        }
        for _ in 0..<50 { try harness.writeRandomly() }
        pass(3, harness)
        #expect(!disk.exists("ballast"))
        disk.faults.capacityBytes = 1000
        for _ in 0..<50 { try harness.writeRandomly() }
        harness.tablet.flush()
        harness.run()
        #expect(harness.tablet.isDiskFull)
        disk.faults.capacityBytes = 70 << 10
        pass(10, harness)
        #expect(harness.tablet.state == .healthy)
        #expect(try harness.contents() == harness.model)
    }

    @Test func `tries come later and later while nothing changes`() throws {
        let harness = try TabletHarness(seed: 55)
        for _ in 0..<30 { try harness.writeRandomly() }
        harness.disk.faults.capacityBytes = 1
        harness.tablet.flush()
        harness.run()
        let before = harness.tablet.statistics.failures
        pass(60, harness)
        let failures = harness.tablet.statistics.failures - before
        #expect((5...12).contains(failures), "\(failures) tries in a minute")
        harness.disk.faults.capacityBytes = nil
        pass(9, harness)
        #expect(harness.tablet.state == .healthy)
    }
}
