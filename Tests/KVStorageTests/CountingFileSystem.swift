import KVEnvironment
import KVPosix
import Synchronization

/// The real files, with the syncs of logs counted.
final class CountingFileSystem: FileSystem {
    private let inner = PosixFileSystem()
    /// Completed syncs of files whose name ends with `.log`.
    let logSyncs = Atomic<Int>(0)
    /// Writes to such files.
    let logWrites = Atomic<Int>(0)

    func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File {
        CountingFile(try inner.open(path, mode), self)
    }
    func createDirectory(_ path: String) throws(FileError) { try inner.createDirectory(path) }
    func synchronizeDirectory(_ path: String) throws(FileError) { try inner.synchronizeDirectory(path) }
    func list(_ path: String) throws(FileError) -> [String] { try inner.list(path) }
    func exists(_ path: String) -> Bool { inner.exists(path) }
    func size(_ path: String) throws(FileError) -> UInt64 { try inner.size(path) }
    func rename(_ from: String, to: String) throws(FileError) { try inner.rename(from, to: to) }
    func remove(_ path: String) throws(FileError) { try inner.remove(path) }
    func removeTree(_ path: String) throws(FileError) { try inner.removeTree(path) }
    func link(_ from: String, to: String) throws(FileError) { try inner.link(from, to: to) }
    func lock(_ path: String) throws(FileError) -> any FileLock { try inner.lock(path) }
    func freeSpace(_ path: String) throws(FileError) -> UInt64 { try inner.freeSpace(path) }

    private final class CountingFile: File {
        let inner: any File
        let counts: CountingFileSystem
        let path: String
        let isLog: Bool

        init(_ inner: any File, _ counts: CountingFileSystem) {
            self.inner = inner
            self.counts = counts
            path = inner.path
            // A segment is synchronized once under its temporary name.
            isLog = inner.path.contains("/log/")
        }

        func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(FileError) -> Int {
            try inner.read(into: buffer, at: offset)
        }
        func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(FileError) {
            try inner.write(bytes, at: offset)
            if isLog { counts.logWrites.add(1, ordering: .relaxed) }
        }
        func synchronize() throws(FileError) {
            try inner.synchronize()
            if isLog { counts.logSyncs.add(1, ordering: .relaxed) }
        }
        func size() throws(FileError) -> UInt64 { try inner.size() }
        func truncate(to size: UInt64) throws(FileError) { try inner.truncate(to: size) }
        func reserve(_ bytes: UInt64) throws(FileError) { try inner.reserve(bytes) }
        func close() { inner.close() }
    }
}
