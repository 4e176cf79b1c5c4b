/// A failed file operation: what was tried, on what, and the system's reason.
package struct FileError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What was tried.
    package enum Operation: String, Sendable {
        case open, read, write, synchronize, size, truncate, create, rename, remove, list, link, lock, space
    }
    /// Why it failed, as far as callers tell reasons apart.
    package enum Reason: Equatable, Sendable {
        case notFound, exists, noSpace, inputOutput, locked, permission
        /// Any other `errno`.
        case other(Int32)
    }
    /// What was tried.
    package let operation: Operation
    /// The file or directory.
    package let path: String
    /// Why it failed.
    package let reason: Reason

    /// An error with these parts.
    package init(_ operation: Operation, path: String, reason: Reason) {
        self.operation = operation
        self.path = path
        self.reason = reason
    }

    /// What Linux calls the reasons that people bring about with a wrong path or too small limits.
    private static let meanings: [Int32: String] = [
        18: "the other name is on another disk", 20: "not a directory", 21: "is a directory", 22: "invalid argument",
        24: "too many open files", 27: "file too large", 30: "the disk is read-only", 36: "the name is too long",
        39: "the directory is not empty", 40: "too many symbolic links",
    ]

    /// One line for a person.
    package var description: String {
        let text =
            switch reason {
            case .notFound: "no such file or directory"
            case .exists: "already exists"
            case .noSpace: "no space left on the disk"
            case .inputOutput: "input/output error; check the disk"
            case .locked: "held by another process"
            case .permission: "permission denied"
            case .other(let number): Self.meanings[number] ?? "error number \(number)"
            }
        return "\(operation.rawValue) \(path): \(text)"
    }
}

/// How a file is opened.
package enum OpenMode: Sendable {
    /// Must exist; reading only.
    case read
    /// Must exist; reading and writing.
    case readWrite
    /// Must not exist; made empty. The name is durable only after `synchronizeDirectory` of its directory.
    case createNew
}

/// An open file.
///
/// Positions are bytes from its start. Any thread; two writers of one range are the caller's fault. Closed when the
/// last reference goes, or by `close`.
package protocol File: AnyObject, Sendable {
    /// The path it was opened with.
    var path: String { get }
    /// Reads up to `buffer.count` bytes at `offset`; fewer only at the end of the file. Returns how many.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(FileError) -> Int
    /// Writes all the bytes at `offset`, growing the file as needed. Not durable before `synchronize`.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(FileError)
    /// Returns after everything written and the size are on stable storage (`fdatasync`). After a failure nothing about the
    /// file may be believed: reopen and recover, never call it again.
    func synchronize() throws(FileError)
    /// The size in bytes.
    func size() throws(FileError) -> UInt64
    /// Cuts or extends (with zeros) to `size` bytes. Durable after `synchronize`.
    func truncate(to size: UInt64) throws(FileError)
    /// Takes room on the disk for the file's first `bytes` bytes, so that writing them cannot meet a full disk.
    ///
    /// The file may grow to that size, with zeros.
    func reserve(_ bytes: UInt64) throws(FileError)
    /// Has what was written in `range` begin its way to the disk, so that a later `synchronize` finds less to do; nothing is
    /// durable by it.
    func startWriteback(_ range: Range<UInt64>)
    /// Asks that writes go straight to the disk and leave no copy in the system's cache: right for what is synced after each
    /// write, by one owner, each where the last ended, and hardly ever read.
    ///
    /// A wish: where the disk cannot do it, and for every other write, nothing changes. A write may then put zeros behind its last
    /// byte, through the end of the block: what stands there is to be overwritten anyway. `truncate` and `read` end it.
    func bypassCache()
    /// Closes; later calls fail. Idempotent.
    func close()
}

extension File {
    /// A hint that need not be taken.
    package func startWriteback(_ range: Range<UInt64>) {}
    /// Nothing: there is no cache to go around.
    package func bypassCache() {}
}

/// A held lock on a file; let go by `release` or with the process.
package protocol FileLock: AnyObject, Sendable {
    /// Lets go. Idempotent.
    func release()
}

/// The file operations that the server uses, real (`KVPosix`) or simulated.
///
/// Synchronous: call from storage threads. Paths are UTF-8, absolute or relative to the process, with `/` between
/// parts. Any thread.
package protocol FileSystem: Sendable {
    /// Opens or makes a file.
    func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File
    /// Makes a directory and its parents; no error where it exists already.
    func createDirectory(_ path: String) throws(FileError)
    /// Returns after the names in the directory (made, renamed, removed) are on stable storage.
    func synchronizeDirectory(_ path: String) throws(FileError)
    /// The names in a directory, sorted.
    func list(_ path: String) throws(FileError) -> [String]
    /// Whether a file or directory exists.
    func exists(_ path: String) -> Bool
    /// The size of a file in bytes.
    func size(_ path: String) throws(FileError) -> UInt64
    /// Gives `from` the name `to`, atomically replacing a file there. Durable after `synchronizeDirectory`.
    func rename(_ from: String, to: String) throws(FileError)
    /// Removes a file. Durable after `synchronizeDirectory`.
    func remove(_ path: String) throws(FileError)
    /// Removes a directory and everything in it; no error where it is absent.
    func removeTree(_ path: String) throws(FileError)
    /// Gives the file `from` a second name `to` (hard link).
    func link(_ from: String, to: String) throws(FileError)
    /// Takes an exclusive lock on `path`, made if absent, without waiting.
    /// - Throws: `locked` where another holder has it.
    func lock(_ path: String) throws(FileError) -> any FileLock
    /// Free bytes on the disk that holds `path`.
    func freeSpace(_ path: String) throws(FileError) -> UInt64
}

extension FileSystem {
    /// The whole content of a file.
    package func readAll(_ path: String) throws(FileError) -> [UInt8] {
        let file = try open(path, .read)
        defer { file.close() }
        let size = Int(try file.size())
        var bytes = [UInt8](repeating: 0, count: size)
        var done = 0
        while done < size {
            let count = try readChunk(file, into: &bytes, from: done)
            if count == 0 { break }
            done += count
        }
        bytes.removeLast(size - done)
        return bytes
    }

    /// Writes a file whole so that a crash leaves the old content or the new: written beside, synced, renamed, directory synced.
    package func replace(_ path: String, with bytes: [UInt8]) throws(FileError) {
        let temporary = path + ".new"
        if exists(temporary) { try remove(temporary) }
        let file = try open(temporary, .createNew)
        defer { file.close() }
        try bytes.withUnsafeBufferPointer { (buffer) throws(FileError) in
            try file.write(UnsafeRawBufferPointer(buffer), at: 0)
        }
        try file.synchronize()
        try rename(temporary, to: path)
        try synchronizeDirectory(parentDirectory(of: path))
    }

    private func readChunk(_ file: any File, into bytes: inout [UInt8], from done: Int) throws(FileError) -> Int {
        try bytes.withUnsafeMutableBufferPointer { (buffer) throws(FileError) in
            try file.read(
                into: UnsafeMutableRawBufferPointer(UnsafeMutableBufferPointer(rebasing: buffer[done...])),
                at: UInt64(done)
            )
        }
    }
}

/// What is before the last `/` of a path; "." where there is none.
package func parentDirectory(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
}

/// What is behind the last `/` of a path; the path itself where there is none.
package func fileName(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return path }
    return String(path[path.index(after: slash)...])
}
