import KVEnvironment
import KVSimulation
import Testing

@testable import KVStorage

/// What tools see of a tablet.
struct InspectionTests {
    /// A tablet that was closed properly, and what it held.
    private static func makeClosed() throws -> (disk: SimulatedFileSystem, model: [[UInt8]: [UInt8]]) {
        let harness = try TabletHarness(seed: 12) { $0.levelZeroCompactAt = 100 }
        for step in 0..<120 {
            try harness.writeRandomly(keyCount: 70)
            if step % 10 == 9 { harness.run() }
            if step == 70 { harness.tablet.flush() }
        }
        harness.tablet.flush()
        harness.run()
        harness.tablet.close()
        harness.run()
        return (harness.disk, harness.model)
    }

    @Test func `a closed tablet has no file that is not live, and every flipped byte of every file shows`() throws {
        let (disk, _) = try Self.makeClosed()
        let whole = TabletInspection.verify(disk, "t")
        #expect(whole.findings == [] && whole.notes == [] && whole.tornTails == [])
        #expect(whole.tableCount > 1)
        for path in disk.allFiles() {
            let size = try #require(disk.content(of: path)).count
            // Every byte of the small files, every header and footer byte and a share of the blocks of tables.
            for byte in 0..<size where !path.hasSuffix(".sst") || byte < 80 || byte >= size - 90 || byte % 7 == 0 {
                disk.flipBit(byte * 8 + byte % 8, of: path)
                defer { disk.flipBit(byte * 8 + byte % 8, of: path) }
                let findings = TabletInspection.verify(disk, "t").findings
                let isNamed = findings.contains { "/" + $0.file == path || $0.file == path }
                #expect(isNamed, "byte \(byte) of \(path): \(findings)")
            }
        }
    }

    @Test func `the flipped bit of a table is named, wherever it is`() throws {
        let (disk, _) = try Self.makeClosed()
        let table = try #require(disk.allFiles().first { $0.hasSuffix(".sst") })
        let size = try #require(disk.content(of: table)).count
        var named = 0
        for byte in 0..<size where byte < 80 || byte >= size - 90 || byte % 5 == 0 {
            let bit = byte * 8 + (byte + 3) % 8
            disk.flipBit(bit, of: table)
            defer { disk.flipBit(bit, of: table) }
            let inspector = try TableInspector(disk, path: table)
            _ = inspector.verify()
            #expect(!inspector.findings.isEmpty)
            if inspector.findings.contains(where: { $0.flip == FlippedBit(byte: UInt64(byte), bit: (byte + 3) % 8) }) {
                named += 1
            } else {
                Issue.record("byte \(byte): \(inspector.findings)")
            }
        }
        #expect(named > 100)
    }

    @Test func `without index and footer the blocks are found from the front`() throws {
        let (disk, _) = try Self.makeClosed()
        let table = try #require(disk.allFiles().first { $0.hasSuffix(".sst") })
        let whole = try TableInspector(disk, path: table)
        let content = try #require(disk.content(of: table))
        let size = content.count
        // The footer is zeros, and the second data block is damaged.
        var damaged = content
        for place in (size - TableFormat.footerSize)..<size { damaged[place] = 0 }
        let data = whole.blocks.filter { $0.kind == .data }
        damaged[Int(data[1].offset) + 20] ^= 0xff
        disk.setContent(damaged, of: table)
        let found = try TableInspector(disk, path: table)
        #expect(!found.isIndexed)
        #expect(found.blocks.map(\.offset) == whole.blocks.map(\.offset).filter { $0 != data[1].offset })
        let entries = found.blocks.filter { $0.kind == .data }.compactMap { found.entries(of: $0)?.count }
        #expect(entries.count == data.count - 1)
        #expect(found.findings.contains { $0.part == "footer" })
        #expect(found.findings.contains { $0.offset == data[1].offset && $0.length == UInt64(data[1].length) })
    }

    @Test func `a merge of all tables shows what a reader sees`() throws {
        let (disk, model) = try Self.makeClosed()
        let manifest = ManifestInspection.read(disk, "t")
        #expect(manifest.findings == [] && manifest.isClosed)
        let tables = try manifest.tables.map { try TableInspector(disk, path: $0.path, expected: $0) }
        var merge = TableMerge(tables)
        var seen: [[UInt8]: [UInt8]] = [:]
        while let key = merge.next() {
            if let entry = key.visible { seen[entry.key] = entry.value }
        }
        #expect(seen == model)
        let middle = try #require(model.keys.sorted { compareKeys($0, $1) < 0 }.dropFirst(20).first)
        var part = TableMerge(tables, from: middle, to: middle + [0])
        #expect(part.next()?.visible?.value == model[middle])
        #expect(part.next() == nil)
    }

    @Test(arguments: [0, 1, 31, 63, 64, 95, 96, 97, 500, 20_000])
    func `garbage of any length is findings and not a trap`(_ count: Int) throws {
        let disk = SimulatedFileSystem(seed: 4)
        let random = SeededRandomness(seed: UInt64(count))
        disk.setContent((0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }, of: "1.sst")
        let inspector = try TableInspector(disk, path: "1.sst")
        _ = inspector.verify()
        #expect(!inspector.findings.isEmpty)
        disk.setContent((0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }, of: "t/CURRENT")
        #expect(!TabletInspection.verify(disk, "t").findings.isEmpty)
    }

    @Test func `a table cut anywhere is findings and not a trap`() throws {
        let (disk, _) = try Self.makeClosed()
        let table = try #require(disk.allFiles().first { $0.hasSuffix(".sst") })
        let content = try #require(disk.content(of: table))
        for length in stride(from: 0, to: content.count, by: 41) {
            disk.setContent(Array(content[..<length]), of: "cut.sst")
            let inspector = try TableInspector(disk, path: "cut.sst")
            _ = inspector.verify()
            #expect(!inspector.findings.isEmpty, "\(length) bytes")
        }
    }
}
