import KVBase
import KVEnvironment

/// Finds the blocks of a table from the front to the back, without its index.
///
/// At each place: a block's header that makes sense, whose checksum, seeded with uid and place, fits its payload. Behind one
/// that does, the next; elsewhere every offset is tried.
struct BlockScanner {
    private let file: any File
    private let uid: UInt64
    /// Where the blocks end at the latest.
    private let end: UInt64
    private var offset = UInt64(TableFormat.headerSize)
    private var window: [UInt8] = []
    private var windowStart: UInt64 = 0

    private static let windowBytes = 1 << 20

    init(file: any File, uid: UInt64, size: UInt64) {
        self.file = file
        self.uid = uid
        end = size - UInt64(TableFormat.footerSize)
    }

    /// The next block; nil where none follows or the disk cannot be read.
    mutating func next() -> (InspectedBlock.Kind, BlockHandle)? {
        while offset + UInt64(TableFormat.blockHeaderSize) <= end {
            if let header = bytes(at: offset, TableFormat.blockHeaderSize), let found = block(header) {
                offset += UInt64(found.1.length)
                return found
            }
            offset += 1
        }
        return nil
    }

    private mutating func block(_ header: [UInt8]) -> (InspectedBlock.Kind, BlockHandle)? {
        guard let kind = InspectedBlock.Kind(rawValue: header[0]), header[1] <= TableFormat.Codec.zstd,
            header[2] == 0, header[3] == 0
        else { return nil }
        let stored = (0..<4).reduce(UInt64(0)) { $0 | UInt64(header[4 + $1]) << UInt64($1 * 8) }
        let length = stored + UInt64(TableFormat.blockHeaderSize)
        guard length <= end - offset, length <= UInt64(UInt32.max), let all = bytes(at: offset, Int(length)) else {
            return nil
        }
        let checksum = all.withView { bytes in
            TableChecksum.ofBlock(
                uid: uid,
                offset: offset,
                header: bytes,
                payload: ByteView(bytes.base + TableFormat.blockHeaderSize, Int(stored))
            )
        }
        guard checksum == (0..<4).reduce(UInt32(0), { $0 | UInt32(header[12 + $1]) << UInt32($1 * 8) }) else {
            return nil
        }
        return (kind, BlockHandle(offset: offset, length: UInt32(length)))
    }

    private mutating func bytes(at place: UInt64, _ count: Int) -> [UInt8]? {
        if place < windowStart || place + UInt64(count) > windowStart + UInt64(window.count) {
            var fresh = [UInt8](repeating: 0, count: max(Self.windowBytes, count))
            var done = 0
            while done < fresh.count {
                let start = done
                // What cannot be read is no block.
                let more = try? fresh.withUnsafeMutableBytes { buffer in
                    try file.read(
                        into: UnsafeMutableRawBufferPointer(rebasing: buffer[start...]),
                        at: place + UInt64(start)
                    )
                }
                guard let more, more > 0 else { break }
                done += more
            }
            fresh.removeLast(fresh.count - done)
            window = fresh
            windowStart = place
        }
        let from = Int(place - windowStart)
        guard from + count <= window.count else { return nil }
        return Array(window[from..<(from + count)])
    }
}

/// A table's filter, held for asking.
struct BloomView {
    private let raw: Block
    private let lines: UInt32
    private let probes: Int

    init?(_ raw: Block) {
        guard raw.count >= BloomFilter.trailerBytes else { return nil }
        let trailer = raw.count - BloomFilter.trailerBytes
        lines = UInt32(littleEndian: raw.base.loadUnaligned(fromByteOffset: trailer, as: UInt32.self))
        probes = Int(UInt32(littleEndian: raw.base.loadUnaligned(fromByteOffset: trailer + 4, as: UInt32.self)))
        guard Int(lines) * BloomFilter.lineBytes == trailer, lines > 0, probes <= 64 else { return nil }
        self.raw = raw
    }

    func mayContain(_ hash: UInt64) -> Bool { BloomFilter.mayContain(raw.base, lines, probes, hash) }

    /// The share of keys that are not in the table and pass: asked of so many hashes drawn from a fixed seed.
    func falsePositiveRate(samples: Int = 20_000) -> Double {
        var state: UInt64 = 0x1234_5678_9abc_def1
        var passed = 0
        for _ in 0..<samples {
            // SplitMix64: any stream that has nothing to do with keys will do.
            state &+= 0x9e37_79b9_7f4a_7c15
            var mixed = state
            mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
            mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
            if mayContain(mixed ^ mixed >> 31) { passed += 1 }
        }
        return Double(passed) / Double(samples)
    }
}
