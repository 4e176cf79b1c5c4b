import Foundation
import KVEnvironment
import KVPosix
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
