import Glibc
import KVBase
package import KVEnvironment

/// The host's file system.
///
/// Stateless; any thread.
///
/// Every call that a signal can interrupt is repeated, every descriptor is closed on exec, and a directory is synced as such: the
/// name of a new file is durable only after `synchronizeDirectory`.
package struct PosixFileSystem: FileSystem {
    /// A view of the host's file system.
    package init() {}

    package func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File {
        let flags: Int32 =
            switch mode {
            case .read: O_RDONLY
            case .readWrite: O_RDWR
            case .createNew: O_RDWR | O_CREAT | O_EXCL
            }
        let descriptor = retryingInterrupts { Glibc.open(path, flags | O_CLOEXEC, 0o644) }
        guard descriptor >= 0 else { throw FileError(mode == .createNew ? .create : .open, path: path) }
        return PosixFile(path: path, descriptor: descriptor)
    }

    package func createDirectory(_ path: String) throws(FileError) {
        if mkdir(path, 0o755) == 0 { return }
        switch errno {
        case EEXIST:
            guard isDirectory(path) else { throw FileError(.create, path: path, reason: .exists) }
        case ENOENT:
            let parent = parentDirectory(of: path)
            guard parent != path, parent != "." else { throw FileError(.create, path: path, reason: .notFound) }
            try createDirectory(parent)
            // Someone else may have made it meanwhile.
            guard mkdir(path, 0o755) == 0 || isDirectory(path) else { throw FileError(.create, path: path) }
        default:
            throw FileError(.create, path: path)
        }
    }

    package func synchronizeDirectory(_ path: String) throws(FileError) {
        let descriptor = retryingInterrupts { Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        guard descriptor >= 0 else { throw FileError(.synchronize, path: path) }
        defer { _ = Glibc.close(descriptor) }
        guard retryingInterrupts({ fsync(descriptor) }) == 0 else { throw FileError(.synchronize, path: path) }
    }

    package func list(_ path: String) throws(FileError) -> [String] {
        guard let directory = opendir(path) else { throw FileError(.list, path: path) }
        defer { closedir(directory) }
        var names: [String] = []
        while true {
            // `readdir` tells its end from an error only by errno.
            errno = 0
            guard let entry = readdir(directory) else {
                guard errno == 0 else { throw FileError(.list, path: path) }
                break
            }
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    package func exists(_ path: String) -> Bool {
        access(path, F_OK) == 0
    }

    package func size(_ path: String) throws(FileError) -> UInt64 {
        var status = stat()
        guard stat(path, &status) == 0 else { throw FileError(.size, path: path) }
        return UInt64(status.st_size)
    }

    package func rename(_ from: String, to: String) throws(FileError) {
        guard Glibc.rename(from, to) == 0 else { throw FileError(.rename, path: from) }
    }

    package func remove(_ path: String) throws(FileError) {
        guard unlink(path) == 0 else { throw FileError(.remove, path: path) }
    }

    package func removeTree(_ path: String) throws(FileError) {
        var status = stat()
        guard lstat(path, &status) == 0 else {
            if errno == ENOENT { return }
            throw FileError(.remove, path: path)
        }
        guard status.st_mode & S_IFMT == S_IFDIR else { return try remove(path) }
        for name in try list(path) { try removeTree(path + "/" + name) }
        guard rmdir(path) == 0 || errno == ENOENT else { throw FileError(.remove, path: path) }
    }

    package func link(_ from: String, to: String) throws(FileError) {
        guard Glibc.link(from, to) == 0 else { throw FileError(.link, path: to) }
    }

    package func lock(_ path: String) throws(FileError) -> any FileLock {
        let descriptor = retryingInterrupts { Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644) }
        guard descriptor >= 0 else { throw FileError(.lock, path: path) }
        // `flock` belongs to the open file description: a second holder in this very process is refused too, and the lock goes
        // with the process however it ends.
        guard retryingInterrupts({ flock(descriptor, LOCK_EX | LOCK_NB) }) == 0 else {
            let error =
                errno == EWOULDBLOCK
                ? FileError(.lock, path: path, reason: .locked) : FileError(.lock, path: path)
            _ = Glibc.close(descriptor)
            throw error
        }
        return PosixFileLock(descriptor: descriptor)
    }

    package func freeSpace(_ path: String) throws(FileError) -> UInt64 {
        var status = statvfs()
        guard retryingInterrupts({ statvfs(path, &status) }) == 0 else { throw FileError(.space, path: path) }
        return UInt64(status.f_bavail) * UInt64(status.f_frsize)
    }

    private func isDirectory(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }
}

/// Calls again while a signal interrupts.
func retryingInterrupts(_ call: () -> Int32) -> Int32 {
    while true {
        let result = call()
        if result != -1 || errno != EINTR { return result }
    }
}

extension FileError {
    /// The error that `errno` tells of now.
    init(_ operation: Operation, path: String) {
        let number = errno
        let reason: Reason =
            switch number {
            case ENOENT: .notFound
            case EEXIST, ENOTEMPTY: .exists
            case ENOSPC, EDQUOT: .noSpace
            case EIO: .inputOutput
            case EACCES, EPERM, EROFS: .permission
            default: .other(number)
            }
        self.init(operation, path: path, reason: reason)
    }
}
