import Foundation
import KVBase
import KVPosix
import Synchronization
import Testing

@testable import KVStorage

/// Real threads and a real disk: readers while one thread writes and workers flush and compact.
struct ConcurrencyTests {
    @Test(.timeLimit(.minutes(1)))
    func `readers see whole batches while writes, flushes and compactions go on`() throws {
        let directory = NSTemporaryDirectory() + "kv-storage-\(UInt64.random(in: 0 ... .max))"
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let pool = ThreadWorkerPool(name: "storage", count: 2)
        var options = TabletOptions(
            fileSystem: PosixFileSystem(),
            directory: directory + "/t",
            workers: pool,
            clock: PosixClock(),
            randomness: SystemRandomness(),
            shared: SharedResources(blockCacheBytes: 128 << 10, tablesOpenMax: 4)
        )
        options.memtableBytes = 16 << 10
        options.sealedHardMax = 100
        options.blockBytes = 512
        options.tableBytes = 16 << 10
        options.baseLevelBytes = 64 << 10
        options.levelMultiplier = 3
        let tablet = try Tablet.create(options)
        let isDone = Atomic<Bool>(false)
        let reads = Atomic<Int>(0)
        let failures = Mutex<[String]>([])
        let keyCount = 200

        // Every batch writes the same number to a pair of keys: a reader that sees two numbers saw half a batch.
        @Sendable func check(_ tablet: Tablet, _ round: Int) throws {
            let number = UInt64(round &* 7919 % keyCount)
            let snapshot = tablet.snapshot()
            let a = try tablet.get(key(number, 0), at: snapshot)
            let b = try tablet.get(key(number, 1), at: snapshot)
            if a != b {
                failures.withLock { $0.append("pair \(number): \(String(describing: a)), \(String(describing: b))") }
            }
            if round % 16 == 0 {
                let iterator = try tablet.makeIterator(upper: key(40, 0))
                try iterator.seekToFirst()
                var seen: [[UInt8]: [UInt8]] = [:]
                while iterator.isValid {
                    seen[[UInt8](iterator.key)] = [UInt8](iterator.value)
                    try iterator.next()
                }
                for pair in 0..<UInt64(40) where seen[key(pair, 0)] != seen[key(pair, 1)] {
                    failures.withLock { $0.append("scan of pair \(pair)") }
                }
            }
        }

        let group = DispatchGroup()
        for reader in 0..<2 {
            let thread = Thread {
                var round = reader
                while !isDone.load(ordering: .acquiring) {
                    do { try check(tablet, round) } catch { failures.withLock { $0.append("\(error)") } }
                    reads.add(1, ordering: .relaxed)
                    round += 1
                }
                group.leave()
            }
            group.enter()
            thread.start()
        }
        var batch = WriteBatch()
        for index in UInt64(1)...6000 {
            batch.removeAll()
            let number = index &* 31 % UInt64(keyCount)
            let value = withUnsafeBytes(of: index) { [UInt8]($0) } + [UInt8](repeating: 1, count: Int(index % 50))
            batch.put(key(number, 0), value)
            batch.put(key(number, 1), value)
            if index % 97 == 0 { batch.deleteRange(key(number, 0), key(number, 2)) }
            while true {
                do throws(StorageError) {
                    try tablet.write(batch, mark: TabletMark(appliedIndex: index))
                    break
                } catch {
                    guard error == .memtablesFull else { throw error }
                    // The proposer of a server would have stopped before.
                    tablet.maintain()
                }
            }
        }
        isDone.store(true, ordering: .releasing)
        group.wait()
        let done = DispatchSemaphore(value: 0)
        tablet.forceFlush { _ in done.signal() }
        done.wait()
        #expect(failures.withLock { $0 } == [])
        #expect(reads.load(ordering: .relaxed) > 0)
        #expect(tablet.statistics.flushes > 3)
        #expect(tablet.statistics.compactions > 0)
        #expect(tablet.durableMark.appliedIndex == 6000)
        tablet.close { done.signal() }
        done.wait()

        let again = try Tablet.open(options)
        #expect(again.mark.appliedIndex == 6000)
        for round in 0..<keyCount { try check(again, round) }
        #expect(failures.withLock { $0 } == [])
        again.close { done.signal() }
        done.wait()
        pool.stop()
    }
}

private func key(_ number: UInt64, _ half: UInt8) -> [UInt8] {
    Array("pair".utf8) + withUnsafeBytes(of: number.bigEndian) { [UInt8]($0) } + [half]
}
