import KVBase
package import KVEnvironment

/// An entry of a table as it is stored.
package struct InspectedEntry: Equatable, Sendable {
    /// The stored key.
    package var key: [UInt8]
    /// The sequence.
    package var sequence: UInt64
    /// Whether it deletes the key.
    package var isDeletion: Bool
    /// The stored value; empty for a deletion.
    package var value: [UInt8]

    /// An entry with these parts.
    package init(key: [UInt8], sequence: UInt64, isDeletion: Bool, value: [UInt8]) {
        self.key = key
        self.sequence = sequence
        self.isDeletion = isDeletion
        self.value = value
    }
}

/// A deletion of every key in `start ..< end` that is older than `sequence`.
package struct InspectedRange: Equatable, Sendable {
    /// The first key.
    package var start: [UInt8]
    /// The end, not deleted.
    package var end: [UInt8]
    /// The sequence.
    package var sequence: UInt64

    /// A deletion with these parts.
    package init(start: [UInt8], end: [UInt8], sequence: UInt64) {
        self.start = start
        self.end = end
        self.sequence = sequence
    }
}

/// A block of a table.
package struct InspectedBlock: Equatable, Sendable {
    /// What a block holds.
    package enum Kind: UInt8, Sendable {
        case data = 1
        case index = 2
        case filter = 3
        case meta = 4
        case ranges = 5
    }
    /// What it holds.
    package var kind: Kind
    /// Its number among the blocks of its kind, from 0.
    package var number: Int
    /// Where it starts.
    package var offset: UInt64
    /// How many bytes it takes, its header included.
    package var length: UInt32
    /// Data: the index key, which is not before the block's last key; nil where the index does not read.
    package var separator: [UInt8]?

    var handle: BlockHandle { BlockHandle(offset: offset, length: length) }

    /// Its name for people.
    package var name: String { kind == .data ? "data block \(number)" : "\(kind) block" }
}

