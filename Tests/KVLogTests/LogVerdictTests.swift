import KVEnvironment
import KVLog
import KVSimulation
import Testing

/// How a log that was hurt is judged.
struct LogVerdictTests {
    let disk = SimulatedFileSystem(seed: 1)

    @Test func `a torn tail is cut at the last whole record`() throws {
        let log = TestLog(disk: disk, segmentBytes: 1 << 20)
        let (writer, _) = try log.open()
        try writer.append(.batch, bytes(100, 1))
        try writer.sync()
        let end = Int(writer.fileOffset)
        try writer.append(.batch, bytes(3000, 2))
        try writer.append(.batch, bytes(3000, 3))
        try writer.flush()
        // The second record of the batch is there whole, the first is not: sectors land in any order.
        disk.flipBit((end + 1000) * 8, of: "log/00000001.log")
        let (contents, records) = try log.read()
        #expect(records == [TestRecord(payload: bytes(100, 1))])
        #expect(
            contents.verdict
                == .tornTail(LogPlace(path: "log/00000001.log", offset: UInt64(end), position: UInt64(end)))
        )
    }

    @Test func `damage before a later chunk's durable position is corruption`() throws {
        let log = TestLog(disk: disk, segmentBytes: 1 << 20)
        let (writer, _) = try log.open()
        for number in 0..<3 {
            try writer.append(.batch, bytes(100, number))
            try writer.sync()
        }
        let proven = writer.durablePosition - UInt64(100 + 1 + LogFormat.chunkHeaderBytes)
        disk.flipBit(150 * 8, of: "log/00000001.log")
        let (contents, records) = try log.read()
        #expect(records.count < 2)
        guard case .corruption(_, let through, .badChunk) = contents.verdict else {
            Issue.record("\(contents.verdict)")
            return
        }
        #expect(through == proven)
        #expect(throws: LogError.damaged(contents.verdict)) { try log.open() }
    }

    @Test func `a mark after an idle sync proves the last batch`() throws {
        for isMarked in [false, true] {
            let log = TestLog(disk: SimulatedFileSystem(seed: 4), segmentBytes: 1 << 20)
            let (writer, _) = try log.open()
            try writer.append(.batch, bytes(100, 1))
            try writer.sync()
            if isMarked {
                #expect(try writer.markSynced())
                #expect(try !writer.markSynced())
            }
            log.disk.flipBit(200 * 8 - 8 * 80, of: "log/00000001.log")
            let verdict = try log.read().contents.verdict
            #expect(isMarked ? verdict.isCorruption : verdict.isTorn)
        }
    }

    @Test func `no mark while records wait for their sync`() throws {
        let log = TestLog(disk: disk)
        let (writer, _) = try log.open()
        try writer.append(.batch, [1])
        #expect(try !writer.markSynced())
        try writer.sync()
        #expect(try writer.markSynced())
        try writer.append(.batch, [2])
        try writer.sync()
        #expect(try log.read().records.map(\.payload) == [[1], [2]])
    }

    @Test func `a missing segment is found by its number`() throws {
        let log = TestLog(disk: disk)
        let (writer, _) = try log.open()
        for number in 0..<60 { try writer.append(.batch, bytes(300, number)) }
        try writer.close()
        let whole = try log.read().contents
        #expect(whole.segments.count > 3)
        for missing in whole.segments.dropFirst().dropLast() {
            let copy = TestLog(disk: disk.copy())
            try copy.disk.remove(missing.path)
            let (contents, _) = try copy.read()
            guard case .corruption(_, _, .missingSegment(missing.number)) = contents.verdict else {
                Issue.record("\(contents.verdict)")
                continue
            }
        }
        // The oldest may have been dropped: its owner knows.
        let copy = TestLog(disk: disk.copy())
        try copy.disk.remove(whole.segments[0].path)
        #expect(try copy.read().contents.verdict.isClosed)
    }

    @Test func `a shortened segment is corruption`() throws {
        let log = TestLog(disk: disk)
        let (writer, _) = try log.open()
        for number in 0..<30 { try writer.append(.batch, bytes(300, number)) }
        try writer.close()
        let first = try log.read().contents.segments[0]
        let file = try disk.open(first.path, .readWrite)
        try file.truncate(to: first.length - 1)
        let verdict = try log.read().contents.verdict
        guard case .corruption(_, _, .shortFile(first.length, first.length - 1)) = verdict else {
            Issue.record("\(verdict)")
            return
        }
    }

    @Test func `every cut of a file reads as a prefix`() throws {
        let writer = try LogWriter.create(disk, path: "f")
        for number in 0..<5 { try writer.append(.batch, bytes(number * 20, number)) }
        try writer.sync()
        let whole = try #require(disk.content(of: "f"))
        for length in 0..<whole.count {
            disk.setContent(Array(whole[..<length]), of: "g")
            let (contents, records) = try readFile(disk, "g")
            #expect(records == (0..<records.count).map { TestRecord(payload: bytes($0 * 20, $0)) })
            #expect(contents.verdict.isUsable || records.isEmpty)
        }
    }

    @Test func `an unreadable disk is neither clean nor torn`() throws {
        let log = TestLog(disk: disk)
        let (writer, _) = try log.open()
        for number in 0..<60 { try writer.append(.batch, bytes(300, number)) }
        try writer.close()
        disk.resetCounters()
        _ = try log.read()
        for read in 1...disk.readCount {
            disk.resetCounters()
            disk.faults.failReadAt = read
            guard case .inputOutput = try log.read().contents.verdict else {
                Issue.record("read \(read) failed unseen")
                continue
            }
        }
    }

    @Test func `short reads change nothing`() throws {
        let log = TestLog(disk: disk, segmentBytes: 100_000)
        let (writer, _) = try log.open()
        for number in 0..<60 { try writer.append(.batch, bytes(3000, number)) }
        try writer.close()
        disk.faults.shortReadProbability = 0.7
        let (contents, records) = try log.read()
        #expect(contents.verdict.isClosed)
        #expect(records == (0..<60).map { TestRecord(payload: bytes(3000, $0)) })
    }
}
