import Foundation
import KVBase
import KVPosix
import Synchronization
import Testing

@testable import KVStorage

/// Real threads on a real disk with a log of its own: many writers, readers, cursors both ways, snapshots, flushes, compactions and
/// checkpoints at once; `scripts/sanitize thread` runs it too.
struct QueueConcurrencyTests {
    private static let writerCount = 3
    private static let pairCount: UInt64 = 40
    private static let batchCount: UInt64 = 400

    /// Every batch of a writer sets a pair of its keys to one number: two numbers are half a batch.
    private static func key(_ writer: Int, _ pair: UInt64, _ half: UInt8) -> [UInt8] {
        [UInt8(writer)] + withUnsafeBytes(of: pair.bigEndian) { Array($0) } + [half]
    }

    private static func value(_ number: UInt64) -> [UInt8] {
        withUnsafeBytes(of: number) { Array($0) } + [UInt8](repeating: 3, count: Int(number % 90))
    }

    private final class Findings: Sendable {
        private let lines = Mutex<[String]>([])
        let reads = Atomic<Int>(0)
        let isDone = Atomic<Bool>(false)

        func add(_ line: String) { lines.withLock { $0.append(line) } }

        var all: [String] { lines.withLock { $0 } }
    }

    private static func options(_ directory: String, _ pool: ThreadWorkerPool) -> TabletOptions {
        var options = TabletOptions(
            fileSystem: PosixFileSystem(),
            directory: directory,
            workers: pool,
            clock: PosixClock(),
            randomness: SystemRandomness(),
            shared: SharedResources(blockCacheBytes: 64 << 10, tablesOpenMax: 4)
        )
        options.durability = .log(synchronizes: false)
        options.logSegmentBytes = 64 << 10
        options.memtableBytes = 8 << 10
        options.blockBytes = 512
        options.tableBytes = 8 << 10
        options.baseLevelBytes = 32 << 10
        options.levelMultiplier = 3
        return options
    }

    @Test(.timeLimit(.minutes(2)))
    func `writers, readers and background work in threads of their own never see half a batch`() throws {
        let folder = NSTemporaryDirectory() + "kv-queue-\(UInt64.random(in: 0 ... .max))"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let pool = ThreadWorkerPool(name: "storage", count: 2)
        let options = Self.options(folder + "/t", pool)
        let tablet = try Tablet.create(options)
        let queue = CommitQueue(tablet)
        let findings = Findings()
        let group = DispatchGroup()
        func start(_ body: @escaping @Sendable () throws -> Void) {
            group.enter()
            Thread {
                do { try body() } catch { findings.add("\(error)") }
                group.leave()
            }.start()
        }

        let writersLeft = Atomic<Int>(Self.writerCount)
        for writer in 0..<Self.writerCount {
            start {
                defer {
                    if writersLeft.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 {
                        findings.isDone.store(true, ordering: .releasing)
                    }
                }
                try Self.write(writer, queue)
            }
        }
        for reader in 0..<2 {
            start {
                var round = UInt64(reader)
                while !findings.isDone.load(ordering: .acquiring) {
                    try Self.read(tablet, round, findings)
                    round += 1
                }
            }
        }
        start {
            var number = 0
            while !findings.isDone.load(ordering: .acquiring) {
                try Self.disturb(queue, folder + "/copy\(number % 2)", findings)
                number += 1
            }
        }
        group.wait()

        #expect(findings.all == [])
        #expect(findings.reads.load(ordering: .relaxed) > 0)
        #expect(tablet.statistics.flushes > 3)
        #expect(tablet.statistics.compactions > 0)
        let done = DispatchSemaphore(value: 0)
        tablet.close { done.signal() }
        done.wait()

        let again = try Tablet.open(options)
        #expect(again.mark.appliedIndex == Self.batchCount * UInt64(Self.writerCount))
        for round in 0..<20 { try Self.read(again, UInt64(round), findings) }
        #expect(findings.all == [])
        again.close { done.signal() }
        done.wait()
        pool.stop()
    }

    private static func write(_ writer: Int, _ queue: CommitQueue) throws {
        var batch = WriteBatch()
        for number in 1...batchCount {
            batch.removeAll()
            let pair = number &* 31 % pairCount
            if number % 61 == 0 {
                batch.deleteRange(key(writer, pair, 0), key(writer, pair, 2))
            } else {
                batch.put(key(writer, pair, 0), value(number))
                batch.put(key(writer, pair, 1), value(number))
            }
            try queue.write(batch)
        }
    }

    /// A pair at a snapshot, and now and then everything from either end.
    private static func read(_ tablet: Tablet, _ round: UInt64, _ findings: Findings) throws {
        let writer = Int(round) % writerCount
        let pair = round &* 7919 % pairCount
        let snapshot = tablet.snapshot()
        let first = try tablet.get(key(writer, pair, 0), at: snapshot)
        let second = try tablet.get(key(writer, pair, 1), at: snapshot)
        if first != second { findings.add("pair \(pair) of writer \(writer) is torn") }
        findings.reads.add(1, ordering: .relaxed)
        guard round % 8 == 0 else { return }
        let iterator = try tablet.makeIterator(snapshot)
        let isReverse = round % 16 == 0
        if isReverse { try iterator.seekToLast() } else { try iterator.seekToFirst() }
        var pending: (key: [UInt8], value: [UInt8])?
        while iterator.isValid {
            let found = (key: [UInt8](iterator.key), value: [UInt8](iterator.value))
            if let other = pending {
                let isPair = other.key.dropLast() == found.key.dropLast() && other.value == found.value
                if !isPair { findings.add("a scan shows \(other.key) without its half") }
                pending = nil
            } else {
                pending = found
            }
            if isReverse { try iterator.previous() } else { try iterator.next() }
        }
        if let pending { findings.add("a scan ends with \(pending.key) alone") }
    }

    /// A flush, a compaction of everything and a checkpoint, which is opened and read.
    private static func disturb(_ queue: CommitQueue, _ directory: String, _ findings: Findings) throws {
        let done = DispatchSemaphore(value: 0)
        try queue.asWriter { (tablet) throws(StorageError) in
            tablet.compactAll { _ in done.signal() }
            tablet.checkpoint(into: directory) { result in
                if case .failure(let error) = result, error != .memtablesFull { findings.add("checkpoint: \(error)") }
                done.signal()
            }
        }
        done.wait()
        done.wait()
        try queue.maintain()
        let report = TabletInspection.verify(PosixFileSystem(), directory)
        if !report.findings.isEmpty { findings.add("a checkpoint: \(report.findings)") }
    }
}
