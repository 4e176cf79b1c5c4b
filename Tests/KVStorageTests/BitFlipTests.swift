import KVEnvironment
import KVSimulation
import Testing

@testable import KVStorage

/// Single bits flipped at rest, all over the files of a tablet: the answer is right or an error, never wrong, never a
/// trap.
struct BitFlipTests {
    static func makeDisk() throws -> (SimulatedFileSystem, TabletHarness) {
        let harness = try TabletHarness(seed: 11)
        for step in 0..<160 {
            try harness.writeRandomly(keyCount: 80)
            if step % 10 == 9 { harness.run() }
        }
        harness.tablet.flush()
        harness.run()
        return (harness.disk, harness)
    }

    @Test func `a flipped bit gives the right answer or an error`() throws {
        let (disk, harness) = try Self.makeDisk()
        harness.stop()
        disk.crash(.keepAll)
        let model = harness.model
        let mark = harness.tablet.mark
        var refused = 0
        var answered = 0
        for path in disk.allFiles() {
            let bits = (disk.content(of: path)?.count ?? 0) * 8
            // Every byte of the small files, a prime stride over the tables: all fields are hit.
            let stride = path.hasSuffix(".sst") ? 61 : 9
            for bit in Swift.stride(from: 0, to: bits, by: stride) {
                let copy = disk.copy(seed: UInt64(bit))
                copy.flipBit(bit, of: path)
                switch try outcome(copy, model, mark) {
                case .right: answered += 1
                case .error: refused += 1
                case .wrong(let what): Issue.record("bit \(bit) of \(path): \(what)")
                }
            }
        }
        #expect(refused > 100)
        #expect(answered > 0)
    }

    @Test func `an inspection finds a whole tablet whole, and any flipped bit in it`() throws {
        let (disk, harness) = try Self.makeDisk()
        harness.stop()
        disk.crash(.keepAll)
        let whole = TabletInspection.verify(disk, "t")
        #expect(whole.findings == [])
        #expect(whole.mark == harness.tablet.mark)
        #expect(whole.tableCount > 0 && whole.entryCount > 0)
        let live = Set(harness.tablet.currentView.version.allFiles.map { TableFormat.name($0.file.metadata.number) })
        for path in disk.allFiles() where live.contains(String(path.split(separator: "/").last ?? "")) {
            let bits = (disk.content(of: path)?.count ?? 0) * 8
            for bit in stride(from: 0, to: bits, by: 53) {
                let copy = disk.copy(seed: 1)
                copy.flipBit(bit, of: path)
                #expect(!TabletInspection.verify(copy, "t").findings.isEmpty, "bit \(bit) of \(path)")
            }
        }
    }

    private enum Outcome {
        case right
        case error
        case wrong(String)
    }

    private func outcome(
        _ disk: SimulatedFileSystem,
        _ model: [[UInt8]: [UInt8]],
        _ mark: TabletMark
    ) throws -> Outcome {
        let world = SimulatedWorld(seed: 1)
        let domain = SimulatedDomain("node")
        let options = TabletHarness.options(
            disk,
            world,
            domain,
            SeededRandomness(seed: 1),
            TabletHarness.Durable()
        ) { $0.compactsAutomatically = false }
        let tablet: Tablet
        do { tablet = try Tablet.open(options) } catch { return .error }
        if tablet.mark != mark { return .wrong("mark \(tablet.mark)") }
        var hadError = false
        for (key, value) in model {
            do {
                if try tablet.get(key) != value { return .wrong("get of \(key)") }
            } catch { hadError = true }
        }
        do {
            let iterator = try tablet.makeIterator()
            try iterator.seekToFirst()
            var count = 0
            while iterator.isValid {
                if model[[UInt8](iterator.key)] != [UInt8](iterator.value) { return .wrong("scan") }
                count += 1
                try iterator.next()
            }
            if count != model.count { return .wrong("scan of \(count) keys of \(model.count)") }
        } catch { hadError = true }
        return hadError ? .error : .right
    }

    @Test func `a compaction that meets a flipped bit leaves its inputs and says that the tablet is damaged`() throws {
        let (disk, harness) = try Self.makeDisk()
        harness.stop()
        disk.crash(.keepAll)
        guard let table = disk.allFiles().first(where: { $0.hasSuffix(".sst") }) else { return }
        disk.flipBit(40 * 8, of: table)
        harness.adjust = { $0.shared = SharedResources(blockCacheBytes: 0) }
        try harness.reopen()
        var result: Result<Void, StorageError>?
        let box = ResultBox()
        for _ in 0..<20 { try harness.writeRandomly() }
        harness.tablet.flush()
        harness.run()
        harness.tablet.compactAll { box.result = $0 }
        harness.run()
        result = box.result
        guard case .failure(.corruption(let file, let offset, _, _)) = result else {
            Issue.record("\(String(describing: result))")
            return
        }
        #expect("/" + file == table)
        #expect(offset == 32)
        if case .damaged = harness.tablet.state {} else { Issue.record("state \(harness.tablet.state)") }
        #expect(disk.exists(table))
        // Writes and flushes go on.
        try harness.writeRandomly()
        harness.tablet.flush()
        harness.run()
        #expect(harness.tablet.firstUnflushedIndex == nil)
    }

    // SENDABLE: the simulator runs in one thread.
    private final class ResultBox: @unchecked Sendable {
        var result: Result<Void, StorageError>?
    }

    @Test func `bytes cut from the end of any file are noticed`() throws {
        let (disk, harness) = try Self.makeDisk()
        harness.stop()
        disk.crash(.keepAll)
        let model = harness.model
        let mark = harness.tablet.mark
        for path in disk.allFiles() {
            guard let content = disk.content(of: path) else { continue }
            for length in Set([0, 1, content.count / 2, content.count - 1]) where length < content.count {
                let copy = disk.copy(seed: 1)
                copy.setContent(Array(content[..<length]), of: path)
                if case .wrong(let what) = try outcome(copy, model, mark), !path.contains("MANIFEST") {
                    Issue.record("\(path) cut to \(length): \(what)")
                }
            }
        }
    }
}
