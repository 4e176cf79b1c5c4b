import CLibZstd

/// How a table's blocks are stored.
package enum BlockCodec: Equatable, Sendable {
    /// As they are.
    case none
    /// zstd at this level (−7 … 19); a block that would shrink by less than 12 % is stored as it is.
    case zstd(level: Int)

    var storedLevel: UInt64 {
        switch self {
        case .none: 0
        case .zstd(let level): UInt64(level + 100)
        }
    }
}

/// A zstd context for writing, used by one table builder after another.
final class Compressor {
    private let context: OpaquePointer?
    private var level: Int?
    private var output = GrowBuffer(capacity: 16 * 1024)

    init() { context = ZSTD_createCCtx() }

    deinit { ZSTD_freeCCtx(context) }

    /// `raw` compressed, or nil where that saves too little.
    ///
    /// Good until the next call.
    func compress(_ raw: ByteView, _ codec: BlockCodec) -> ByteView? {
        guard case .zstd(let level) = codec, let context else { return nil }
        if self.level != level {
            ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, Int32(level))
            self.level = level
        }
        output.removeAll()
        let bound = ZSTD_compressBound(raw.count)
        let size = ZSTD_compress2(context, output.appendUninitialized(bound), bound, raw.base, raw.count)
        guard ZSTD_isError(size) == 0, size <= raw.count - raw.count / 8 else { return nil }
        return ByteView(UnsafeRawPointer(output.base), size)
    }
}

/// A zstd context for reading and room for the stored bytes, borrowed from a pool for one block.
// SENDABLE: the pool hands it to one thread at a time.
final class ReadScratch: @unchecked Sendable {
    private let context: OpaquePointer?
    let stored = GrowBuffer(capacity: 16 * 1024)

    init() { context = ZSTD_createDCtx() }

    deinit { ZSTD_freeDCtx(context) }

    /// Decompresses into exactly `count` bytes; false where the bytes do not make that.
    func decompress(_ bytes: ByteView, into memory: UnsafeMutableRawPointer, count: Int) -> Bool {
        guard let context else { return false }
        let size = ZSTD_decompressDCtx(context, memory, count, bytes.base, bytes.count)
        return ZSTD_isError(size) == 0 && size == count
    }
}
