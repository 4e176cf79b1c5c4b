import KVBase
import KVEnvironment
import KVLog
import KVSimulation

@testable import KVStorage

/// Blocks, tables, manifests and the batches of a tablet's own log.
enum StorageTargets {
    static let all = [
        FuzzTarget(name: "block", seeds: StorageSeeds.blocks) { readBlock($0) },
        FuzzTarget(name: "table", seeds: StorageSeeds.tables) { readTable(Array($0)) },
        FuzzTarget(name: "table-parts", seeds: StorageSeeds.tableParts) { readTableOfParts($0) },
        FuzzTarget(name: "manifest", seeds: StorageSeeds.manifests) { readManifest($0) },
        FuzzTarget(name: "manifest-edits", seeds: StorageSeeds.edits) { readEdits($0) },
        FuzzTarget(name: "journal", seeds: StorageSeeds.journals) { readJournal($0) },
    ]

    // MARK: Blocks

    /// A key to look for, then the block.
    static func readBlock(_ bytes: UnsafeRawBufferPointer) {
        var input = FuzzInput(bytes)
        let wanted = Array(input.piece().prefix(64))
        walk(input.remainder(), wanted)
    }

    private static func walk(_ block: [UInt8], _ wanted: [UInt8]) {
        block.withView { view in
            var cursor = BlockCursor()
            defer { cursor.destroy() }
            cursor.open(view)
            // Every entry takes four bytes at least.
            let stepsMax = block.count + 1
            cursor.seekToFirst()
            var steps = 0
            while cursor.isValid, steps < stepsMax {
                consume(cursor.key.array.count + cursor.value.array.count)
                steps += 1
                cursor.next()
            }
            require(!cursor.isValid, "a block of \(block.count) bytes has more entries than bytes")
            cursor.seekToLast()
            // Walking back reads a restart interval for each step.
            for _ in 0..<64 where cursor.isValid {
                consume(cursor.key.array)
                cursor.previous()
            }
            wanted.withView { key in
                cursor.seek(key, EntryTag.seek(1000))
                if cursor.isValid {
                    consume(cursor.key.array)
                    cursor.next()
                }
                cursor.seekBefore(key, EntryTag.seek(1000))
                if cursor.isValid { consume(cursor.value.array) }
                if case .found(_, let value) = BlockSearch.newest(view, key, EntryTag.seek(1000)) {
                    consume(value.array)
                }
            }
        }
    }

    // MARK: Tables

    /// The input is the file.
    static func readTable(_ bytes: [UInt8]) {
        let disk = SimulatedFileSystem()
        disk.setContent(bytes, of: "t/00000001.sst")
        let shared = SharedResources(blockCacheBytes: 0)
        do throws(StorageError) {
            let file: any File
            do throws(FileError) { file = try disk.open("t/00000001.sst", .read) } catch { return }
            let reader = try TableReader(file, uid: nil, cache: shared.blockCache, scratches: shared.scratches)
            consume(reader.ranges?.fragments.count)
            var cursor = BlockCursor()
            defer { cursor.destroy() }
            for position in 0..<min(reader.blockCount, 64) {
                do throws(StorageError) {
                    let handle = try reader.handle(at: position)
                    guard let block = try reader.dataBlock(handle, fillCache: false) else { continue }
                    cursor.open(block.view)
                    cursor.seekToFirst()
                    while cursor.isValid {
                        consume(try? reader.find(cursor.key, hashKey(cursor.key), cursor.tag, memoryOnly: false))
                        cursor.next()
                    }
                } catch { consume(error) }
            }
            for key in [[], [0x6b], [0xff, 0xff]] as [[UInt8]] {
                try key.withView { (view) throws(StorageError) in
                    consume(try reader.indexPosition(notBefore: view))
                    consume(try reader.find(view, hashKey(view), EntryTag.seek(9), memoryOnly: false))
                }
            }
        } catch { consume(error.description) }
    }

    /// The input is a table's blocks without their checksums, which are made to fit: what is behind them is read too.
    static func readTableOfParts(_ bytes: UnsafeRawBufferPointer) {
        var input = FuzzInput(bytes)
        readTable(TableOfParts.make(&input))
    }

    // MARK: Manifests

    /// The input is the MANIFEST that CURRENT names.
    static func readManifest(_ bytes: UnsafeRawBufferPointer) {
        let disk = SimulatedFileSystem()
        disk.setContent(Array(bytes), of: "t/" + ManifestFormat.name(1))
        disk.setContent(CurrentFile.encode(1), of: "t/CURRENT")
        open(disk)
        disk.setContent(Array(bytes), of: "t/CURRENT")
        consume(try? ManifestStore.load(disk, "t"))
    }

    /// The input is edits, framed as records that read well.
    static func readEdits(_ bytes: UnsafeRawBufferPointer) {
        let disk = SimulatedFileSystem()
        var input = FuzzInput(bytes)
        do {
            try disk.createDirectory("t")
            let writer = try LogWriter.create(disk, path: "t/" + ManifestFormat.name(1))
            while !input.isAtEnd { try writer.append(.versionEdit, input.piece()) }
            try writer.close()
        } catch { return }
        disk.setContent(CurrentFile.encode(1), of: "t/CURRENT")
        open(disk)
    }

