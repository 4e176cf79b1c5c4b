import Foundation
import KVBase
import KVEnvironment
import KVPosix
import KVSimulation
import Synchronization
import Testing

@testable import KVStorage

/// Many threads that write to one tablet with a log of its own.
struct CommitQueueTests {
    private func withTablet(
        _ fileSystem: any FileSystem = PosixFileSystem(),
        _ adjust: (inout TabletOptions) -> Void = { _ in },
        _ body: (TabletOptions) throws -> Void
    ) throws {
        let directory = NSTemporaryDirectory() + "kv-commit-\(UInt64.random(in: 0 ... .max))"
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let pool = ThreadWorkerPool(name: "storage", count: 2)
        defer { pool.stop() }
        var options = TabletOptions(
            fileSystem: fileSystem,
            directory: directory + "/t",
            workers: pool,
            clock: PosixClock(),
            randomness: SystemRandomness(),
            shared: SharedResources(blockCacheBytes: 1 << 20)
        )
        options.durability = .log(synchronizes: true)
        options.logSegmentBytes = 1 << 20
        options.memtableBytes = 256 << 10
        adjust(&options)
        try body(options)
    }

    private func close(_ tablet: Tablet) {
        let done = DispatchSemaphore(value: 0)
        tablet.close { done.signal() }
        done.wait()
    }

    /// Runs `body` on so many threads and waits for them.
    private func onThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
        let group = DispatchGroup()
        for number in 0..<count {
            group.enter()
            Thread {
                body(number)
                group.leave()
            }.start()
        }
        group.wait()
    }

    private static func key(_ thread: Int, _ number: Int) -> [UInt8] { Array("t\(thread)-\(number)".utf8) }

    @Test(.timeLimit(.minutes(1)))
    func `one sync covers many writers, and what each was told is there after a restart`() throws {
        let fileSystem = CountingFileSystem()
        try withTablet(fileSystem) { options in
            let tablet = try Tablet.create(options)
            let queue = CommitQueue(tablet)
            let syncsBefore = fileSystem.logSyncs.load(ordering: .relaxed)
            let indexes = Mutex<Set<LogIndex>>([])
            onThreads(16) { thread in
                for number in 0..<40 {
                    var batch = WriteBatch()
                    batch.put(Self.key(thread, number), [UInt8(thread), UInt8(number)])
                    batch.put(Self.key(thread, number) + [0], [1])
                    do {
                        let index = try queue.write(batch)
                        let isNew = indexes.withLock { $0.insert(index).inserted }
                        #expect(isNew)
                    } catch { Issue.record("\(error)") }
                }
            }
            let syncs = fileSystem.logSyncs.load(ordering: .relaxed) - syncsBefore
            #expect(indexes.withLock { $0 } == Set(1...640))
            #expect(syncs < 480, "\(syncs) syncs for 640 batches")
            #expect(tablet.lastSequence == 1280)
            // Not closed: as after a kill. The log alone brings it back.
            let again = try Tablet.open(options)
            #expect(again.mark.appliedIndex == 640)
            for thread in 0..<16 {
                for number in 0..<40 {
                    #expect(try again.get(Self.key(thread, number)) == [UInt8(thread), UInt8(number)])
                    #expect(try again.get(Self.key(thread, number) + [0]) == [1])
                }
            }
            close(again)
            close(tablet)
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `writers sleep while memtables are full, and turns of one's own come between`() throws {
        let adjust: (inout TabletOptions) -> Void = {
            $0.durability = .log(synchronizes: false)
            $0.memtableBytes = 8 << 10
            $0.sealedMax = 1
            $0.sealedHardMax = 2
            $0.levelZeroStopAt = 6
            $0.tableBytes = 64 << 10
        }
        try withTablet(PosixFileSystem(), adjust) { options in
            let tablet = try Tablet.create(options)
            let queue = CommitQueue(tablet)
            onThreads(4) { thread in
                for number in 0..<500 {
                    var batch = WriteBatch()
                    batch.put(Self.key(thread, number), [UInt8](repeating: UInt8(thread), count: 100))
                    do {
                        try queue.write(batch)
                        if number % 50 == 0 { try queue.asWriter { $0.flush() } }
                        if number % 100 == 0 { try queue.maintain() }
                    } catch { Issue.record("\(error)") }
                }
            }
            #expect(tablet.mark.appliedIndex == 2000)
            #expect(tablet.statistics.flushes > 10)
            #expect(tablet.statistics.sealedMemtables <= 2)
            for thread in 0..<4 {
                for number in 0..<500 {
                    let value = try tablet.get(Self.key(thread, number))
                    #expect(value == [UInt8](repeating: UInt8(thread), count: 100))
                }
            }
            close(tablet)
            #expect(throws: StorageError.closed) { try queue.write(WriteBatch()) }
        }
    }

    @Test func `a batch that is too long is refused alone`() throws {
        try withTablet { options in
            let tablet = try Tablet.create(options)
            let queue = CommitQueue(tablet)
            var batch = WriteBatch()
            for number in 0..<3 { batch.put([UInt8(number)], [UInt8](repeating: 0, count: 6 << 20)) }
            let bytes = batch.byteCount
            #expect(throws: StorageError.batchTooLong(bytes: bytes, bytesMax: Limits.batchBytesMax)) {
                try queue.write(batch)
            }
            batch.removeAll()
            batch.put([1], [2])
            #expect(try queue.write(batch) == 1)
            close(tablet)
        }
    }

    /// Where the log fails, nobody hears that a write succeeded which is not there after.
    @Test(arguments: [FileError.Reason.inputOutput, .noSpace])
    func `after a failed sync nothing is acknowledged`(_ reason: FileError.Reason) throws {
        for operation in 1...12 {
            let harness = try TabletHarness(seed: 31) {
                $0.durability = .log(synchronizes: true)
                $0.preparesLogSegments = false
                $0.logSegmentBytes = 4 << 10
            }
            let queue = CommitQueue(harness.tablet)
            harness.disk.resetCounters()
            harness.disk.faults.failAt = operation
            harness.disk.faults.reason = reason
            var acknowledged: [LogIndex] = []
            for number in 0..<8 {
                var batch = WriteBatch()
                batch.put([UInt8(number)], [UInt8](repeating: 1, count: 900))
                if let index = try? queue.write(batch) { acknowledged.append(index) }
            }
            harness.stop()
            harness.disk.crash(.loseAll)
            let held = try harness.openAndLook()
            #expect(held.mark.appliedIndex >= acknowledged.max() ?? 0, "failure at \(operation)")
            #expect(
                acknowledged == Array(1...max(1, LogIndex(acknowledged.count))).prefix(acknowledged.count).map { $0 }
            )
        }
    }
}
