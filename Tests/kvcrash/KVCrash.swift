import Foundation
import KVPosix
import KVStorage

/// What `scripts/kill-loop` kills.
///
///     kvcrash write DIRECTORY MODE SEED   opens the tablet, made if absent, and writes batches for ever; on the output, one a
///                                         line: `open N` (the last batch it held), `kept N` (batch N and all before it must
///                                         be there after a kill)
///     kvcrash check DIRECTORY MODE SEED   opens it, holds its content against the workload and says `holds N`; exits 1 where
///                                         it is not exactly what the first N batches make
@main
struct KVCrash {
    let mode: Mode
    let workload: Workload
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
        if mode == .external { options.onDurable = { say("kept \($0.appliedIndex)") } }
        let program = KVCrash(mode: mode, workload: Workload(seed: seed), options: options)
        let exists = Tablet.exists(options.fileSystem, options.directory)
        let tablet = try exists ? Tablet.open(options) : Tablet.create(options)
        switch words[1] {
        case "write": try program.write(tablet)
        case "check": try program.check(tablet)
        default: throw Problem("neither write nor check: \(words[1])")
        }
    }

    private func write(_ tablet: Tablet) throws {
        var index = tablet.mark.appliedIndex
        say("open \(index)")
        var batch = WriteBatch()
        while true {
            index += 1
            workload.fill(&batch, index)
            if mode == .lying { say("kept \(index)") }
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
            if mode == .synced || mode == .written { say("kept \(index)") }
        }
    }

    private func check(_ tablet: Tablet) throws {
        let index = tablet.mark.appliedIndex
        var expected = workload.model(index)
        let iterator = try tablet.makeIterator()
        try iterator.seekToFirst()
        while iterator.isValid {
            let text = String(decoding: iterator.key, as: UTF8.self)
            guard let key = Int(text.dropFirst(3)), let value = expected.removeValue(forKey: key) else {
                throw Problem("\(text) is there after batch \(index), and should not be")
            }
            guard value == [UInt8](iterator.value) else { throw Problem("\(text): another value, batch \(index)") }
            guard try tablet.get(Workload.key(key)) == value else { throw Problem("\(text) reads otherwise alone") }
            try iterator.next()
        }
        guard expected.isEmpty else { throw Problem("\(expected.count) keys are gone after batch \(index)") }
        let done = DispatchSemaphore(value: 0)
        tablet.close { done.signal() }
        done.wait()
        let findings = TabletInspection.verify(options.fileSystem, options.directory).findings
        guard findings.isEmpty else { throw Problem("after batch \(index): \(findings)") }
        say("holds \(index)")
    }
}

/// Writes a line at once and whole: what was said was said, whatever comes next.
private func say(_ line: String) {
    FileHandle.standardOutput.write(Data((line + "\n").utf8))
}
