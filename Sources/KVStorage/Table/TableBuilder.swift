import KVBase
import KVEnvironment

/// What is known of a table once it is written; a manifest edit stores it.
struct TableMetadata: Equatable, Sendable {
    var number: UInt64
    var uid: UInt64
    var size: UInt64
    var smallest: [UInt8]
    var largest: [UInt8]
    /// Whether `largest` is itself outside (the end of a range deletion).
    var largestIsExclusive: Bool
    var sequenceMin: UInt64
    var sequenceMax: UInt64
    var entryCount: UInt64
    var tombstoneCount: UInt64
    var rangeCount: UInt64
}

/// Writes one table file.
///
/// 1. Header. 2. Data blocks as entries come, each ended at a key boundary once it is full. 3. Filter, index, range
///    deletions, properties. 4. Footer, then one sync. The name is not durable before the caller synchronizes the
///    directory.
final class TableBuilder {
    struct Settings {
        var number: UInt64
        var uid: UInt64
        var createdMilliseconds: UInt64
        var blockBytes: Int
        var restartInterval: Int
        var codec: BlockCodec
        var level: Int
        var reason: TableReason
        var job: UInt64
    }

    private let settings: Settings
    private let output: OutputFile
    private let compressor: Compressor
    private let data: BlockBuilder
    private let index: BlockBuilder
    private let lastIndexKey = GrowBuffer(capacity: 256)
    private let firstKey = GrowBuffer(capacity: 256)
    private let scratch = GrowBuffer(capacity: 256)
    private var hashes: [UInt64] = []
    private var ranges: [RangeTombstone] = []
    private var blockCount: UInt32 = 0
    private var dataBytes: UInt64 = 0
    private var entryCount: UInt64 = 0
    private var tombstoneCount: UInt64 = 0
    private var rawKeyBytes: UInt64 = 0
    private var rawValueBytes: UInt64 = 0
    private var sequenceMin = UInt64.max
    private var sequenceMax: UInt64 = 0

    init(_ file: any File, _ settings: Settings, _ compressor: Compressor) throws(StorageError) {
        self.settings = settings
        self.compressor = compressor
        output = OutputFile(file)
        data = BlockBuilder(restartInterval: settings.restartInterval, capacity: settings.blockBytes * 2)
        index = BlockBuilder(restartInterval: 1, capacity: 64 * 1024)
        try writeHeader()
    }

    /// The bytes of the file so far, without what is still in the block being built.
    var fileSize: UInt64 { output.offset }

    /// The size the file would have now, roughly.
    var estimatedSize: UInt64 { output.offset + UInt64(data.rawSize) }

    var isEmpty: Bool { entryCount == 0 && ranges.isEmpty }

    /// Appends an entry.
    ///
    /// All entries of one key must come without another key between, newest first.
    @inline(__always)
    func add(_ key: ByteView, _ tag: UInt64, _ value: ByteView) throws(StorageError) {
        let last = data.last
        let shared = entryCount == 0 ? 0 : sharedPrefix(last, key)
        if entryCount == 0 || shared != key.count || shared != last.count {
            precondition(
                entryCount == 0 || compareBytes(last, key) < 0,
                "table entries out of order in table \(settings.number)"
            )
            if data.rawSize >= settings.blockBytes { try finishDataBlock(before: key) }
            hashes.append(hashKey(key))
            if entryCount == 0 { firstKey.append(key) }
        }
        data.add(key, tag, value, shared: shared)
        entryCount &+= 1
        if EntryTag.kind(tag) != EntryKind.put { tombstoneCount &+= 1 }
        rawKeyBytes &+= UInt64(key.count)
        rawValueBytes &+= UInt64(value.count)
        let sequence = EntryTag.sequence(tag)
        if sequence < sequenceMin { sequenceMin = sequence }
        if sequence > sequenceMax { sequenceMax = sequence }
    }

    /// Adds a range deletion; at any time before `finish`.
    func addRange(_ tombstone: RangeTombstone) {
        ranges.append(tombstone)
        sequenceMin = min(sequenceMin, tombstone.sequence)
        sequenceMax = max(sequenceMax, tombstone.sequence)
    }

    /// Writes what is left and returns after the file's bytes are on stable storage.
    func finish() throws(StorageError) -> TableMetadata {
        precondition(!isEmpty, "table \(settings.number) without entries")
        let lastKey = data.last.array
        if !data.isEmpty { try finishDataBlock(before: nil) }
        dataBytes = output.offset - UInt64(TableFormat.headerSize)

        scratch.removeAll()
        BloomFilter.build(hashes, into: scratch)
        let filterHandle = try writeBlock(TableFormat.BlockType.filter, scratch.view, .none)
        let indexHandle = try writeBlock(TableFormat.BlockType.index, index.finish(), settings.codec)
        let rangesHandle = ranges.isEmpty ? nil : try writeRanges()
        let metadata = makeMetadata(lastKey: lastKey)
        let metaHandle = try writeMeta(metadata, rangesHandle)
        try writeFooter(meta: metaHandle, index: indexHandle, filter: filterHandle)
        try output.synchronize()
        var result = metadata
        result.size = output.offset
        return result
    }

