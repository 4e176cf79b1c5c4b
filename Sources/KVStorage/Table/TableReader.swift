import CMemory
import KVBase
import KVEnvironment

/// An open table: its index and filter in memory, its data blocks through the shared cache.
///
/// Any thread.
///
/// Every block is checked against its checksum, seeded with the table's uid and the block's offset, before a byte of
/// it is used.
final class TableReader: Sendable {
    let path: String
    let uid: UInt64
    let size: UInt64
    let properties: TableProperties
    let ranges: RangeTombstoneSet?
    private let file: any File
    private let cache: BlockCache
    private let scratches: ReadScratchPool
    private let index: Block
    private let fences: IndexFences
    private let filter: Block
    private let filterLines: UInt32
    private let filterProbes: Int

    /// What a look-up of one key finds.
    enum Lookup {
        case absent
        case needsDisk
        case found(tag: UInt64, value: ByteView, pin: Block)
    }

    /// Opens a table and checks header, footer, index, filter and properties.
    init(_ file: any File, uid expected: UInt64?, cache: BlockCache, scratches: ReadScratchPool) throws(StorageError) {
        path = file.path
        self.file = file
        self.cache = cache
        self.scratches = scratches
        let size: UInt64
        do throws(FileError) { size = try file.size() } catch { throw .file(error) }
        self.size = size
        let footer = try TableFooter(file, size: size)
        uid = footer.uid
        try TableFooter.checkHeader(file, uid: footer.uid)
        if let expected, expected != footer.uid {
            throw .corruption(
                file: file.path,
                offset: size - UInt64(TableFormat.footerSize),
                length: UInt64(TableFormat.footerSize),
                what: "uid \(hexadecimal(footer.uid)), the manifest says \(hexadecimal(expected))"
            )
        }
        let blocks = BlockFile(file: file, uid: footer.uid, size: size, scratches: scratches)
        index = try blocks.read(footer.index, type: TableFormat.BlockType.index)
        filter = try blocks.read(footer.filter, type: TableFormat.BlockType.filter)
        guard filter.count >= BloomFilter.trailerBytes else { throw blocks.corrupt(footer.filter, "filter too short") }
        let trailer = filter.count - BloomFilter.trailerBytes
        filterLines = UInt32(littleEndian: filter.base.loadUnaligned(fromByteOffset: trailer, as: UInt32.self))
        filterProbes = Int(
            UInt32(littleEndian: filter.base.loadUnaligned(fromByteOffset: trailer + 4, as: UInt32.self))
        )
        guard Int(filterLines) * BloomFilter.lineBytes == trailer, filterLines > 0, filterProbes <= 64 else {
            throw blocks.corrupt(footer.filter, "filter of \(filterLines) lines in \(trailer) bytes")
        }
        guard let layout = BlockLayout(index.view), let fences = IndexFences(layout) else {
            throw blocks.corrupt(footer.index, "not a block of index entries")
        }
        self.fences = fences
        let meta = try blocks.read(footer.meta, type: TableFormat.BlockType.meta)
        do throws(DecodingError) { properties = try TableProperties(decoding: meta.view.buffer) } catch {
            throw blocks.corrupt(footer.meta, "properties: \(error)")
        }
        if let handle = properties.ranges {
            let block = try blocks.read(handle, type: TableFormat.BlockType.ranges)
            do throws(DecodingError) { ranges = try TableProperties.decodeRanges(block.view.buffer) } catch {
                throw blocks.corrupt(handle, "range deletions: \(error)")
            }
        } else {
            ranges = nil
        }
    }

    deinit { file.close() }

    var indexView: ByteView { index.view }

    /// The newest entry of `key` at or before the sequence of `seekTag`.
    func find(_ key: ByteView, _ hash: UInt64, _ seekTag: UInt64, memoryOnly: Bool) throws(StorageError) -> Lookup {
        guard BloomFilter.mayContain(filter.base, filterLines, filterProbes, hash) else {
            cache.countFilterNegative()
            return .absent
        }
        guard let handle = try blockHandle(for: key) else { return .absent }
        guard let block = try dataBlock(handle, memoryOnly: memoryOnly) else { return .needsDisk }
        switch BlockSearch.newest(block.view, key, seekTag) {
        case .absent:
            cache.countFalsePositive()
            return .absent
        case .found(let tag, let value): return .found(tag: tag, value: value, pin: block)
        case .corrupt: throw corrupt(handle, "entries do not parse")
        }
    }

    /// Whether the filter may hold a key with this hash.
    func filterMayContain(_ hash: UInt64) -> Bool {
        BloomFilter.mayContain(filter.base, filterLines, filterProbes, hash)
    }