/// Reads one table for tools, believing nothing: what does not read becomes a finding, and what does is shown.
///
/// 1. Header, footer, index, filter, ranges and properties are read when it is made. 2. Where the index cannot be read, the
///    blocks are looked for from the front: each describes itself. 3. `verify` reads every byte that is left.
///
/// Changes nothing. Not thread-safe.
package final class TableInspector {
    /// The file.
    package let path: String
    /// Its size in bytes.
    package let size: UInt64
    /// What is wrong so far.
    package private(set) var findings: [InspectionFinding] = []
    /// The blocks in the order of the file.
    package private(set) var blocks: [InspectedBlock] = []
    /// The table's random id; nil where neither header nor footer nor manifest tells.
    package private(set) var uid: UInt64?
    /// When it was made, in milliseconds since 1970; nil where the header does not read.
    package private(set) var createdMilliseconds: UInt64?
    /// The range deletions.
    package private(set) var ranges: [InspectedRange] = []
    /// Whether the blocks were found by the index, so that none can be missing.
    package private(set) var isIndexed = false
    /// Whether the range deletions are known, be it that there are none.
    package private(set) var knowsRanges = false

    let file: any File
    let expected: InspectedTable?
    private(set) var properties: TableProperties?
    private(set) var filter: BloomView?
    private let scratches = ReadScratchPool()

    /// Opens the table at `path`; `expected` is what the manifest says of it.
    /// - Throws: where the file cannot be opened or its size read.
    package init(
        _ fileSystem: any FileSystem,
        path: String,
        expected: InspectedTable? = nil
    ) throws(FileError) {
        self.path = path
        self.expected = expected
        file = try fileSystem.open(path, .read)
        size = try file.size()
        if let expected, expected.size != size {
            add(0, size, "\(size) bytes, the manifest says \(expected.size)", part: "file")
        }
        readEnds()
    }

    deinit { file.close() }

    // MARK: Header and footer

    private func readEnds() {
        guard size >= UInt64(TableFormat.headerSize + TableFormat.footerSize) else {
            add(
                0,
                size,
                "\(size) bytes are too short for a table, which has \(TableFormat.headerSize + TableFormat.footerSize) at least",
                part: "file"
            )
            return
        }
        let footer = readFooter()
        readHeader(footer?.uid)
        uid = footer?.uid ?? uid ?? expected?.metadata.uid
        if let uid, let expected, expected.metadata.uid != uid {
            add(
                size - UInt64(TableFormat.footerSize),
                UInt64(TableFormat.footerSize),
                "uid \(hexadecimal(uid)), the manifest says \(hexadecimal(expected.metadata.uid)): the file of another table",
                part: "footer"
            )
        }
        guard uid != nil else { return }
        if let footer, readIndex(footer) {
            isIndexed = true
        } else {
            scan()
        }
        checkLayout(footer)
    }

    private func readFooter() -> TableFooter? {
        let offset = size - UInt64(TableFormat.footerSize)
        do throws(StorageError) { return try TableFooter(file, size: size) } catch {
            var finding = InspectionFinding(error, path)
            finding.part = "footer"
            if let bytes = read(offset, TableFormat.footerSize) {
                finding.flip = flip(offset, bytes) { bytes in
                    number(bytes, 56, 8) == TableFormat.footerMagic
                        && UInt32(truncatingIfNeeded: number(bytes, 52, 4)) == TableChecksum.ofFooter(bytes)
                }
            }
            findings.append(finding)
            return nil
        }
    }

    private func readHeader(_ footerUID: UInt64?) {
        guard let bytes = read(0, TableFormat.headerSize) else { return }
        let magic = number(bytes, 0, 8)
        let stored = UInt32(truncatingIfNeeded: number(bytes, 12, 4))
        let found = TableChecksum.ofHeader(bytes)
        let headerUID = number(bytes, 16, 8)
        var problem: String?
        if magic != TableFormat.headerMagic {
            problem = "magic \(hexadecimal(magic)), expected \(hexadecimal(TableFormat.headerMagic))"
        } else if stored != found {
            problem = "header checksum \(hexadecimal(UInt64(found))), stored \(hexadecimal(UInt64(stored)))"
        } else if number(bytes, 8, 2) != UInt64(TableFormat.version) {
            problem = "format version \(number(bytes, 8, 2)); this program reads version \(TableFormat.version)"
        } else if let footerUID, footerUID != headerUID {
            problem = "uid \(hexadecimal(headerUID)), the footer says \(hexadecimal(footerUID))"
        }
        guard let problem else {
            uid = headerUID
            createdMilliseconds = number(bytes, 24, 8)
            return
        }
        var finding = InspectionFinding(
            file: path,
            offset: 0,
            length: UInt64(TableFormat.headerSize),
            what: problem,
            part: "header"
        )
        finding.flip = flip(0, bytes) { bytes in
            number(bytes, 0, 8) == TableFormat.headerMagic
                && UInt32(truncatingIfNeeded: number(bytes, 12, 4)) == TableChecksum.ofHeader(bytes)
        }
        findings.append(finding)
    }

    /// The bit that makes `isGood` hold; for parts of a few bytes, all of whose bits are tried.
    private func flip(_ offset: UInt64, _ bytes: [UInt8], _ isGood: ([UInt8]) -> Bool) -> FlippedBit? {
        var bytes = bytes
        for bit in 0..<(bytes.count * 8) {
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            if isGood(bytes) { return FlippedBit(byte: offset + UInt64(bit / 8), bit: bit % 8) }
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
        }
        return nil
    }

    // MARK: Index, filter, properties

    /// Whether the index reads, so that `blocks` is complete.
    private func readIndex(_ footer: TableFooter) -> Bool {
        let index = InspectedBlock(kind: .index, number: 0, offset: footer.index.offset, length: footer.index.length)
        let filterBlock = InspectedBlock(
            kind: .filter,
            number: 0,
            offset: footer.filter.offset,
            length: footer.filter.length
        )
        let meta = InspectedBlock(kind: .meta, number: 0, offset: footer.meta.offset, length: footer.meta.length)
        readFilter(filterBlock)
        readMeta(meta)
        var found = [filterBlock, index, meta]
        if let handle = properties?.ranges {
            let block = InspectedBlock(kind: .ranges, number: 0, offset: handle.offset, length: handle.length)
            readRanges(block)
            found.append(block)
        } else if properties != nil {
            knowsRanges = true
        }
        guard let raw = content(of: index) else { return false }
        guard let entries = parse(raw.view) else {
            add(index, "its entries do not parse")
            return false
        }
        for (number, entry) in entries.enumerated() {
            guard let handle = entry.value.withView({ BlockHandle($0) }), handle.offset < size,
                UInt64(handle.length) <= size - handle.offset
            else {
                add(index, "entry \(number) names no block inside the file")
                return false
            }
            found.append(
                InspectedBlock(
                    kind: .data,
                    number: number,
                    offset: handle.offset,
                    length: handle.length,
                    separator: entry.key
                )
            )
        }
        blocks = found.sorted { $0.offset < $1.offset }
        return true
    }

    private func readFilter(_ block: InspectedBlock) {
        guard let raw = content(of: block) else { return }
        filter = BloomView(raw)
        if filter == nil { add(block, "not a filter: \(raw.count) bytes") }
    }

    private func readMeta(_ block: InspectedBlock) {
        guard let raw = content(of: block) else { return }
        do throws(DecodingError) { properties = try TableProperties(decoding: raw.view.buffer) } catch {
            add(block, "properties: \(error)")
        }
    }

    private func readRanges(_ block: InspectedBlock) {
        guard let raw = content(of: block) else { return }
        do throws(DecodingError) {
            ranges = try TableProperties.decodeRanges(raw.view.buffer).tombstones.map {
                InspectedRange(start: $0.start, end: $0.end, sequence: $0.sequence)
            }
            knowsRanges = true
        } catch {
            add(block, "range deletions: \(error)")
        }
    }

    /// Finds blocks from the front of the file, for want of an index: each says its type and lengths, and its checksum is seeded
    /// with its place.
    private func scan() {
        guard let uid else { return }
        var numbers: [InspectedBlock.Kind: Int] = [:]
        var scanner = BlockScanner(file: file, uid: uid, size: size)
        while let (kind, handle) = scanner.next() {
            let number = numbers[kind, default: 0]
            numbers[kind] = number + 1
            let block = InspectedBlock(kind: kind, number: number, offset: handle.offset, length: handle.length)
            blocks.append(block)
            switch kind {
            case .data, .index: break
            case .filter: if filter == nil { readFilter(block) }
            case .meta: if properties == nil { readMeta(block) }
            case .ranges: if ranges.isEmpty { readRanges(block) }
            }
        }
        if let properties, properties.ranges == nil { knowsRanges = true }
    }

    /// Blocks stand one behind the other from the header to the footer.
    private func checkLayout(_ footer: TableFooter?) {
        var next = UInt64(TableFormat.headerSize)
        for block in blocks {
            if block.offset != next {
                let (low, high) = (min(next, block.offset), max(next, block.offset))
                add(low, high - low, "no block begins at \(next); the next one is \(block.name) at \(block.offset)")
            }
            next = block.offset + UInt64(block.length)
        }
        let end = size - UInt64(TableFormat.footerSize)
        if next != end {
            let (low, high) = (min(next, end), max(next, end))
            add(low, high - low, "the blocks end at \(next), the footer begins at \(end)")
        }
        if isIndexed, let footer, Int(footer.blockCount) != blocks.count {
            add(end, UInt64(TableFormat.footerSize), "\(blocks.count) blocks, the footer says \(footer.blockCount)")
        }
    }

    // MARK: Blocks

    /// The raw bytes of a block; nil where they do not read, which is a finding then.
    func content(of block: InspectedBlock) -> Block? {
        guard let uid else { return nil }
        let reader = BlockFile(file: file, uid: uid, size: size, scratches: scratches)
        do throws(StorageError) {
            return try reader.read(block.handle, type: block.kind.rawValue)
        } catch {
            guard !findings.contains(where: { $0.offset == block.offset && $0.part == block.name }) else { return nil }
            var finding = InspectionFinding(error, path)
            finding.part = block.name
            finding.flip = flip(of: block, uid)
            if block.kind == .data { (finding.firstKey, finding.lastKey) = keyRange(of: block) }
            findings.append(finding)
            return nil
        }
    }

    private func flip(of block: InspectedBlock, _ uid: UInt64) -> FlippedBit? {
        guard UInt64(block.length) <= size, let bytes = read(block.offset, Int(block.length)),
            bytes.count > TableFormat.blockHeaderSize
        else { return nil }
        let found = bytes.withView { bytes in
            TableChecksum.ofBlock(
                uid: uid,
                offset: block.offset,
                header: bytes,
                payload: ByteView(bytes.base + TableFormat.blockHeaderSize, bytes.count - TableFormat.blockHeaderSize)
            )
        }
        let difference = found ^ UInt32(truncatingIfNeeded: number(bytes, 12, 4))
        if difference.nonzeroBitCount == 1 {
            let bit = difference.trailingZeroBitCount
            return FlippedBit(byte: block.offset + 12 + UInt64(bit / 8), bit: bit % 8)
        }
        // The checksum's own four bytes are not among the checked ones.
        guard let place = CRC32C.flippedBit(count: bytes.count - 4, difference: difference) else { return nil }
        let byte = place / 8 < 12 ? place / 8 : place / 8 + 4
        return FlippedBit(byte: block.offset + UInt64(byte), bit: place % 8)
    }

    /// The stored keys between which the keys of a data block lie, by the index.
    package func keyRange(of block: InspectedBlock) -> (first: [UInt8]?, last: [UInt8]?) {
        let before = blocks.last { $0.kind == .data && $0.number == block.number - 1 }
        return (before?.separator ?? properties?.smallest ?? expected?.metadata.smallest, block.separator)
    }

    /// The entries of a data block, oldest version last; nil where it does not read, which is a finding then.
    package func entries(of block: InspectedBlock) -> [InspectedEntry]? {
        guard let raw = content(of: block) else { return nil }
        guard let entries = parse(raw.view) else {
            add(block, "entries do not parse")
            return nil
        }
        return entries
    }

    private func parse(_ raw: ByteView) -> [InspectedEntry]? {
        var cursor = BlockCursor()
        defer { cursor.destroy() }
        cursor.open(raw)
        cursor.seekToFirst()
        var entries: [InspectedEntry] = []
        while cursor.isValid {
            entries.append(
                InspectedEntry(
                    key: cursor.key.array,
                    sequence: EntryTag.sequence(cursor.tag),
                    isDeletion: EntryTag.kind(cursor.tag) != EntryKind.put,
                    value: cursor.value.array
                )
            )
            cursor.next()
        }
        return cursor.isCorrupt ? nil : entries
    }

    // MARK: Helpers

    func add(_ offset: UInt64, _ length: UInt64, _ what: String, part: String? = nil) {
        findings.append(InspectionFinding(file: path, offset: offset, length: length, what: what, part: part))
    }

    /// Notes in each finding about a block what the table lost.
    func setLost(_ text: String) {
        for place in findings.indices where findings[place].part?.hasPrefix("data block") == true {
            findings[place].lost = text
        }
    }

    func add(_ block: InspectedBlock, _ what: String) {
        var finding = InspectionFinding(
            file: path,
            offset: block.offset,
            length: UInt64(block.length),
            what: what,
            part: block.name
        )
        if block.kind == .data { (finding.firstKey, finding.lastKey) = keyRange(of: block) }
        findings.append(finding)
    }

    /// So many bytes at `offset`; nil where they cannot be read, which is a finding then.
    private func read(_ offset: UInt64, _ count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        do throws(StorageError) {
            try bytes.withUnsafeMutableBufferPointer { (buffer) throws(StorageError) in
                try file.readWhole(into: UnsafeMutableRawBufferPointer(buffer), at: offset)
            }
            return bytes
        } catch {
            findings.append(InspectionFinding(error, path))
            return nil
        }
    }
}

/// A little-endian number of `count` bytes.
///
/// - Precondition: they are there.
private func number(_ bytes: [UInt8], _ offset: Int, _ count: Int) -> UInt64 {
    (0..<count).reduce(0) { $0 | UInt64(bytes[offset + $1]) << UInt64($1 * 8) }
}