    private func makeMetadata(lastKey: [UInt8]) -> TableMetadata {
        var smallest = firstKey.view.array
        var largest = lastKey
        var isExclusive = false
        for (position, range) in ranges.enumerated() {
            if (entryCount == 0 && position == 0) || compareKeys(range.start, smallest) < 0 { smallest = range.start }
            if (entryCount == 0 && position == 0) || compareKeys(range.end, largest) > 0 {
                largest = range.end
                isExclusive = true
            }
        }
        return TableMetadata(
            number: settings.number,
            uid: settings.uid,
            size: 0,
            smallest: smallest,
            largest: largest,
            largestIsExclusive: isExclusive,
            sequenceMin: sequenceMin,
            sequenceMax: sequenceMax,
            entryCount: entryCount,
            tombstoneCount: tombstoneCount,
            rangeCount: UInt64(ranges.count)
        )
    }

    private func writeHeader() throws(StorageError) {
        var bytes: [UInt8] = []
        bytes.append(littleEndian: TableFormat.headerMagic)
        bytes.append(littleEndian: TableFormat.version)
        bytes.append(littleEndian: UInt16(0))
        bytes.append(littleEndian: UInt32(0))
        bytes.append(littleEndian: settings.uid)
        bytes.append(littleEndian: settings.createdMilliseconds)
        bytes.store(littleEndian: TableChecksum.ofHeader(bytes), at: 12)
        try output.append(bytes)
    }

    private func finishDataBlock(before next: ByteView?) throws(StorageError) {
        let handle = try writeBlock(TableFormat.BlockType.data, data.finish(), settings.codec)
        scratch.removeAll()
        KeySeparator.append(between: data.last, next, to: scratch)
        let separator = scratch.view
        let handleBytes = handle.encoded
        handleBytes.withView { index.add(separator, 0, $0, shared: 0) }
        data.reset()
    }

    private func writeRanges() throws(StorageError) -> BlockHandle {
        var bytes: [UInt8] = []
        for range in ranges {
            bytes.append(lengthPrefixed: range.start)
            bytes.append(lengthPrefixed: range.end)
            bytes.append(varint: range.sequence)
        }
        scratch.removeAll()
        bytes.withView { scratch.append($0) }
        return try writeBlock(TableFormat.BlockType.ranges, scratch.view, settings.codec)
    }

    private func writeMeta(_ metadata: TableMetadata, _ ranges: BlockHandle?) throws(StorageError) -> BlockHandle {
        typealias Property = TableFormat.Property
        var bytes: [UInt8] = []
        TagLength.append(Property.entryCount, entryCount, to: &bytes)
        TagLength.append(Property.keyCount, UInt64(hashes.count), to: &bytes)
        TagLength.append(Property.tombstoneCount, tombstoneCount, to: &bytes)
        TagLength.append(Property.rawKeyBytes, rawKeyBytes, to: &bytes)
        TagLength.append(Property.rawValueBytes, rawValueBytes, to: &bytes)
        TagLength.append(Property.dataBytes, dataBytes, to: &bytes)
        TagLength.append(Property.sequenceMin, metadata.sequenceMin, to: &bytes)
        TagLength.append(Property.sequenceMax, metadata.sequenceMax, to: &bytes)
        TagLength.append(Property.level, UInt64(settings.level), to: &bytes)
        TagLength.append(Property.reason, settings.reason.rawValue, to: &bytes)
        TagLength.append(Property.job, settings.job, to: &bytes)
        TagLength.append(Property.codecLevel, settings.codec.storedLevel, to: &bytes)
        TagLength.append(Property.engineVersion, UInt64(TableFormat.version), to: &bytes)
        TagLength.append(Property.smallest, metadata.smallest, to: &bytes)
        TagLength.append(Property.largest, metadata.largest, to: &bytes)
        TagLength.append(Property.largestIsExclusive, metadata.largestIsExclusive ? 1 : 0, to: &bytes)
        if let ranges {
            TagLength.append(Property.rangesOffset, ranges.offset, to: &bytes)
            TagLength.append(Property.rangesLength, UInt64(ranges.length), to: &bytes)
            TagLength.append(Property.rangeCount, metadata.rangeCount, to: &bytes)
        }
        scratch.removeAll()
        bytes.withView { scratch.append($0) }
        return try writeBlock(TableFormat.BlockType.meta, scratch.view, .none)
    }

