package import KVEnvironment

/// Why a log cannot be written or opened.
package enum LogError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A file operation failed; where it was a write or a sync of the log, the writer is poisoned from now on.
    case file(FileError)
    /// A write or sync failed before, for this reason: nothing more is written.
    ///
    /// Reopen and recover.
    case poisoned(FileError)
    /// The next segment cannot be made, for this reason; nothing was written, and the call may be tried again.
    case segmentUnavailable(FileError)
    /// The writer was closed.
    case closed
    /// The record is longer than `LogFormat.recordBytesMax`.
    case recordTooLong(Int)
    /// The log cannot be believed as far as it goes: a verdict of corruption or an input/output error.
    case damaged(LogVerdict)
    /// The file belongs to another log.
    case foreign(path: String, expected: [UInt8], found: [UInt8])
    /// The file is of a version that this program does not know.
    case unsupportedVersion(path: String, version: UInt32)

    /// One line for a person.
    package var description: String {
        switch self {
        case .file(let error): "log: \(error)"
        case .poisoned(let error): "the log takes nothing more since \(error); restart the node"
        case .segmentUnavailable(let error): "the next log segment cannot be made: \(error)"
        case .closed: "the log is closed"
        case .recordTooLong(let count): "a record of \(count) bytes is longer than \(LogFormat.recordBytesMax)"
        case .damaged(let verdict): "\(verdict)"
        case .foreign(let path, let expected, let found):
            "\(path) belongs to another log: expected identity \(expected), found \(found)"
        case .unsupportedVersion(let path, let version):
            "\(path) has format version \(version); this program reads version \(LogFormat.version)"
        }
    }
}

/// A place in a log.
package struct LogPlace: Equatable, Sendable, CustomStringConvertible {
    /// The file.
    package var path: String
    /// The byte in the file.
    package var offset: UInt64
    /// The byte counted over the whole log.
    package var position: UInt64

    /// A place.
    package init(path: String, offset: UInt64, position: UInt64) {
        self.path = path
        self.offset = offset
        self.position = position
    }

    /// One phrase for a person.
    package var description: String { "\(path), offset \(offset) (position \(position))" }
}

/// How reading a log ended.
package enum LogVerdict: Equatable, Sendable, CustomStringConvertible {
    /// Nothing follows; `isClosed` where the last writer said so.
    case cleanEnd(LogPlace, isClosed: Bool)
    /// A write that was never claimed durable is not whole: the log ends here.
    case tornTail(LogPlace)
    /// Bytes that were durable once, up to the position `provenDurableThrough`, do not read: never cut here.
    case corruption(LogPlace, provenDurableThrough: UInt64, LogDamage)
    /// The disk could not be read.
    case inputOutput(FileError)

    /// Whether the log may be continued where it ends.
    package var isUsable: Bool {
        switch self {
        case .cleanEnd, .tornTail: true
        case .corruption, .inputOutput: false
        }
    }

    /// One line for a person.
    package var description: String {
        switch self {
        case .cleanEnd(let place, let isClosed): "clean end\(isClosed ? ", closed," : "") at \(place)"
        case .tornTail(let place): "torn tail at \(place)"
        case .corruption(let place, let proven, let damage):
            "corruption at \(place): \(damage); bytes before position \(proven) were durable"
        case .inputOutput(let error): "\(error)"
        }
    }
}

/// What is wrong with bytes that were durable once.
package enum LogDamage: Equatable, Sendable, CustomStringConvertible {
    /// No valid chunk where one has to be.
    case badChunk
    /// The file's header record does not read.
    case badHeader
    /// A segment between two others is not there.
    case missingSegment(UInt32)
    /// The file is shorter than its successor says.
    case shortFile(expected: UInt64, found: UInt64)
    /// The segment's records are not as many as its successor says.
    case recordCount(expected: UInt64, found: UInt64)
    /// A successor does not begin where its predecessor ends.
    case disconnected(expected: UInt64, found: UInt64)
    /// A record is well framed but does not say what its owner writes.
    case badRecord
    /// The log ends before an entry that was in it, by the word of its owner's other files.
    case missingEntries(group: UInt32, last: UInt64, expected: UInt64)
    /// An entry is of another term than the one that was there, by the word of its owner's other files.
    case otherTerm(group: UInt32, index: UInt64, expected: UInt64, found: UInt64)

    /// One phrase for a person.
    package var description: String {
        switch self {
        case .badChunk: "no valid chunk"
        case .badHeader: "no valid header record"
        case .missingSegment(let number): "segment \(LogFormat.segmentName(number)) is missing"
        case .shortFile(let expected, let found): "the file has \(found) bytes of \(expected)"
        case .recordCount(let expected, let found): "\(found) records of \(expected)"
        case .disconnected(let expected, let found): "begins at position \(found) instead of \(expected)"
        case .badRecord: "a record that its owner never writes"
        case .missingEntries(let group, let last, let expected):
            "the log of group \(group) ends at entry \(last), and entry \(expected) was in it: acknowledged entries are lost"
        case .otherTerm(let group, let index, let expected, let found):
            "entry \(index) of group \(group) is of term \(found), and was of term \(expected)"
        }
    }
}
