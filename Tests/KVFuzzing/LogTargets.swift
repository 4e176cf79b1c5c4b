import KVBase
import KVEnvironment
import KVLog
import KVRaft
import KVReplication
import KVSimulation

/// The record log, and what a node keeps in it.
enum LogTargets {
    static let all = [
        FuzzTarget(name: "log", seeds: LogSeeds.files) { readFiles($0) },
        FuzzTarget(name: "node-log", seeds: LogSeeds.records) { readRecords($0) },
    ]

    /// The input is the files of a log of segments.
    static func readFiles(_ bytes: UnsafeRawBufferPointer) {
        let disk = SimulatedFileSystem()
        var input = FuzzInput(bytes)
        for number in UInt32(1)...3 where !input.isAtEnd {
            disk.setContent(input.piece(), of: "log/" + LogFormat.segmentName(number))
        }
        disk.setContent(Array(bytes), of: "whole")
        var bytesRead = 0
        consume(try? LogReader.read(disk, path: "whole") { bytesRead += $0.payload.count })
        require(bytesRead <= bytes.count, "\(bytesRead) bytes of records in a file of \(bytes.count)")
        var lastSequence: UInt64 = 0
        let contents = try? LogReader.readSegments(disk, directory: "log") { record in
            require(record.sequence > lastSequence, "record \(record.sequence) after \(lastSequence)")
            lastSequence = record.sequence
        }
        // What can be read can be gone on with, and reads the same after.
        guard let contents, contents.verdict.isUsable else { return }
        guard
            let writer = try? LogWriter.open(disk, directory: "log", identity: [], segmentBytes: 8192, after: contents)
        else { return }
        do {
            try writer.append(.batch, [1, 2, 3])
            try writer.close()
        } catch { return }
        var again: UInt64 = 0
        let second = try? LogReader.readSegments(disk, directory: "log") { again = $0.sequence }
        require(
            second?.verdict.isUsable == true,
            "a log that was gone on with reads \(String(describing: second?.verdict))"
        )
        require(again == lastSequence + 1, "record \(again) is the last after \(lastSequence)")
    }

    /// The input is records of a node's log: a kind, then a piece.
    static func readRecords(_ bytes: UnsafeRawBufferPointer) {
        let disk = SimulatedFileSystem()
        var input = FuzzInput(bytes)
        do {
            try disk.createDirectory("log")
            let writer = try LogWriter.create(disk, path: "log/" + LogFormat.segmentName(1), identity: [7])
            while !input.isAtEnd {
                let kind = LogRecordKind(rawValue: input.byte())
                if kind == .header { continue }
                try writer.append(kind, input.piece())
            }
            try writer.close()
        } catch { return }
        let world = SimulatedWorld(seed: 1)
        let domain = SimulatedDomain("fuzz")
        var options = NodeLogOptions()
        options.segmentBytes = 8192
        let opened = try? NodeLog.open(
            disk,
            directory: "log",
            identity: [7],
            home: world.makeScheduler("home", in: domain),
            lane: world.makeScheduler("lane", in: domain),
            pool: world.makeWorkerPool("pool", in: domain),
            options: options,
            cuts: [GroupID(1): ManifestCut(LogCut(index: 3, term: 1), isInstalled: true)]
        )
        guard let (log, recovered) = opened else { return }
        for (group, found) in recovered.groups {
            require(
                found.lastIndex >= found.cut.index,
                "group \(group) ends at \(found.lastIndex), cut at \(found.cut)"
            )
            var count = 0
            try? log.forEachEntry(group, from: log.firstIndex(group)) { entry in
                consume(entry.payload)
                count += 1
                return count < 100
            }
        }
        world.runUntilIdle()
        domain.kill()
    }
}