    private func writeBlock(_ type: UInt8, _ raw: ByteView, _ codec: BlockCodec) throws(StorageError) -> BlockHandle {
        let compressed = compressor.compress(raw, codec)
        let payload = compressed ?? raw
        let offset = output.offset
        try withUnsafeTemporaryAllocation(byteCount: TableFormat.blockHeaderSize, alignment: 8) {
            (header) throws(StorageError) in
            header.storeBytes(of: type, toByteOffset: 0, as: UInt8.self)
            header.storeBytes(
                of: compressed == nil ? TableFormat.Codec.raw : TableFormat.Codec.zstd,
                toByteOffset: 1,
                as: UInt8.self
            )
            header.storeBytes(of: 0, toByteOffset: 2, as: UInt16.self)
            header.storeBytes(of: UInt32(payload.count).littleEndian, toByteOffset: 4, as: UInt32.self)
            header.storeBytes(of: UInt32(raw.count).littleEndian, toByteOffset: 8, as: UInt32.self)
            let head = ByteView(UnsafeRawBufferPointer(header))
            let crc = TableChecksum.ofBlock(uid: settings.uid, offset: offset, header: head, payload: payload)
            header.storeBytes(of: crc.littleEndian, toByteOffset: 12, as: UInt32.self)
            try output.append(head)
        }
        try output.append(payload)
        blockCount += 1
        return BlockHandle(offset: offset, length: UInt32(TableFormat.blockHeaderSize + payload.count))
    }

    private func writeFooter(meta: BlockHandle, index: BlockHandle, filter: BlockHandle) throws(StorageError) {
        var bytes: [UInt8] = []
        for handle in [meta, index, filter] {
            bytes.append(littleEndian: handle.offset)
            bytes.append(littleEndian: handle.length)
        }
        bytes.append(littleEndian: settings.uid)
        bytes.append(littleEndian: UInt32(TableFormat.version))
        bytes.append(littleEndian: blockCount)
        bytes.append(littleEndian: UInt32(0))
        bytes.append(littleEndian: TableFormat.footerMagic)
        bytes.store(littleEndian: TableChecksum.ofFooter(bytes), at: 52)
        try output.append(bytes)
    }
}

extension BlockHandle {
    var encoded: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(varint: offset)
        bytes.append(varint: UInt64(length))
        return bytes
    }

    /// The handle in an index entry's value; nil where the bytes are not one.
    init?(_ bytes: ByteView) {
        var position = 0
        let offset = readVarint(bytes.base, &position, bytes.count)
        let length = readVarint(bytes.base, &position, bytes.count)
        guard position == bytes.count, length >= UInt64(TableFormat.blockHeaderSize), length <= UInt64(UInt32.max)
        else {
            return nil
        }
        self.init(offset: offset, length: UInt32(length))
    }
}

/// The checksums of a table: each covers the file's uid, and a block's its offset too, so that a block that was
/// written to the wrong place, or is a leftover of another file, fails.
enum TableChecksum {
    static func ofBlock(uid: UInt64, offset: UInt64, header: ByteView, payload: ByteView) -> UInt32 {
        let seed = CRC32C.checksum(of: offset, seed: CRC32C.checksum(of: uid))
        let head = CRC32C.checksum(ByteView(header.base, 12).buffer, seed: seed)
        return CRC32C.checksum(payload.buffer, seed: head)
    }

    /// Over the header without its checksum (bytes 12 ..< 16).
    static func ofHeader(_ bytes: [UInt8]) -> UInt32 {
        CRC32C.checksum(Array(bytes[16...]), seed: CRC32C.checksum(Array(bytes[..<12])))
    }

    /// Over the footer without its checksum (bytes 52 ..< 56).
    static func ofFooter(_ bytes: [UInt8]) -> UInt32 {
        CRC32C.checksum(Array(bytes[56...]), seed: CRC32C.checksum(Array(bytes[..<52])))
    }
}

/// Short keys for the index.
enum KeySeparator {
    /// Appends a short key `s` with `last <= s < next`; `last` itself where there is no next.
    static func append(between last: ByteView, _ next: ByteView?, to buffer: GrowBuffer) {
        guard let next else { return buffer.append(last) }
        let common = sharedPrefix(last, next)
        if common < last.count, common < next.count {
            let low = last.base.load(fromByteOffset: common, as: UInt8.self)
            let high = next.base.load(fromByteOffset: common, as: UInt8.self)
            if low + 1 < high {
                buffer.append(ByteView(last.base, common))
                buffer.append(littleEndian: low + 1)
                return
            }
            if next.count > common + 1, common + 1 < last.count {
                return buffer.append(ByteView(next.base, common + 1))
            }
        }
        buffer.append(last)
    }
}