    /// A data block from the cache, else from the file unless `memoryOnly` (then nil).
    func dataBlock(
        _ handle: BlockHandle,
        memoryOnly: Bool = false,
        fillCache: Bool = true
    ) throws(StorageError) -> Block? {
        let key = BlockKey(uid: uid, offset: handle.offset)
        if let block = cache.find(key) {
            // A search looks first at the end, where the restarts are, and then at the front.
            kv_prefetch(block.base + max(0, block.count &- 4))
            return block
        }
        if memoryOnly { return nil }
        let blocks = BlockFile(file: file, uid: uid, size: size, scratches: scratches)
        let block = try blocks.read(handle, type: TableFormat.BlockType.data)
        if fillCache { cache.insert(key, block) }
        return block
    }

    /// The block that holds `key` if any does.
    private func blockHandle(for key: ByteView) throws(StorageError) -> BlockHandle? {
        guard let position = try indexPosition(notBefore: key) else { return nil }
        return try handle(at: position)
    }

    /// How many data blocks there are.
    var blockCount: Int { fences.count }

    /// The first data block whose index key is not before `key`; nil where all are.
    @inline(__always)
    func indexPosition(notBefore key: ByteView) throws(StorageError) -> Int? {
        let candidates = fences.candidates(key)
        var low = candidates.lowerBound
        if !candidates.isEmpty { low = try firstNotBefore(key, candidates) }
        return low < fences.count ? low : nil
    }

    /// Halves the index keys themselves.
    private func firstNotBefore(_ key: ByteView, _ candidates: Range<Int>) throws(StorageError) -> Int {
        guard let layout = BlockLayout(index.view) else { throw indexCorrupt() }
        var entry = BlockEntry()
        var low = candidates.lowerBound
        var high = candidates.upperBound
        while low < high {
            let middle = (low &+ high) / 2
            guard entry.parse(layout.base, layout.restart(middle), layout.limit), entry.shared == 0 else {
                throw indexCorrupt()
            }
            if compareBytes(ByteView(layout.base + entry.keyOffset, entry.unshared), key) < 0 {
                low = middle &+ 1
            } else {
                high = middle
            }
        }
        return low
    }

    /// The handle of data block `position`.
    @inline(__always)
    func handle(at position: Int) throws(StorageError) -> BlockHandle {
        if let handle = fences.handle(at: position) { return handle }
        var entry = BlockEntry()
        guard let layout = BlockLayout(index.view), entry.parse(layout.base, layout.restart(position), layout.limit),
            let handle = BlockHandle(ByteView(layout.base + entry.valueOffset, entry.valueLength))
        else { throw indexCorrupt() }
        return handle
    }

    func corrupt(_ handle: BlockHandle, _ what: String) -> StorageError {
        .corruption(file: path, offset: handle.offset, length: UInt64(handle.length), what: what)
    }

    private func indexCorrupt() -> StorageError {
        .corruption(file: path, offset: 0, length: size, what: "index entries do not parse")
    }
}

/// Reads and checks whole blocks of a file.
struct BlockFile {
    let file: any File
    let uid: UInt64
    let size: UInt64
    let scratches: ReadScratchPool

    func read(_ handle: BlockHandle, type: UInt8) throws(StorageError) -> Block {
        let length = Int(handle.length)
        guard length >= TableFormat.blockHeaderSize, handle.offset >= UInt64(TableFormat.headerSize),
            handle.offset <= size, UInt64(length) <= size - handle.offset
        else { throw corrupt(handle, "block outside its file of \(size) bytes") }
        let scratch = scratches.take()
        defer { scratches.give(scratch) }
        scratch.stored.removeAll()
        let stored = scratch.stored.appendUninitialized(length)
        try file.readWhole(into: UnsafeMutableRawBufferPointer(start: stored, count: length), at: handle.offset)
        let bytes = ByteView(UnsafeRawPointer(stored), length)
        return try check(bytes, handle, type, scratch)
    }

