import KVEnvironment
import KVLog
import KVSimulation
import Testing

/// What is written is read.
struct LogRoundTripTests {
    let disk = SimulatedFileSystem(seed: 1)

    @Test func `records of every size around a block's end come back`() throws {
        let block = LogFormat.blockBytes
        for filler in [0, 1, block - 200, block - 90, block - 60] {
            let path = "f\(filler)"
            let writer = try LogWriter.create(disk, path: path)
            var expected: [TestRecord] = []
            // The header record, its chunk header and the filler leave from many to no bytes in the first block.
            let sizes =
                [filler] + Array(0...64) + Array((block - 70)...(block - 10))
                + Array((2 * block - 62)...(2 * block - 38)) + [5 * block]
            for (number, size) in sizes.enumerated() {
                let payload = bytes(size, number)
                expected.append(TestRecord(kind: LogRecordKind(rawValue: UInt8(2 + number % 9)), payload: payload))
                try writer.append(LogRecordKind(rawValue: UInt8(2 + number % 9)), payload)
                if number % 10 == 0 { try writer.sync() }
            }
            try writer.close()
            let (contents, records) = try readFile(disk, path)
            #expect(records == expected)
            #expect(contents.verdict.isClosed)
            #expect(contents.lastSequence == UInt64(sizes.count))
        }
    }

    @Test func `a block is left with every possible number of bytes`() throws {
        for left in 0...64 {
            let path = "left\(left)"
            let writer = try LogWriter.create(disk, path: path)
            let filler = LogFormat.blockBytes - Int(writer.fileOffset) - LogFormat.chunkHeaderBytes - 1 - left
            let expected = [bytes(filler, 1), bytes(40, 2), bytes(3, 3)].map { TestRecord(payload: $0) }
            for record in expected { try writer.append(record.kind, record.payload) }
            try writer.sync()
            let (contents, records) = try readFile(disk, path)
            #expect(records == expected)
            #expect(contents.verdict.isClean && !contents.verdict.isClosed)
        }
    }

    @Test func `a record put in pieces is one record`() throws {
        let writer = try LogWriter.create(disk, path: "f")
        let whole = bytes(100_000)
        _ = try writer.begin(.batch, count: whole.count)
        for start in stride(from: 0, to: whole.count, by: 777) {
            whole[start..<min(start + 777, whole.count)].withUnsafeBytes { writer.put($0) }
        }
        try writer.end()
        try writer.sync()
        #expect(try readFile(disk, "f").records == [TestRecord(payload: whole)])
    }

    @Test func `a log rolls from segment to segment and reads as one`() throws {
        for prepared in [false, true] {
            let log = TestLog(disk: SimulatedFileSystem(seed: 2))
            let (writer, _) = try log.open(prepared: prepared)
            var expected: [TestRecord] = []
            for number in 0..<100 {
                let payload = bytes(number * 13 % 700, number)
                expected.append(TestRecord(payload: payload))
                try writer.append(.batch, payload)
                if number % 3 == 0 { try writer.sync() }
            }
            try writer.sync()
            #expect(writer.number > 8)
            let (contents, records) = try log.read()
            #expect(records == expected)
            #expect(contents.segments.count == Int(writer.number))
            #expect(contents.verdict.isClean)
        }
    }

    @Test func `a record longer than a segment has one to itself`() throws {
        let log = TestLog(disk: disk)
        let (writer, _) = try log.open()
        let sizes = [100, 10_000, 100, 70_000, 5]
        for (number, size) in sizes.enumerated() { try writer.append(.batch, bytes(size, number)) }
        try writer.close()
        let (contents, records) = try log.read()
        #expect(records == sizes.enumerated().map { TestRecord(payload: bytes($1, $0)) })
        #expect(contents.verdict.isClosed)
    }

