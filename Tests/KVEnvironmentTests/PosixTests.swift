import Foundation
import KVEnvironment
import KVPosix
import KVSimulation
import Synchronization
import Testing

/// The real files, threads and clocks keep what the protocols promise.
struct PosixTests {
    let fileSystem = PosixFileSystem()

    @Test func `a file is made once, written, read, cut and removed`() throws {
        try inTemporaryFolder { folder in
            let path = folder + "/deep/er/file"
            try fileSystem.createDirectory(folder + "/deep/er")
            try fileSystem.createDirectory(folder + "/deep/er")
            let file = try fileSystem.open(path, .createNew)
            #expect(throws: FileError(.create, path: path, reason: .exists)) { try fileSystem.open(path, .createNew) }
            try write([1, 2, 3, 4, 5], to: file, at: 10)
            try file.synchronize()
            try fileSystem.synchronizeDirectory(folder + "/deep/er")
            #expect(try file.size() == 15)
            try file.truncate(to: 13)
            #expect(try fileSystem.readAll(path) == Array(repeating: 0, count: 10) + [1, 2, 3])
            file.close()
            #expect(throws: FileError.self) { try file.size() }
            try fileSystem.link(path, to: path + "2")
            try fileSystem.rename(path, to: path + "1")
            #expect(try fileSystem.list(folder + "/deep/er") == ["file1", "file2"])
            try fileSystem.removeTree(folder + "/deep")
            try fileSystem.removeTree(folder + "/deep")
            #expect(!fileSystem.exists(folder + "/deep"))
            #expect(try fileSystem.freeSpace(folder) > 0)
            #expect(throws: FileError(.open, path: path, reason: .notFound)) { try fileSystem.open(path, .read) }
        }
    }

    @Test(arguments: [1, 2, 3])
    func `what goes around the cache is in the file as if it had not`(_ seed: UInt64) throws {
        try inTemporaryFolder { folder in
            var random = SeededRandomness(seed: seed)
            let file = try fileSystem.open(folder + "/log", .createNew)
            try file.reserve(1 << 20)
            file.bypassCache()
            var expected = [UInt8](repeating: 0, count: 1 << 20)
            var offset = 0
            for step in 0..<200 {
                // Mostly where the last ended; now and then elsewhere, over what is there.
                if step % 40 == 39 { offset = Int.random(in: 0..<offset, using: &random) }
                let count = step % 50 == 7 ? 70_000 : Int.random(in: 1...6000, using: &random)
                guard offset + count < expected.count - 4096 else { break }
                let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
                try write(bytes, to: file, at: UInt64(offset))
                expected.replaceSubrange(offset..<offset + count, with: bytes)
                offset += count
                // What follows in the last block was cleared, and is to be written anyway.
                let blockEnd = (offset + 4095) / 4096 * 4096
                expected.replaceSubrange(offset..<blockEnd, with: repeatElement(0, count: blockEnd - offset))
            }
            try file.synchronize()
            let other = try fileSystem.readAll(folder + "/log")
            // Where the disk cannot do it, nothing behind a write is cleared.
            let isDirect = other == expected
            #expect(isDirect || other[..<offset] == expected[..<offset])
            try file.truncate(to: UInt64(offset))
            try write([7, 8, 9], to: file, at: UInt64(offset))
            #expect(try file.size() == UInt64(offset) + 3)
            #expect(Array(try fileSystem.readAll(folder + "/log").suffix(3)) == [7, 8, 9])
            file.bypassCache()
            try write([1], to: file, at: UInt64(offset) + 3)
            var last = [UInt8](repeating: 0, count: 4)
            let count = try last.withUnsafeMutableBytes { try file.read(into: $0, at: UInt64(offset)) }
            #expect(count == 4 && last == [7, 8, 9, 1])
        }
    }

    @Test func `a lock is refused to a second holder until it is let go`() throws {
        try inTemporaryFolder { folder in
            let lock = try fileSystem.lock(folder + "/LOCK")
            #expect(throws: FileError(.lock, path: folder + "/LOCK", reason: .locked)) {
                try fileSystem.lock(folder + "/LOCK")
            }
            lock.release()
            try fileSystem.lock(folder + "/LOCK").release()
        }
    }

    @Test func `a thread's jobs run in order, on that thread, and all before stop returns`() {
        let scheduler = ThreadScheduler(name: "test")
        let seen = Mutex<[Int]>([])
        for number in 0..<1000 {
            scheduler.execute {
                if scheduler.isCurrent { seen.withLock { $0.append(number) } }
            }
        }
        #expect(!scheduler.isCurrent)
        scheduler.stop()
        scheduler.execute { seen.withLock { $0.append(-1) } }
        #expect(seen.withLock { $0 } == Array(0..<1000))
    }

    @Test func `a thread's timers fire in the order of their times unless cancelled`() async {
        let scheduler = ThreadScheduler(name: "test")
        let seen = Mutex<[String]>([])
        await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
            _ = scheduler.schedule(afterNanoseconds: 2_000_000) {
                seen.withLock { $0.append("second") }
                done.resume()
            }
            let cancelled = scheduler.schedule(afterNanoseconds: 1_500_000) { seen.withLock { $0.append("never") } }
            _ = scheduler.schedule(afterNanoseconds: 1_000_000) { seen.withLock { $0.append("first") } }
            cancelled.cancel()
        }
        scheduler.stop()
        #expect(seen.withLock { $0 } == ["first", "second"])
    }

    @Test func `a pool runs every job before stop returns`() {
        let pool = ThreadWorkerPool(name: "pool", count: 3, niceness: 5)
        let count = Atomic<Int>(0)
        for _ in 0..<5000 { pool.submit { count.add(1, ordering: .relaxed) } }
        pool.stop()
        #expect(count.load(ordering: .relaxed) == 5000)
    }

    @Test func `the clock goes forward`() {
        let clock = PosixClock()
        let first = clock.monotonicNanoseconds
        #expect(clock.monotonicNanoseconds >= first)
        #expect(clock.wallMilliseconds > 1_600_000_000_000)
        let random = SystemRandomness()
        #expect(random.next() != random.next())
    }

    private func inTemporaryFolder(_ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.path + "/kv-" + UUID().uuidString
        try fileSystem.createDirectory(folder)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body(folder)
    }
}
