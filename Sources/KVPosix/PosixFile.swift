import CMemory
import Glibc
import KVEnvironment
import Synchronization

/// A file of the host, by descriptor.
///
/// Any thread: `close` waits for nobody; the descriptor is given back by whoever is last to use it, so that a read
/// under way never meets a descriptor that another file took over.
final class PosixFile: File {
    let path: String
    private let descriptor: Int32
    /// Bit 0: to be closed.
    ///
    /// Bit 1: given back. The rest: calls under way, in steps of 4.
    private let state = Atomic<Int>(0)
    /// Whether `direct` holds a writer; spares others its lock.
    private let isDirect = Atomic<Bool>(false)
    private let direct = Mutex<DirectWriter?>(nil)

    init(path: String, descriptor: Int32) {
        self.path = path
        self.descriptor = descriptor
    }

    deinit { close() }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(FileError) -> Int {
        try begin(.read)
        defer { end() }
        useCache()
        var done = 0
        while done < buffer.count {
            let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
            let count = pread(descriptor, rest.baseAddress, rest.count, off_t(offset) + off_t(done))
            if count == 0 { break }
            if count < 0 {
                if errno == EINTR { continue }
                throw FileError(.read, path: path)
            }
            done += count
        }
        return done
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(FileError) {
        try begin(.write)
        defer { end() }
        if isDirect.load(ordering: .acquiring), try writeDirectly(bytes, at: offset) { return }
        var done = 0
        while done < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
            let count = pwrite(descriptor, rest.baseAddress, rest.count, off_t(offset) + off_t(done))
            if count < 0 {
                if errno == EINTR { continue }
                throw FileError(.write, path: path)
            }
            done += count
        }
    }

    /// Returns false where the disk cannot do it after all: the write is then to be done through the cache, as all that follow.
    private func writeDirectly(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(FileError) -> Bool {
        let code: Int32? = direct.withLock { writer in
            guard let code = writer?.write(bytes, at: offset) else { return nil }
            if code == EINVAL { writer = nil }
            return code
        }
        switch code {
        case 0?: return true
        case nil, EINVAL?:
            isDirect.store(false, ordering: .releasing)
            return false
        case let code?:
            errno = code
            throw FileError(.write, path: path)
        }
    }

    func bypassCache() {
        guard (try? begin(.write)) != nil else { return }
        defer { end() }
        let isOn = direct.withLock { writer in
            if writer == nil { writer = DirectWriter(descriptor) }
            return writer != nil
        }
        isDirect.store(isOn, ordering: .releasing)
    }

    private func useCache() {
        guard isDirect.load(ordering: .acquiring) else { return }
        isDirect.store(false, ordering: .releasing)
        direct.withLock { $0 = nil }
    }

    func synchronize() throws(FileError) {
        try begin(.synchronize)
        defer { end() }
        guard retryingInterrupts({ fdatasync(descriptor) }) == 0 else { throw FileError(.synchronize, path: path) }
    }

    func size() throws(FileError) -> UInt64 {
        try begin(.size)
        defer { end() }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw FileError(.size, path: path) }
        return UInt64(status.st_size)
    }

    func truncate(to size: UInt64) throws(FileError) {
        try begin(.truncate)
        defer { end() }
        useCache()
        guard retryingInterrupts({ ftruncate(descriptor, off_t(size)) }) == 0 else {
            throw FileError(.truncate, path: path)
        }
    }

    func reserve(_ bytes: UInt64) throws(FileError) {
        try begin(.space)
        defer { end() }
        // Unlike the others it returns its error.
        let code = retryingInterrupts {
            errno = posix_fallocate(descriptor, 0, off_t(bytes))
            return errno == 0 ? 0 : -1
        }
        guard code == 0 else { throw FileError(.space, path: path) }
    }

    func startWriteback(_ range: Range<UInt64>) {
        // A hint: on a file that was closed there is nothing to hasten.
        do throws(FileError) { try begin(.write) } catch { return }
        defer { end() }
        kv_start_writeback(descriptor, Int64(range.lowerBound), Int64(range.upperBound - range.lowerBound))
    }

    func close() {
        state.bitwiseOr(1, ordering: .acquiringAndReleasing)
        giveBackIfIdle()
    }

    private func begin(_ operation: FileError.Operation) throws(FileError) {
        let old = state.add(4, ordering: .acquiringAndReleasing).oldValue
        guard old & 1 == 0 else {
            end()
            throw FileError(operation, path: path, reason: .other(EBADF))
        }
    }

    private func end() {
        if state.subtract(4, ordering: .acquiringAndReleasing).newValue == 1 { giveBackIfIdle() }
    }

    private func giveBackIfIdle() {
        if state.compareExchange(expected: 1, desired: 3, ordering: .acquiringAndReleasing).exchanged {
            // Before the number can be another file's.
            direct.withLock { $0 = nil }
            _ = Glibc.close(descriptor)
        }
    }
}

/// A lock held through an open descriptor.
final class PosixFileLock: FileLock {
    private let descriptor: Int32
    private let isReleased = Atomic<Bool>(false)

    init(descriptor: Int32) {
        self.descriptor = descriptor
    }

    deinit { release() }

    func release() {
        if isReleased.exchange(true, ordering: .acquiringAndReleasing) { return }
        _ = Glibc.close(descriptor)
    }
}
