import KVBase
package import KVEnvironment

/// What can be said of a chunk that does not read.
package struct ChunkDiagnosis: Equatable, Sendable {
    /// Where the chunk should stand in the file.
    package var offset: UInt64
    /// Its checksum as stored, and that of the bytes there; nil where the length does not fit the block.
    package var checksums: (stored: UInt32, found: UInt32)?
    /// Where the next chunk that begins a record stands; nil where none follows.
    package var resumesAt: UInt64?
    /// The byte in the file whose bit `flippedBit` explains everything; nil where no single bit does.
    package var flippedByte: UInt64?
    /// The bit of that byte, 0 the lowest.
    package var flippedBit: Int?

    package static func == (a: Self, b: Self) -> Bool {
        a.offset == b.offset && a.checksums?.stored == b.checksums?.stored && a.checksums?.found == b.checksums?.found
            && a.resumesAt == b.resumesAt && a.flippedByte == b.flippedByte && a.flippedBit == b.flippedBit
    }
}

extension LogInspection {
    /// Says what is wrong with the chunk at `offset` of a file whose number is `number`.
    /// - Throws: where the file cannot be read.
    package static func diagnose(
        _ fileSystem: any FileSystem,
        path: String,
        number: UInt32,
        offset: UInt64
    ) throws(FileError) -> ChunkDiagnosis {
        var result = ChunkDiagnosis(offset: offset)
        let file = try fileSystem.open(path, .read)
        defer { file.close() }
        let reader = try LogSegmentReader(file, number: number)
        // The file's own start may be what is lost: then no claim is too great.
        reader.start = 1 << 62
        result.resumesAt = try reader.resume(from: offset + 1)
        let blockEnd = (offset / UInt64(LogFormat.blockBytes) + 1) * UInt64(LogFormat.blockBytes)
        var chunk = [UInt8](repeating: 0, count: Int(blockEnd - offset))
        var count = 0
        while count < chunk.count {
            let done = count
            let more = try chunk.withUnsafeMutableBufferPointer { (bytes) throws(FileError) in
                let rest = UnsafeMutableRawBufferPointer(UnsafeMutableBufferPointer(rebasing: bytes[done...]))
                return try file.read(into: rest, at: offset + UInt64(done))
            }
            if more == 0 { break }
            count += more
        }
        chunk.removeLast(chunk.count - count)
        guard count >= LogFormat.chunkHeaderBytes else { return result }
        result.checksums = checksums(chunk)
        if let bit = flippedBit(chunk, number: number) {
            result.flippedByte = offset + UInt64(bit / 8)
            result.flippedBit = bit % 8
        }
        return result
    }

    /// The bit of `chunk` that, turned over, makes it valid.
    private static func flippedBit(_ chunk: [UInt8], number: UInt32) -> Int? {
        // A flip in the length moves the end of what is checked, so each of its bits is tried; the checksum's arithmetic finds others.
        let lengthBits = (0..<16).map { LogFormat.lengthOffset * 8 + $0 }
        for bit in lengthBits where holds(flipping(chunk, bit), number) { return bit }
        guard let (stored, found) = checksums(chunk) else { return nil }
        let difference = stored ^ found
        if difference.nonzeroBitCount == 1 {
            let bit = difference.trailingZeroBitCount
            return holds(flipping(chunk, bit), number) ? bit : nil
        }
        let checked = LogFormat.chunkHeaderBytes - LogFormat.lengthOffset + length(chunk)
        guard let place = CRC32C.flippedBit(count: checked, difference: difference) else { return nil }
        let bit = place + LogFormat.lengthOffset * 8
        return holds(flipping(chunk, bit), number) ? bit : nil
    }

    private static func flipping(_ bytes: [UInt8], _ bit: Int) -> [UInt8] {
        var copy = bytes
        copy[bit / 8] ^= 1 << UInt8(bit % 8)
        return copy
    }

    private static func length(_ chunk: [UInt8]) -> Int {
        Int(chunk[LogFormat.lengthOffset]) | Int(chunk[LogFormat.lengthOffset + 1]) << 8
    }

    private static func field(_ chunk: [UInt8], at offset: Int) -> UInt32 {
        (0..<4).reduce(0) { $0 | UInt32(chunk[offset + $1]) << UInt32($1 * 8) }
    }

    private static func checksums(_ chunk: [UInt8]) -> (stored: UInt32, found: UInt32)? {
        let end = LogFormat.chunkHeaderBytes + length(chunk)
        guard end <= chunk.count else { return nil }
        return (
            field(chunk, at: LogFormat.checksumOffset),
            CRC32C.checksum(Array(chunk[LogFormat.lengthOffset..<end]))
        )
    }

    /// Whether the bytes begin with a valid chunk of file `number`.
    private static func holds(_ chunk: [UInt8], _ number: UInt32) -> Bool {
        guard let (stored, found) = checksums(chunk), stored == found else { return false }
        let position = LogFormat.Position(rawValue: chunk[LogFormat.positionOffset])
        guard let position, position != .zeroed else { return false }
        return chunk[LogFormat.flagsOffset] == 0
            && (number == 0 || field(chunk, at: LogFormat.numberOffset) == number)
    }
}