    private func check(
        _ bytes: ByteView,
        _ handle: BlockHandle,
        _ type: UInt8,
        _ scratch: ReadScratch
    )
        throws(StorageError) -> Block
    {
        let payload = ByteView(bytes.base + TableFormat.blockHeaderSize, bytes.count - TableFormat.blockHeaderSize)
        let expected = UInt32(littleEndian: bytes.base.loadUnaligned(fromByteOffset: 12, as: UInt32.self))
        let found = TableChecksum.ofBlock(uid: uid, offset: handle.offset, header: bytes, payload: payload)
        guard expected == found else {
            throw corrupt(
                handle,
                "block checksum \(hexadecimal(UInt64(found))), stored \(hexadecimal(UInt64(expected)))"
            )
        }
        let storedType = bytes.base.load(fromByteOffset: 0, as: UInt8.self)
        let codec = bytes.base.load(fromByteOffset: 1, as: UInt8.self)
        let storedLength = UInt32(littleEndian: bytes.base.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
        let rawLength = Int(UInt32(littleEndian: bytes.base.loadUnaligned(fromByteOffset: 8, as: UInt32.self)))
        guard storedType == type, Int(storedLength) == payload.count else {
            throw corrupt(
                handle,
                "block of type \(storedType) and \(storedLength) bytes, type \(type) is expected here"
            )
        }
        return try Block.make(count: rawLength) { (memory) throws(StorageError) in
            switch codec {
            case TableFormat.Codec.raw where rawLength == payload.count:
                memory.copyMemory(from: payload.base, byteCount: rawLength)
            case TableFormat.Codec.zstd where scratch.decompress(payload, into: memory, count: rawLength):
                break
            default:
                throw corrupt(handle, "block of codec \(codec) does not make \(rawLength) bytes")
            }
        }
    }

    func corrupt(_ handle: BlockHandle, _ what: String) -> StorageError {
        .corruption(file: file.path, offset: handle.offset, length: UInt64(handle.length), what: what)
    }
}

extension File {
    /// Fills `buffer` from `offset`.
    ///
    /// - Throws: `corruption` where the file ends before.
    func readWhole(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(StorageError) {
        var done = 0
        while done < buffer.count {
            let count: Int
            do throws(FileError) {
                count = try read(
                    into: UnsafeMutableRawBufferPointer(rebasing: buffer[done...]),
                    at: offset + UInt64(done)
                )
            } catch { throw .file(error) }
            guard count > 0 else {
                throw .corruption(
                    file: path,
                    offset: offset,
                    length: UInt64(buffer.count),
                    what: "the file ends \(done) bytes in"
                )
            }
            done += count
        }
    }
}

/// The last 64 bytes of a table.
struct TableFooter {
    let meta: BlockHandle
    let index: BlockHandle
    let filter: BlockHandle
    let uid: UInt64
    let blockCount: UInt32

    init(_ file: any File, size: UInt64) throws(StorageError) {
        guard size >= UInt64(TableFormat.headerSize + TableFormat.footerSize) else {
            throw .corruption(file: file.path, offset: 0, length: size, what: "too short for a table")
        }
        let offset = size - UInt64(TableFormat.footerSize)
        let bytes = try Self.read(file, offset, TableFormat.footerSize)
        func corrupt(_ what: String) -> StorageError {
            .corruption(file: file.path, offset: offset, length: UInt64(TableFormat.footerSize), what: what)
        }
        do throws(DecodingError) {
            let numbers = try Self.parse(bytes)
            guard numbers.magic == TableFormat.footerMagic else {
                throw DecodingError.invalid(offset: 56, what: "footer magic \(hexadecimal(numbers.magic))")
            }
            guard numbers.crc == TableChecksum.ofFooter(bytes) else {
                throw DecodingError.invalid(offset: 52, what: "footer checksum")
            }
            meta = numbers.handles[0]
            index = numbers.handles[1]
            filter = numbers.handles[2]
            uid = numbers.uid
            blockCount = numbers.blockCount
            guard numbers.version == UInt32(TableFormat.version) else {
                throw DecodingError.invalid(offset: 44, what: "format version \(numbers.version)")
            }
        } catch { throw corrupt("footer: \(error)") }
    }

    /// Checks the first 32 bytes.
    static func checkHeader(_ file: any File, uid: UInt64) throws(StorageError) {
        let bytes = try read(file, 0, TableFormat.headerSize)
        let isGood = bytes.withUnsafeBytes { raw in
            UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: 0, as: UInt64.self)) == TableFormat.headerMagic
                && UInt16(littleEndian: raw.loadUnaligned(fromByteOffset: 8, as: UInt16.self)) == TableFormat.version
                && UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: 12, as: UInt32.self))
                    == TableChecksum.ofHeader(bytes)
                && UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: 16, as: UInt64.self)) == uid
        }
        guard isGood else {
            throw .corruption(
                file: file.path,
                offset: 0,
                length: UInt64(TableFormat.headerSize),
                what: "header does not match the footer"
            )
        }
    }

    private struct Numbers {
        var handles: [BlockHandle] = []
        var uid: UInt64 = 0
        var version: UInt32 = 0
        var blockCount: UInt32 = 0
        var crc: UInt32 = 0
        var magic: UInt64 = 0
    }

    private static func parse(_ bytes: [UInt8]) throws(DecodingError) -> Numbers {
        try bytes.withUnsafeBufferPointer { (buffer) throws(DecodingError) in
            var reader = ByteReader(UnsafeRawBufferPointer(buffer))
            var numbers = Numbers()
            for _ in 0..<3 {
                let offset = try reader.readLittleEndian(UInt64.self)
                numbers.handles.append(BlockHandle(offset: offset, length: try reader.readLittleEndian()))
            }
            numbers.uid = try reader.readLittleEndian()
            numbers.version = try reader.readLittleEndian()
            numbers.blockCount = try reader.readLittleEndian()
            numbers.crc = try reader.readLittleEndian()
            numbers.magic = try reader.readLittleEndian()
            return numbers
        }
    }

    private static func read(_ file: any File, _ offset: UInt64, _ count: Int) throws(StorageError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        try bytes.withUnsafeMutableBufferPointer { (buffer) throws(StorageError) in
            try file.readWhole(into: UnsafeMutableRawBufferPointer(buffer), at: offset)
        }
        return bytes
    }
}
