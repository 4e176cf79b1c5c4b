import KVEnvironment
import KVLog
import KVSimulation
import Testing

/// After a failure.
struct LogFailureTests {
    @Test func `after a failed write or sync every call fails and names the first failure`() throws {
        for offset in [1, 2] {
            let log = TestLog(disk: SimulatedFileSystem(seed: 1))
            let (writer, _) = try log.open()
            try writer.append(.batch, [1])
            log.disk.faults.failAt = log.disk.operationCount + offset
            let operation: FileError.Operation = offset == 1 ? .write : .synchronize
            let failure = FileError(operation, path: offset == 1 ? writer.path + "" : writer.path, reason: .inputOutput)
            let thrown = #expect(throws: LogError.self) { try writer.sync() }
            guard case .file(let error) = thrown else {
                Issue.record("\(String(describing: thrown))")
                continue
            }
            #expect(error.operation == failure.operation)
            #expect(throws: LogError.poisoned(error)) { try writer.append(.batch, [2]) }
            #expect(throws: LogError.poisoned(error)) { try writer.sync() }
            #expect(throws: LogError.poisoned(error)) { try writer.close() }
            #expect(writer.failure == error)
        }
    }

    @Test func `no room for the next segment leaves the writer whole`() throws {
        let log = TestLog(disk: SimulatedFileSystem(seed: 1), segmentBytes: 2000)
        let (writer, _) = try log.open()
        log.disk.faults.capacityBytes = 2000
        var written = 0
        while !writer.wouldRoll(200) {
            try writer.append(.batch, bytes(200, written))
            try writer.sync()
            written += 1
        }
        log.disk.faults.capacityBytes = Int(writer.fileOffset)
        let thrown = #expect(throws: LogError.self) { try writer.append(.batch, bytes(200, written)) }
        guard case .segmentUnavailable(let error) = thrown else {
            Issue.record("\(String(describing: thrown))")
            return
        }
        #expect(error.reason == .noSpace)
        #expect(writer.failure == nil)
        log.disk.faults.capacityBytes = nil
        try writer.append(.batch, bytes(200, written))
        try writer.close()
        #expect(try log.read().records == (0...written).map { TestRecord(payload: bytes(200, $0)) })
    }

    @Test func `the preparer tells of want of room before anything is appended, and of its end`() throws {
        let disk = SimulatedFileSystem(seed: 1)
        try disk.createDirectory("log")
        disk.faults.capacityBytes = 3000
        let preparer = SegmentPreparer(disk, directory: "log", segmentBytes: 4096)
        preparer.prepare()
        #expect(preparer.failure?.reason == .noSpace)
        #expect(try disk.freeSpace("log") == 3000)
        disk.faults.capacityBytes = 5000
        preparer.prepare()
        #expect(preparer.failure == nil && preparer.isReady)
        let (file, isFilled) = try #require(preparer.take())
        #expect(try file.size() == 4096 && isFilled)
        #expect(preparer.take() == nil)
    }

    @Test func `bytes that a failed sync left in memory only are not believed`() throws {
        for seed in 0..<20 {
            let log = TestLog(disk: SimulatedFileSystem(seed: UInt64(seed)))
            let (writer, _) = try log.open()
            try writer.append(.batch, bytes(1500, 1))
            try writer.flush()
            log.disk.faults.failAt = log.disk.operationCount + 1
            #expect(throws: LogError.self) { try writer.sync() }
            // The process starts again, reads the bytes from memory and goes on; then the machine stops.
            let (second, records) = try log.open()
            #expect(records.count == 1)
            try second.append(.batch, [2])
            try second.sync()
            log.disk.crash(.loseAll)
            let (contents, survived) = try log.read()
            #expect(contents.verdict.isUsable)
            #expect(survived.map(\.payload) == [bytes(1500, 1), [2]])
        }
    }
}