    // MARK: Own log

    /// The input is the batch records of a tablet's own log.
    static func readJournal(_ bytes: UnsafeRawBufferPointer) {
        let disk = SimulatedFileSystem()
        var input = FuzzInput(bytes)
        var state = VersionEdit()
        state.isSnapshot = true
        state.identity = 7
        state.nextFileNumber = 2
        do {
            try disk.createDirectory("t/log")
            _ = try ManifestStore.write(disk, "t", number: 1, state: state)
            var identity: [UInt8] = []
            identity.append(littleEndian: UInt64(7))
            let writer = try LogWriter.create(disk, path: "t/log/00000001.log", identity: identity)
            while !input.isAtEnd { try writer.append(.batch, input.piece()) }
            try writer.close()
        } catch { return }
        open(disk)
    }

    /// Opens the tablet and reads all of it.
    private static func open(_ disk: SimulatedFileSystem) {
        consume(TabletInspection.verify(disk, "t").findings.count)
        let world = SimulatedWorld(seed: 1)
        var options = TabletOptions(
            fileSystem: disk,
            directory: "t",
            workers: world.makeWorkerPool("workers", in: SimulatedDomain("fuzz")),
            clock: SimulatedClock(world),
            randomness: SeededRandomness(seed: 1),
            shared: SharedResources(blockCacheBytes: 0, tablesOpenMax: 2)
        )
        options.memtableBytes = 64 << 10
        options.durability = .log(synchronizes: true)
        options.logSegmentBytes = 16 << 10
        options.preparesLogSegments = false
        guard let tablet = try? Tablet.open(options) else { return }
        consume(try? tablet.get([1]))
        if let iterator = try? tablet.makeIterator() {
            try? iterator.seekToFirst()
            for _ in 0..<100 where iterator.isValid { try? iterator.next() }
        }
        tablet.flush()
        world.runUntilIdle()
        tablet.close()
        world.runUntilIdle()
    }
}

/// Puts a table together around blocks of any content.
enum TableOfParts {
    /// Pieces: filter, index, ranges, properties, then data blocks; before each, its type and codec and a raw length.
    static func make(_ input: inout FuzzInput) -> [UInt8] {
        let uid: UInt64 = 0x1234_5678_9abc_def0
        var file = header(uid)
        var handles: [BlockHandle] = []
        for part in 0..<8 {
            if part >= 4, input.isAtEnd { break }
            let codec = input.byte()
            let rawLength = UInt32(input.number())
            handles.append(append(part, codec % 3, rawLength, input.piece(), uid, to: &file))
        }
        var footer: [UInt8] = []
        for handle in [handles[3], handles[1], handles[0]] {
            footer.append(littleEndian: handle.offset)
            footer.append(littleEndian: handle.length)
        }
        footer.append(littleEndian: uid)
        footer.append(littleEndian: UInt32(TableFormat.version))
        footer.append(littleEndian: UInt32(4))
        footer.append(littleEndian: UInt32(0))
        footer.append(littleEndian: TableFormat.footerMagic)
        let checksum = TableChecksum.ofFooter(footer)
        withUnsafeBytes(of: checksum.littleEndian) { footer.replaceSubrange(52..<56, with: $0) }
        return file + footer
    }

    private static func header(_ uid: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(littleEndian: TableFormat.headerMagic)
        bytes.append(littleEndian: TableFormat.version)
        bytes.append(littleEndian: UInt16(0))
        bytes.append(littleEndian: UInt32(0))
        bytes.append(littleEndian: uid)
        bytes.append(littleEndian: UInt64(0))
        let checksum = TableChecksum.ofHeader(bytes)
        withUnsafeBytes(of: checksum.littleEndian) { bytes.replaceSubrange(12..<16, with: $0) }
        return bytes
    }

    private static func append(
        _ part: Int,
        _ codec: UInt8,
        _ rawLength: UInt32,
        _ payload: [UInt8],
        _ uid: UInt64,
        to file: inout [UInt8]
    ) -> BlockHandle {
        let types = [
            TableFormat.BlockType.filter, TableFormat.BlockType.index, TableFormat.BlockType.ranges,
            TableFormat.BlockType.meta,
        ]
        var block: [UInt8] = [part < types.count ? types[part] : TableFormat.BlockType.data, codec, 0, 0]
        block.append(littleEndian: UInt32(payload.count))
        // A raw block whose length is not its payload's is refused at once: most are what they say.
        block.append(littleEndian: codec == TableFormat.Codec.raw ? UInt32(payload.count) : rawLength)
        let offset = UInt64(file.count)
        let checksum = block.withView { head in
            payload.withView { TableChecksum.ofBlock(uid: uid, offset: offset, header: head, payload: $0) }
        }
        block.append(littleEndian: checksum)
        file += block + payload
        return BlockHandle(offset: offset, length: UInt32(block.count + payload.count))
    }
}