    @Test func `each opening goes on in a new segment`() throws {
        let log = TestLog(disk: disk)
        for round in 0..<5 {
            let (writer, records) = try log.open()
            #expect(records == (0..<round).map { TestRecord(payload: [UInt8($0)]) })
            try writer.append(.batch, [UInt8(round)])
            #expect(writer.lastSequence == UInt64(round + 1))
            if round % 2 == 0 { try writer.close() } else { try writer.sync() }
        }
        #expect(try log.read().contents.segments.map(\.number) == [1, 2, 3, 4, 5])
    }

    @Test func `one flush is one write and one sync covers it`() throws {
        let writer = try LogWriter.create(disk, path: "f")
        try writer.sync()
        let before = disk.operationCount
        for number in 0..<500 { try writer.append(.batch, bytes(100, number)) }
        try writer.sync()
        #expect(disk.operationCount - before == 2)
        #expect(writer.durablePosition == writer.position)
    }

    @Test func `a foreign log and an unknown version are refused by name`() throws {
        let log = TestLog(disk: disk)
        try log.open().writer.close()
        let other = TestLog(disk: disk, identity: [9])
        #expect(throws: LogError.foreign(path: "log/00000001.log", expected: [9], found: [1, 2, 3])) {
            try other.read()
        }
    }

    @Test func `a record that is too long is refused and nothing else changes`() throws {
        let writer = try LogWriter.create(disk, path: "f")
        let tooLong = LogFormat.recordBytesMax
        #expect(throws: LogError.recordTooLong(tooLong)) { try writer.begin(.batch, count: tooLong) }
        try writer.append(.batch, [1])
        try writer.close()
        #expect(throws: LogError.closed) { try writer.append(.batch, [1]) }
        #expect(try readFile(disk, "f").records == [TestRecord(payload: [1])])
    }

    @Test func `segment names and numbers are two ways of saying one thing`() {
        for number: UInt32 in [1, 42, 99_999_999, .max] {
            #expect(LogFormat.segmentNumber(LogFormat.segmentName(number)) == number)
        }
        for name in ["1.log", "00000001.log.tmp", "prepared-1.tmp", "0000000a.log", ".log", "99999999999.log"] {
            #expect(LogFormat.segmentNumber(name) == nil)
        }
    }
}

/// Zeros that are written just ahead of records, where syncs are small.
struct LogFillingTests {
    @Test(arguments: [CrashSurvival.loseAll, .keepAll, .random])
    func `a crash leaves the synced records, and zeros behind them are its clean end`(_ survival: CrashSurvival) throws
    {
        let disk = SimulatedFileSystem(seed: 6)
        var log = TestLog(disk: disk)
        log.segmentBytes = 64 << 10
        let (writer, _) = try log.open()
        var expected: [TestRecord] = []
        for number in 0..<60 {
            let record = TestRecord(payload: bytes(200, number))
            try writer.append(record.kind, record.payload)
            try writer.sync()
            expected.append(record)
        }
        // Zeros reach to the segment's end by now.
        #expect(try disk.size("log/" + LogFormat.segmentName(1)) == log.segmentBytes)
        #expect(writer.fileOffset < log.segmentBytes / 2)
        disk.crash(survival)
        let (contents, records) = try log.read()
        #expect(records == expected)
        #expect(contents.verdict.isClean, "\(contents.verdict)")
    }

    @Test func `a segment whose syncs are large is not filled, and closing cuts what was`() throws {
        let disk = SimulatedFileSystem(seed: 7)
        var log = TestLog(disk: disk)
        log.segmentBytes = 256 << 10
        let (large, _) = try log.open()
        for number in 0..<20 {
            try large.append(.batch, bytes(6_000, number))
            try large.sync()
        }
        #expect(try disk.size("log/" + LogFormat.segmentName(1)) == large.fileOffset)
        try large.close()
        let (small, _) = try log.open()
        for number in 0..<20 {
            try small.append(.batch, bytes(60, number))
            try small.sync()
        }
        #expect(try disk.size("log/" + LogFormat.segmentName(2)) == log.segmentBytes)
        try small.close()
        #expect(try disk.size("log/" + LogFormat.segmentName(2)) < 8_000)
        #expect(try log.read().records.count == 40)
    }
}
