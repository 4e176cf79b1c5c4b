import KVEnvironment
import KVLog
import KVSimulation
import Testing

/// Crashes, errors and flipped bits at every place there is.
struct LogSweepTests {
    /// What a workload appended and what of it was acknowledged.
    private struct Progress {
        var appended: [TestRecord] = []
        var acknowledged = 0
    }

    private func work(_ log: TestLog, prepared: Bool, _ progress: inout Progress, rounds: Int = 24) throws(LogError) {
        let (writer, records) = try log.open(prepared: prepared)
        progress.appended = records
        progress.acknowledged = max(progress.acknowledged, records.count)
        for round in 0..<rounds {
            for _ in 0...(round % 3) {
                let payload = bytes(20 + round * 37 % 600, progress.appended.count)
                // The record counts as appended before: a failing append may still leave it in the file.
                progress.appended.append(TestRecord(payload: payload))
                try writer.append(.batch, payload)
            }
            try writer.sync()
            progress.acknowledged = progress.appended.count
            if round % 5 == 4 { try writer.markSynced() }
        }
        try writer.close()
    }

    private func check(_ log: TestLog, _ before: Progress, _ context: String) throws {
        let (contents, records) = try log.read()
        #expect(contents.verdict.isUsable, "\(context): \(contents.verdict)")
        #expect(records.count >= before.acknowledged, "\(context): an acknowledged record is gone")
        #expect(records == Array(before.appended.prefix(records.count)), "\(context): no prefix")
    }

    @Test(arguments: [false, true])
    func `what was synced survives a crash at every operation, and one more in recovery`(prepared: Bool) throws {
        let measure = TestLog(disk: SimulatedFileSystem(seed: 0), segmentBytes: 2048)
        var whole = Progress()
        try work(measure, prepared: prepared, &whole)
        let count = measure.disk.operationCount
        #expect(count > 60)
        for survival in CrashSurvival.allCases {
            for operation in 1...count {
                let log = TestLog(disk: SimulatedFileSystem(seed: UInt64(operation)), segmentBytes: 2048)
                var progress = Progress()
                log.disk.faults.crashAt = operation
                #expect(throws: LogError.self) { try work(log, prepared: prepared, &progress) }
                log.disk.crash(survival)
                guard log.disk.exists("log") else { continue }
                try check(log, progress, "crash at \(operation) \(survival)")
                // A crash somewhere in the recovery, and then a whole second life.
                var second = progress
                log.disk.resetCounters()
                log.disk.faults.crashAt = 1 + operation % 9
                #expect(throws: LogError.self) { try work(log, prepared: prepared, &second) }
                if second.appended.isEmpty { second = progress }
                log.disk.crash(survival)
                try check(log, second, "second crash after \(operation) \(survival)")
                var third = second
                try work(log, prepared: prepared, &third, rounds: 3)
                let (contents, records) = try log.read()
                #expect(records == third.appended)
                #expect(contents.verdict.isClosed)
            }
        }
    }

    @Test(arguments: [FileError.Reason.inputOutput, .noSpace])
    func `an error at any operation poisons the writer or changes nothing`(reason: FileError.Reason) throws {
        let measure = TestLog(disk: SimulatedFileSystem(seed: 0), segmentBytes: 2048)
        var whole = Progress()
        try work(measure, prepared: true, &whole)
        for operation in 1...measure.disk.operationCount {
            let log = TestLog(disk: SimulatedFileSystem(seed: UInt64(operation)), segmentBytes: 2048)
            var progress = Progress()
            log.disk.faults.failAt = operation
            log.disk.faults.reason = reason
            // A failed preparation is no error of the log's: it makes the segment itself.
            do { try work(log, prepared: true, &progress) } catch {}
            // The process starts again on a machine that did not stop, and then the machine stops.
            guard log.disk.exists("log") else { continue }
            try check(log, progress, "error at \(operation)")
            var second = progress
            try work(log, prepared: false, &second, rounds: 2)
            log.disk.crash(.loseAll)
            try check(log, second, "crash after error at \(operation)")
            #expect(try log.read().contents.verdict.isClosed)
        }
    }

    @Test func `a flipped bit never makes a wrong answer`() throws {
        for isClosed in [false, true] {
            let disk = SimulatedFileSystem(seed: 3)
            let log = TestLog(disk: disk, segmentBytes: 1500)
            let (writer, _) = try log.open()
            var expected: [TestRecord] = []
            for number in 0..<12 {
                expected.append(TestRecord(payload: bytes(number * 29 % 250, number)))
                try writer.append(.batch, expected[number].payload)
                if number % 2 == 1 { try writer.sync() }
            }
            if isClosed { try writer.close() } else { try writer.markSynced() }
            for path in disk.allFiles() {
                let size = try #require(disk.content(of: path)).count
                for byte in 0..<size {
                    let bit = byte * 8 + byte % 8
                    disk.flipBit(bit, of: path)
                    defer { disk.flipBit(bit, of: path) }
                    let records: [TestRecord]
                    let verdict: LogVerdict
                    do {
                        let result = try log.read()
                        (records, verdict) = (result.records, result.contents.verdict)
                    } catch {
                        continue
                    }
                    #expect(records == Array(expected.prefix(records.count)), "byte \(byte) of \(path)")
                    // Everything was proven durable: less of it is never a clean or torn end.
                    let isRight = records.count == expected.count || verdict.isCorruption
                    #expect(isRight, "byte \(byte) of \(path): \(records.count) records, \(verdict)")
                }
            }
        }
    }

    @Test func `random bytes never trap the reader`() throws {
        let random = SeededRandomness(seed: 8)
        let disk = SimulatedFileSystem(seed: 8)
        let writer = try LogWriter.create(disk, path: "f")
        for number in 0..<40 { try writer.append(.batch, bytes(number * 50, number)) }
        try writer.sync()
        let whole = try #require(disk.content(of: "f"))
        for _ in 0..<300 {
            var mutated = whole
            for _ in 0...random.below(6) {
                let start = random.below(mutated.count)
                for place in start..<min(mutated.count, start + 1 + random.below(40)) {
                    mutated[place] = UInt8(truncatingIfNeeded: random.next())
                }
            }
            disk.setContent(mutated, of: "g")
            let records = try? readFile(disk, "g").records
            #expect((records ?? []).enumerated().allSatisfy { $1.payload == bytes($0 * 50, $0) })
        }
    }
}
