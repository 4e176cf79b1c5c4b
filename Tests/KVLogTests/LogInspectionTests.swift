import KVBase
import KVEnvironment
import KVLog
import KVSimulation
import Testing

/// What tools see of a log, beyond what its owner reads.
struct LogInspectionTests {
    /// A log of many segments: some closed, one torn and gone on with, the last closed.
    private static func makeLog() throws -> TestLog {
        let log = TestLog(disk: SimulatedFileSystem(seed: 5), segmentBytes: 1500)
        for life in 0..<4 {
            let (writer, _) = try log.open(prepared: life == 2)
            for number in 0..<8 {
                try writer.append(.batch, bytes(60 + number * 41 % 300, number))
                if number % 2 == 1 { try writer.sync() }
            }
            if life % 2 == 1 { try writer.close() }
        }
        return log
    }

    private func damaged(_ log: TestLog) throws -> Set<String> {
        let reports = try LogInspection.segments(log.disk, directory: "log", identity: log.identity)
        return Set(reports.filter(\.isDamaged).map(\.path))
    }

    @Test func `every flipped byte of a log that was closed shows, in its own file`() throws {
        let log = try Self.makeLog()
        #expect(try damaged(log) == [])
        for path in log.disk.allFiles() where path.hasSuffix(".log") {
            let size = try #require(log.disk.content(of: path)).count
            for byte in 0..<size {
                let bit = byte * 8 + byte % 8
                log.disk.flipBit(bit, of: path)
                defer { log.disk.flipBit(bit, of: path) }
                let found = try damaged(log)
                #expect(found.contains { "/" + $0 == path || $0 == path }, "byte \(byte) of \(path): \(found)")
            }
        }
    }

    @Test func `zeros that block ends are filled with are looked at`() throws {
        let disk = SimulatedFileSystem(seed: 1)
        let writer = try LogWriter.create(disk, path: "f")
        // The header record, then one that leaves 7 bytes of the first block.
        let used = Int(writer.fileOffset)
        try writer.append(.batch, bytes(LogFormat.blockBytes - used - LogFormat.chunkHeaderBytes - 1 - 7))
        try writer.append(.batch, [1, 2, 3])
        try writer.close()
        #expect(LogInspection.file(disk, path: "f").isDamaged == false)
        for byte in (LogFormat.blockBytes - 7)..<LogFormat.blockBytes {
            disk.flipBit(byte * 8 + 3, of: "f")
            defer { disk.flipBit(byte * 8 + 3, of: "f") }
            #expect(LogInspection.file(disk, path: "f").isDamaged, "byte \(byte)")
        }
    }

    @Test func `a flipped bit of a chunk is named`() throws {
        let disk = SimulatedFileSystem(seed: 2)
        let writer = try LogWriter.create(disk, path: "f")
        let place = try writer.append(.batch, bytes(500))
        try writer.append(.batch, bytes(100))
        try writer.close()
        for byte in 0..<(LogFormat.chunkHeaderBytes + 501) {
            let bit = (Int(place.offset) + byte) * 8 + byte % 8
            disk.flipBit(bit, of: "f")
            defer { disk.flipBit(bit, of: "f") }
            let diagnosis = try LogInspection.diagnose(disk, path: "f", number: 1, offset: place.offset)
            #expect(diagnosis.flippedByte == place.offset + UInt64(byte), "byte \(byte)")
            #expect(diagnosis.flippedBit == byte % 8)
            #expect(diagnosis.resumesAt == place.offset + UInt64(LogFormat.chunkHeaderBytes + 501))
        }
    }

    @Test func `what stands behind damage is saved, and what is lost is told`() throws {
        let disk = SimulatedFileSystem(seed: 3)
        let writer = try LogWriter.create(disk, path: "f")
        var places: [LogRecordPlace] = []
        for number in 0..<10 { places.append(try writer.append(.batch, bytes(200, number))) }
        try writer.close()
        disk.flipBit(Int(places[3].offset) * 8 + 300, of: "f")
        disk.flipBit(Int(places[7].offset) * 8 + 40, of: "f")
        var read: [[UInt8]] = []
        let gaps = try LogInspection.salvage(disk, path: "f", number: 1) { read.append(Array($0.payload)) }
        #expect(read == [0, 1, 2, 4, 5, 6, 8, 9].map { bytes(200, $0) })
        #expect(gaps.map(\.offset) == [places[3].offset, places[7].offset])
        #expect(gaps.map(\.length) == [221, 221])
    }

    @Test(arguments: [0, 1, 19, 20, 31, 4000])
    func `garbage of any length is a verdict and not a trap`(_ count: Int) throws {
        let disk = SimulatedFileSystem(seed: 4)
        let random = SeededRandomness(seed: UInt64(count))
        disk.setContent((0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }, of: "00000001.log")
        #expect(LogInspection.file(disk, path: "00000001.log").isDamaged)
        var records = 0
        _ = try LogInspection.salvage(disk, path: "00000001.log", number: 1) { _ in records += 1 }
        #expect(records == 0)
        _ = try LogInspection.diagnose(disk, path: "00000001.log", number: 1, offset: 0)
    }
}
