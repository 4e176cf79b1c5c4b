import KVBase

/// Frames records into chunks, in one buffer that is written at once and used again.
///
/// A record is put in pieces of any size: `begin(count)`, `put` until the count is reached, `end`. Each byte is copied once and
/// read once more for its checksum while it is still in the cache.
///
/// SAFETY: every copy is bounded by `chunkLeft`, and `openChunk` reserves the whole chunk before it is filled.
final class LogFrames {
    /// How many bytes wait.
    private(set) var count = 0
    private var base: UnsafeMutableRawPointer
    private var capacity: Int
    /// Where in its block of the file the next byte goes.
    private var blockOffset: Int

    private var number: UInt32 = 0
    private var synced: UInt64 = 0
    private var recordLeft = 0
    private var isFirst = true
    private var isOpen = false
    private var chunkStart = 0
    private var chunkLeft = 0

    /// The buffer goes back to this size when a long record made it grow.
    private static let capacityKept = 1 << 20

    init(fileOffset: UInt64) {
        capacity = 64 * 1024
        base = .allocate(byteCount: capacity, alignment: 16)
        blockOffset = Int(fileOffset % UInt64(LogFormat.blockBytes))
    }

    deinit { base.deallocate() }

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }

    /// Forgets the bytes, which are in the file now.
    func removeAll() {
        precondition(!isOpen, "a record is under way")
        count = 0
        guard capacity > Self.capacityKept else { return }
        base.deallocate()
        capacity = Self.capacityKept
        base = .allocate(byteCount: capacity, alignment: 16)
    }

    /// Starts again at the beginning of another file.
    func restart() {
        removeAll()
        blockOffset = 0
    }

    /// Goes on after `count` bytes that are in the file already.
    func skip(_ count: Int) {
        precondition(self.count == 0, "bytes wait")
        blockOffset = (blockOffset + count) % LogFormat.blockBytes
    }

    /// Begins a record of `count` bytes.
    func begin(_ count: Int, number: UInt32, synced: UInt64) {
        precondition(!isOpen, "a record is under way")
        self.number = number
        self.synced = synced
        recordLeft = count
        isFirst = true
        isOpen = true
        openChunk()
    }

    func put(_ bytes: UnsafeRawBufferPointer) {
        var rest = bytes
        while !rest.isEmpty {
            if chunkLeft == 0 { openChunk() }
            let part = min(rest.count, chunkLeft)
            UnsafeMutableRawBufferPointer(start: base + count, count: part)
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: rest[..<part]))
            advance(part)
            rest = UnsafeRawBufferPointer(rebasing: rest[part...])
        }
    }

    @inline(__always)
    func put(byte: UInt8) {
        if chunkLeft == 0 { openChunk() }
        base.storeBytes(of: byte, toByteOffset: count, as: UInt8.self)
        advance(1)
    }

    func end() {
        precondition(
            isOpen && recordLeft == 0 && chunkLeft == 0,
            "\(recordLeft + chunkLeft) bytes of the record are missing"
        )
        isOpen = false
    }

    /// Puts a chunk that holds no record: a note of what is durable, or the end of the file.
    func putEmptyChunk(_ position: LogFormat.Position, number: UInt32, synced: UInt64) {
        precondition(!isOpen, "a record is under way")
        self.number = number
        self.synced = synced
        padIfNeeded()
        reserve(LogFormat.chunkHeaderBytes)
        putHeader(position, length: 0)
        sealChunk()
    }

    /// How many bytes `putEmptyChunk` would add now.
    var emptyChunkBytes: Int {
        let left = LogFormat.blockBytes - blockOffset
        return LogFormat.chunkHeaderBytes + (left < LogFormat.chunkHeaderBytes ? left : 0)
    }

    /// A chunk's header never crosses the end of a block: zeros fill what is too short for one.
    private func padIfNeeded() {
        let left = LogFormat.blockBytes - blockOffset
        guard left < LogFormat.chunkHeaderBytes else { return }
        reserve(left)
        (base + count).initializeMemory(as: UInt8.self, repeating: 0, count: left)
        count += left
        blockOffset = 0
    }

    private func openChunk() {
        padIfNeeded()
        let room = LogFormat.blockBytes - blockOffset - LogFormat.chunkHeaderBytes
        let length = min(room, recordLeft)
        reserve(LogFormat.chunkHeaderBytes + length)
        let isLast = length == recordLeft
        let position: LogFormat.Position = isFirst ? (isLast ? .full : .first) : (isLast ? .last : .middle)
        isFirst = false
        chunkLeft = length
        recordLeft -= length
        putHeader(position, length: length)
        // Where a block has room for a header only, its chunk is empty and the record goes on in the next.
        if length == 0 { sealChunk() }
    }

    private func putHeader(_ position: LogFormat.Position, length: Int) {
        chunkStart = count
        let header = base + count
        header.storeBytes(of: UInt16(length).littleEndian, toByteOffset: LogFormat.lengthOffset, as: UInt16.self)
        header.storeBytes(of: position.rawValue, toByteOffset: LogFormat.positionOffset, as: UInt8.self)
        header.storeBytes(of: 0, toByteOffset: LogFormat.flagsOffset, as: UInt8.self)
        header.storeBytes(of: number.littleEndian, toByteOffset: LogFormat.numberOffset, as: UInt32.self)
        header.storeBytes(of: synced.littleEndian, toByteOffset: LogFormat.syncedOffset, as: UInt64.self)
        count += LogFormat.chunkHeaderBytes
        blockOffset += LogFormat.chunkHeaderBytes
    }

    @inline(__always)
    private func advance(_ part: Int) {
        count += part
        blockOffset += part
        chunkLeft -= part
        if chunkLeft == 0 { sealChunk() }
    }

    private func sealChunk() {
        let start = chunkStart + LogFormat.lengthOffset
        let checksum = CRC32C.checksum(UnsafeRawBufferPointer(start: base + start, count: count - start))
        base.storeBytes(of: checksum.littleEndian, toByteOffset: chunkStart, as: UInt32.self)
        if blockOffset == LogFormat.blockBytes { blockOffset = 0 }
    }

    private func reserve(_ more: Int) {
        guard count + more > capacity else { return }
        var larger = capacity * 2
        while larger < count + more { larger *= 2 }
        let moved = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 16)
        moved.copyMemory(from: base, byteCount: count)
        base.deallocate()
        base = moved
        capacity = larger
    }

    /// The most bytes that a record of `count` bytes takes in the file, wherever it starts.
    static func sizeMax(_ count: Int) -> Int {
        let perBlock = LogFormat.blockBytes - LogFormat.chunkHeaderBytes
        // A chunk for each block it fills, two more at its ends, and the zeros that end a block.
        return count + (count / perBlock + 2) * LogFormat.chunkHeaderBytes + LogFormat.chunkHeaderBytes
    }
}
