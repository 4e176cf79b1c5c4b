import Foundation
import KVBase
import KVPosix
import KVSimulation
import Testing

@testable import KVStorage

/// A tablet of format version 1, made once and kept in `Tests/Fixtures/tablet-1`: it has to be read for ever.
///
/// It has a CURRENT, a MANIFEST with several edits, tables with and without compression, with deletions and range
/// deletions, and a log that ends without being closed. What it holds follows from `write`.
struct FrozenFormatTests {
    /// Where the fixture lies.
    static let folder: String = {
        var parts = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(2)
        parts += ["Fixtures", "tablet-1"]
        return parts.joined(separator: "/")
    }()

    /// The 40 batches of the fixture: applied to a tablet, a model, or both.
    static func write(_ step: Int, _ batch: inout WriteBatch, _ model: inout [[UInt8]: [UInt8]]) {
        func key(_ number: Int) -> [UInt8] {
            Array("key-\(number % 97)".utf8) + [UInt8](repeating: 0, count: number % 2)
        }
        for place in 0..<6 {
            let number = step * 31 + place * 7
            if (step + place) % 5 == 4 {
                batch.delete(key(number))
                model[key(number)] = nil
            } else {
                let value = (0..<(number % 60)).map {
                    UInt8(truncatingIfNeeded: number % 3 == 0 ? 7 : $0 * $0 + number)
                }
                batch.put(key(number), value)
                model[key(number)] = value
            }
        }
        if step % 13 == 12 {
            let (from, to) = (Array("key-3".utf8), Array("key-4".utf8))
            batch.deleteRange(from, to)
            model = model.filter { compareKeys($0.key, from) < 0 || compareKeys($0.key, to) >= 0 }
        }
    }

    static let batchCount = 40

    static var expected: [[UInt8]: [UInt8]] {
        var model: [[UInt8]: [UInt8]] = [:]
        var batch = WriteBatch()
        for step in 0..<batchCount { write(step, &batch, &model) }
        return model
    }

    /// The fixture on a simulated disk, so that opening it changes no file of the repository.
    private func disk() throws -> SimulatedFileSystem {
        let disk = SimulatedFileSystem(seed: 1)
        let real = PosixFileSystem()
        for folder in ["", "/log"] {
            for name in try real.list(Self.folder + folder) where name != "log" {
                disk.setContent(try real.readAll(Self.folder + folder + "/" + name), of: "t" + folder + "/" + name)
            }
        }
        return disk
    }

    private func open(_ disk: SimulatedFileSystem) throws -> Tablet {
        let world = SimulatedWorld(seed: 1)
        return try Tablet.open(
            TabletHarness.options(
                disk,
                world,
                SimulatedDomain("node"),
                SeededRandomness(seed: 1),
                TabletHarness.Durable()
            ) {
                $0.durability = .log(synchronizes: true)
                $0.logSegmentBytes = 8 << 10
            }
        )
    }

    @Test func `a tablet of version 1 is read whole`() throws {
        let report = TabletInspection.verify(try disk(), "t")
        #expect(report.findings == [])
        #expect(report.tableCount >= 3)
        let codecs = try Self.codecs(of: try disk())
        #expect(codecs == [TableFormat.Codec.raw, TableFormat.Codec.zstd])
        let tablet = try open(try disk())
        #expect(tablet.mark.appliedIndex == UInt64(Self.batchCount))
        #expect(tablet.mark.appliedTerm == 7)
        let iterator = try tablet.makeIterator()
        try iterator.seekToFirst()
        var found: [[UInt8]: [UInt8]] = [:]
        while iterator.isValid {
            found[[UInt8](iterator.key)] = [UInt8](iterator.value)
            try iterator.next()
        }
        #expect(found == Self.expected)
        for (key, value) in Self.expected { #expect(try tablet.get(key) == value) }
    }

    /// How the data blocks of all tables are stored.
    private static func codecs(of disk: SimulatedFileSystem) throws -> Set<UInt8> {
        var codecs: Set<UInt8> = []
        for name in try disk.list("t") where name.hasSuffix(".sst") {
            let bytes = try disk.readAll("t/" + name)
            let file = try disk.open("t/" + name, .read)
            let shared = SharedResources(blockCacheBytes: 0)
            let reader = try TableReader(file, uid: nil, cache: shared.blockCache, scratches: shared.scratches)
            for position in 0..<reader.blockCount {
                codecs.insert(bytes[Int(try reader.handle(at: position).offset) + 1])
            }
        }
        return codecs
    }

    @Test func `a tablet of version 1 goes on`() throws {
        let tablet = try open(try disk())
        var batch = WriteBatch()
        batch.put([1], [2])
        try tablet.write(batch, mark: TabletMark(appliedIndex: 41, appliedTerm: 7))
        #expect(try tablet.get([1]) == [2])
        #expect(try tablet.makeIterator(prefix: Array("key-".utf8)).isValid == false)
    }

    /// Makes the fixture; run once, by hand, with `KV_MAKE_FIXTURE=1`, for a new format version in a folder of its own.
    @Test(.enabled(if: ProcessInfo.processInfo.environment["KV_MAKE_FIXTURE"] != nil))
    func `make the fixture`() throws {
        let adjust: (inout TabletOptions) -> Void = {
            $0.durability = .log(synchronizes: true)
            $0.logSegmentBytes = 8 << 10
            $0.preparesLogSegments = false
            $0.compactsAutomatically = false
            $0.memtableBytes = 1 << 20
        }
        let harness = try TabletHarness(seed: 1, adjust: adjust)
        var model: [[UInt8]: [UInt8]] = [:]
        for step in 0..<Self.batchCount {
            var batch = WriteBatch()
            Self.write(step, &batch, &model)
            try harness.tablet.write(batch, mark: TabletMark(appliedIndex: UInt64(step) + 1, appliedTerm: 7))
            if [12, 20, 27, 34].contains(step) {
                harness.tablet.flush()
                harness.run()
            }
            if step == 20 {
                harness.tablet.compactAll { _ in }
                harness.run()
            }
        }
        try harness.tablet.proveLog()
        let real = PosixFileSystem()
        try real.createDirectory(Self.folder + "/log")
        for path in harness.disk.allFiles() {
            guard path.hasPrefix("/t/"), let bytes = harness.disk.content(of: path) else { continue }
            // What was made ahead and never written says nothing about the format.
            let end = path.hasSuffix(".log") ? (bytes.lastIndex { $0 != 0 } ?? 0) + 64 : bytes.count
            try real.replace(Self.folder + path.dropFirst(2), with: Array(bytes.prefix(end)))
        }
    }
}
