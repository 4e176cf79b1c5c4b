import KVEnvironment
import KVLog
import KVSimulation
import Testing

/// A record as tests write and read it.
struct TestRecord: Equatable {
    var kind: LogRecordKind = .batch
    var payload: [UInt8]
}

/// Bytes without a short period.
private let pattern: [UInt8] = (0..<(1 << 18)).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8 &+ $0 >> 13) }

/// `count` bytes that tell their place and their record.
func bytes(_ count: Int, _ salt: Int = 0) -> [UInt8] {
    Array(pattern[(salt * 7)..<(salt * 7 + count)])
}

/// A log of segments on a simulated disk.
struct TestLog {
    let disk: SimulatedFileSystem
    var segmentBytes: UInt64 = 4096
    var identity: [UInt8] = [1, 2, 3]

    func read() throws(LogError) -> (contents: LogContents, records: [TestRecord]) {
        var records: [TestRecord] = []
        let contents = try LogReader.readSegments(disk, directory: "log", identity: identity) { record in
            records.append(TestRecord(kind: record.kind, payload: Array(record.payload)))
            #expect(record.sequence >= UInt64(records.count))
        }
        return (contents, records)
    }

    /// Reads the log and goes on writing it.
    func open(prepared: Bool = false) throws(LogError) -> (writer: LogWriter, records: [TestRecord]) {
        do {
            try disk.createDirectory("log")
            try disk.synchronizeDirectory("")
        } catch {
            throw .file(error)
        }
        let (contents, records) = try read()
        let preparer = prepared ? SegmentPreparer(disk, directory: "log", segmentBytes: segmentBytes) : nil
        let writer = try LogWriter.open(
            disk,
            directory: "log",
            identity: identity,
            segmentBytes: segmentBytes,
            after: contents,
            preparer: preparer
        )
        return (writer, records)
    }
}

func readFile(
    _ disk: SimulatedFileSystem,
    _ path: String
) throws(LogError) -> (contents: LogContents, records: [TestRecord]) {
    var records: [TestRecord] = []
    let contents = try LogReader.read(disk, path: path) { record in
        records.append(TestRecord(kind: record.kind, payload: Array(record.payload)))
    }
    return (contents, records)
}

extension LogVerdict {
    var isCorruption: Bool {
        if case .corruption = self { true } else { false }
    }
    var isTorn: Bool {
        if case .tornTail = self { true } else { false }
    }
    var isClean: Bool {
        if case .cleanEnd = self { true } else { false }
    }
    var isClosed: Bool {
        if case .cleanEnd(_, let isClosed) = self { isClosed } else { false }
    }
}
