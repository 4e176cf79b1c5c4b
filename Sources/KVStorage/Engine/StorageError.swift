package import KVEnvironment

/// Why the storage engine could not do what was asked.
package enum StorageError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A file operation failed.
    case file(FileError)
    /// Stored bytes are not what was written: which file, where, how many bytes, what is wrong.
    ///
    /// They were not returned.
    case corruption(file: String, offset: UInt64, length: UInt64, what: String)
    /// A file is of a format that this version does not read.
    case unsupported(file: String, what: String)
    /// Memtables hold as much as they may and flushing does not keep up: try again later.
    ///
    /// The proposer should have stopped.
    case memtablesFull
    /// A batch is longer than a batch may be.
    case batchTooLong(bytes: Int, bytesMax: Int)
    /// The tablet takes no writes any more; the text says why and what to do.
    case readOnly(String)
    /// Finished tables are being taken in, and nothing is written meanwhile: try again later.
    case ingesting
    /// Finished tables do not fit the tablet; the text says why.
    case invalidIngest(String)
    /// The tablet is closed or has failed to open.
    case closed

    /// One line for a person.
    package var description: String {
        switch self {
        case .file(let error): "\(error)"
        case .corruption(let file, let offset, let length, let what):
            "\(file): bytes \(offset)..<\(offset &+ length): \(what); rebuild this tablet from a peer"
        case .unsupported(let file, let what): "\(file): \(what); use a newer version"
        case .memtablesFull: "memtables are full: flushing does not keep up; retry"
        case .batchTooLong(let bytes, let bytesMax): "batch of \(bytes) bytes, at most \(bytesMax) are taken"
        case .readOnly(let why): "read-only: \(why)"
        case .ingesting: "finished tables are being taken in; retry"
        case .invalidIngest(let why): "the tables cannot be taken in: \(why); make them again"
        case .closed: "the tablet is closed"
        }
    }

    /// Whether the disk is full: the operation may succeed later.
    package var isNoSpace: Bool {
        if case .file(let error) = self { return error.reason == .noSpace }
        return false
    }
}
