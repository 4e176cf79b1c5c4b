import Foundation
import KVPosix
import Testing

@testable import KVStorage

/// Figures, not checks: run in release with `KV_MEASURE=1`.
@Suite(.enabled(if: ProcessInfo.processInfo.environment["KV_MEASURE"] != nil), .serialized)
struct SpeedTests {
    static func key(_ number: UInt64) -> [UInt8] {
        [1] + withUnsafeBytes(of: number.bigEndian) { Array($0) } + [UInt8](repeating: 48, count: 24)
    }

    /// The processor time of this thread: other programs on the machine do not count.
    struct ProcessorClock {
        func measure(_ body: () throws -> Void) rethrows -> Duration {
            func now() -> Duration {
                var time = timespec()
                clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
                return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
            }
            let start = now()
            try body()
            return now() - start
        }
    }

    @Test func `memtable inserts and look-ups of 200,000 keys`() throws {
        let count = 200_000
        let shared = SharedResources()
        var generator = SystemRandomNumberGenerator()
        let keys = (0..<count).map { _ in Self.key(generator.next()) }
        let value = [UInt8](repeating: 7, count: 100)
        for isSorted in [false, true] {
            let memtable = Memtable(id: 1, capacity: 64 << 20, mark: TabletMark(), lastSequence: 0, shared: shared)
            let used = isSorted ? keys.sorted { compareKeys($0, $1) < 0 } : keys
            let clock = ProcessorClock()
            let insert = clock.measure {
                value.withView { value in
                    for (index, key) in used.enumerated() {
                        key.withView { memtable.insert($0, EntryTag.make(UInt64(index) + 1, EntryKind.put), value) }
                    }
                }
            }
            var found = 0
            let look = clock.measure {
                for key in keys {
                    key.withView { view in
                        let node = memtable.list.firstNotBefore(view, .max)
                        if node != 0, compareBytes(memtable.list.key(node), view) == 0 { found += 1 }
                    }
                }
            }
            #expect(found == count)
            print(isSorted ? "sorted:" : "random:", "insert", insert / count, "look-up", look / count)
        }
    }

    @Test func `engine: fill, read, scan of 500,000 keys`() throws {
        let count: UInt64 = 500_000
        let directory = NSTemporaryDirectory() + "kv-speed-\(UInt64.random(in: 0 ... .max))"
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let pool = ThreadWorkerPool(name: "speed", count: 2)
        var options = TabletOptions(
            fileSystem: PosixFileSystem(),
            directory: directory,
            workers: pool,
            clock: PosixClock(),
            randomness: SystemRandomness(),
            shared: SharedResources()
        )
        options.memtableBytes = 64 << 20
        let tablet = try Tablet.create(options)
        let clock = ProcessorClock()
        var generator = SystemRandomNumberGenerator()
        let order = (0..<count).shuffled(using: &generator)
        let value = (0..<256).map { UInt8(truncatingIfNeeded: $0 * 7 % 50 + 40) }
        var batch = WriteBatch()
        let fill = try clock.measure {
            for (index, number) in order.enumerated() {
                batch.removeAll()
                batch.put(Self.key(number), value)
                try tablet.write(batch, mark: TabletMark(appliedIndex: UInt64(index) + 1))
            }
        }
        print("fill random", fill / Int(count), tablet.statistics)
        let done = DispatchSemaphore(value: 0)
        let flush = clock.measure {
            tablet.forceFlush { _ in done.signal() }
            done.wait()
            tablet.compactAll { _ in done.signal() }
            done.wait()
        }
        print("flush and compact all", flush, tablet.statistics)
        let keys = order.map { Self.key($0) }
        for pass in 0..<2 {
            var found = 0
            let read = try clock.measure {
                for key in keys {
                    try key.withUnsafeBytes { bytes in
                        if try tablet.get(bytes, { if case .found = $0 { true } else { false } }) { found += 1 }
                    }
                }
            }
            #expect(found == Int(count))
            print("read random, pass", pass, read / Int(count))
        }
        var missing = 0
        let miss = try clock.measure {
            for number in count..<(2 * count) where try tablet.get(Self.key(number)) == nil {
                missing += 1
            }
        }
        print("read missing", miss / Int(count))
        for pass in 0..<2 {
            let iterator = try tablet.makeIterator()
            var seen = 0
            let scan = try clock.measure {
                try iterator.seekToFirst()
                while iterator.isValid {
                    seen += 1
                    try iterator.next()
                }
            }
            var back = 0
            let reverse = try clock.measure {
                try iterator.seekToLast()
                while iterator.isValid {
                    back += 1
                    try iterator.previous()
                }
            }
            #expect(seen == Int(count) && back == seen)
            print("scan, pass", pass, scan / Int(count), "reverse", reverse / Int(count))
        }
        tablet.close { done.signal() }
        done.wait()
        pool.stop()
    }
}

extension SpeedTests {
    @Test func `own log: a million keys written by one thread, and reopened after a crash`() throws {
        let directory = NSTemporaryDirectory() + "kv-speed-\(UInt64.random(in: 0 ... .max))"
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let pool = ThreadWorkerPool(name: "speed", count: 2)
        var options = TabletOptions(
            fileSystem: PosixFileSystem(),
            directory: directory,
            workers: pool,
            clock: PosixClock(),
            randomness: SystemRandomness(),
            shared: SharedResources()
        )
        options.memtableBytes = 64 << 20
        options.durability = .log(synchronizes: false)
        // No flush happens: everything is in the log.
        let idle = ThreadWorkerPool(name: "idle", count: 1)
        let hold = DispatchSemaphore(value: 0)
        idle.submit { hold.wait() }
        var held = options
        held.workers = idle
        held.preparesLogSegments = false
        let tablet = try Tablet.create(held)
        let queue = CommitQueue(tablet)
        var generator = SystemRandomNumberGenerator()
        let value = (0..<256).map { UInt8(truncatingIfNeeded: $0 * 7 % 50 + 40) }
        var batch = WriteBatch()
        let clock = ProcessorClock()
        let fill = try clock.measure {
            for _ in 0..<500_000 {
                batch.removeAll()
                batch.put(Self.key(UInt64.random(in: 0..<1_000_000, using: &generator)), value)
                try queue.write(batch)
            }
        }
        print("fill through the queue", fill / 500_000)
        var again: Tablet?
        let open = try clock.measure { again = try Tablet.open(options) }
        #expect(again?.mark.appliedIndex == 500_000)
        print("reopened with 500,000 keys in the log", open)
        let done = DispatchSemaphore(value: 0)
        again?.close { done.signal() }
        done.wait()
        pool.stop()
        hold.signal()
        idle.stop()
    }
}
