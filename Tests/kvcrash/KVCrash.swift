import Foundation
import KVPosix
import KVStorage

/// What `scripts/kill-loop` kills.
///
///     kvcrash write DIRECTORY MODE SEED   opens the tablet, made if absent, and writes batches for ever; on the output, one a
///                                         line: `kept W N` (writer W's batches up to N must be there after a kill)
///     kvcrash check DIRECTORY MODE SEED   opens it, holds its content against the workload and says `holds N…`, a number for
///                                         each writer; exits 1 where it is not exactly what their first N batches make
@main
struct KVCrash {
    let mode: Mode
    let workloads: [Workload]
    let options: TabletOptions

    struct Problem: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    static func main() {
        do { try run(CommandLine.arguments) } catch {
            FileHandle.standardError.write(Data("kvcrash: \(error)\n".utf8))
            exit(1)
        }
    }

    private static func run(_ words: [String]) throws {
        guard words.count == 5, let mode = Mode(rawValue: words[3]), let seed = UInt64(words[4]) else {
            let modes = Mode.allCases.map(\.rawValue).joined(separator: "|")
            throw Problem("usage: kvcrash write|check DIRECTORY \(modes) SEED")
        }
        var options = makeOptions(words[2], mode, ThreadWorkerPool(name: "storage", count: 2))
        if mode == .external { options.onDurable = { say("kept 0 \($0.appliedIndex)") } }
        let program = KVCrash(
            mode: mode,
            workloads: (0..<mode.writerCount).map { Workload(seed: seed, writer: $0) },
            options: options
        )
        let exists = Tablet.exists(options.fileSystem, options.directory)
        let tablet = try exists ? Tablet.open(options) : Tablet.create(options)
        switch words[1] {
        case "write": try program.write(tablet)
        case "check": try program.check(tablet)
        default: throw Problem("neither write nor check: \(words[1])")
        }
    }

    private func write(_ tablet: Tablet) throws {
        let counts = try workloads.map { try count($0, tablet) }
        say("open \(counts)")
        guard mode == .queued else { return try writeAlone(tablet, from: counts[0]) }
        let queue = CommitQueue(tablet)
        for (workload, count) in zip(workloads, counts) {
            Thread {
                var batch = WriteBatch()
                for index in (count + 1)... {
                    workload.fill(&batch, index)
                    do throws(StorageError) { try queue.write(batch) } catch {
                        // Its end is what the script sees, and an error here is none that it expects.
                        say("failed \(error)")
                        exit(1)
                    }
                    say("kept \(workload.writer) \(index)")
                }
            }.start()
        }
        // The threads go on until the process is killed.
        while true { sleep(60) }
    }

    private func writeAlone(_ tablet: Tablet, from start: UInt64) throws {
        var batch = WriteBatch()
        for index in (start + 1)... {
            workloads[0].fill(&batch, index)
            if mode == .lying { say("kept 0 \(index)") }
            while true {
                do throws(StorageError) {
                    try tablet.write(batch, mark: TabletMark(appliedIndex: index))
                    break
                } catch {
                    guard error == .memtablesFull else { throw error }
                    tablet.maintain()
                    usleep(1000)
                }
            }
            if mode == .synced || mode == .written { say("kept 0 \(index)") }
        }
    }

    /// The number of a writer's last batch.
    private func count(_ workload: Workload, _ tablet: Tablet) throws -> UInt64 {
        guard let bytes = try tablet.get(workload.counterKey) else { return 0 }
        return bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    private func check(_ tablet: Tablet) throws {
        var expected: [[UInt8]: [UInt8]] = [:]
        var counts: [UInt64] = []
        for workload in workloads {
            let count = try count(workload, tablet)
            counts.append(count)
            if count > 0 { expected[workload.counterKey] = withUnsafeBytes(of: count.littleEndian) { Array($0) } }
            for (key, value) in workload.model(count) { expected[workload.key(key)] = value }
        }
        let sum = counts.reduce(0, +)
        guard tablet.mark.appliedIndex == sum else {
            throw Problem("\(sum) batches are there and the mark is \(tablet.mark.appliedIndex)")
        }
        let iterator = try tablet.makeIterator()
        try iterator.seekToFirst()
        while iterator.isValid {
            let key = [UInt8](iterator.key)
            let text = String(decoding: key, as: UTF8.self)
            guard let value = expected.removeValue(forKey: key) else {
                throw Problem("\(text) is there after batches \(counts), and should not be")
            }
            guard value == [UInt8](iterator.value) else { throw Problem("\(text): another value, batches \(counts)") }
            guard try tablet.get(key) == value else { throw Problem("\(text) reads otherwise alone") }
            try iterator.next()
        }
        guard expected.isEmpty else { throw Problem("\(expected.count) keys are gone after batches \(counts)") }
        let done = DispatchSemaphore(value: 0)
        tablet.close { done.signal() }
        done.wait()
        let findings = TabletInspection.verify(options.fileSystem, options.directory).findings
        guard findings.isEmpty else { throw Problem("after batches \(counts): \(findings)") }
        say("holds " + counts.map(String.init).joined(separator: " "))
    }
}

/// Writes a line at once and whole: what was said was said, whatever comes next.
private func say(_ line: String) {
    FileHandle.standardOutput.write(Data((line + "\n").utf8))
}
