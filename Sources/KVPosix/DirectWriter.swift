import Glibc
import KVEnvironment

/// Writes of a file that go around the system's cache (`O_DIRECT`).
///
/// Such writes begin and end at blocks of `blockBytes` in the file and in memory. What is written is copied into a buffer so
/// aligned, which keeps the last block: the next write, where it begins at the end of the one before, writes that block again with
/// the same bytes at its beginning, as the cache would.
///
/// Confined to the lock of its file. The copy costs a fraction of the one into the cache, which also has to find a page, mark it and
/// write it back.
// SENDABLE: the memory belongs to it alone.
struct DirectWriter: ~Copyable, @unchecked Sendable {
    /// What every disk's block divides.
    static let blockBytes = 4096
    /// How much is written with one call, at most.
    private static let pieceBytes = 1 << 20

    /// `O_DIRECT` in the kernel's interface; C's header keeps it from Swift.
    #if arch(arm64)
    private static let directFlag: Int32 = 0o200000
    #else
    private static let directFlag: Int32 = 0o40000
    #endif

    private let descriptor: Int32
    private let memory: UnsafeMutableRawPointer
    /// Where in the file the buffer's first byte belongs, a multiple of `blockBytes`.
    private var start: UInt64 = 0
    /// How many bytes of the block at `start` are in the buffer.
    private var kept = 0
    private var isLoaded = false

    /// Switches an open file over; nil where its file system cannot.
    init?(_ descriptor: Int32) {
        let flags = fcntl(descriptor, F_GETFL)
        guard flags >= 0, fcntl(descriptor, F_SETFL, flags | Self.directFlag) == 0 else { return nil }
        self.descriptor = descriptor
        memory = .allocate(byteCount: Self.pieceBytes + Self.blockBytes, alignment: Self.blockBytes)
    }

    deinit {
        memory.deallocate()
        let flags = fcntl(descriptor, F_GETFL)
        if flags >= 0 { _ = fcntl(descriptor, F_SETFL, flags & ~Self.directFlag) }
    }

    /// Writes all the bytes; returns the `errno` of what failed, 0 where nothing did.
    mutating func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) -> Int32 {
        if !isLoaded || offset != start + UInt64(kept) {
            let code = load(offset)
            guard code == 0 else { return code }
        }
        var rest = bytes
        while !rest.isEmpty {
            let part = min(rest.count, Self.pieceBytes)
            memory.advanced(by: kept).copyMemory(from: rest.baseAddress ?? UnsafeRawPointer(memory), byteCount: part)
            let end = kept + part
            let padded = (end + Self.blockBytes - 1) & ~(Self.blockBytes - 1)
            memset(memory + end, 0, padded - end)
            let code = writeOut(padded)
            guard code == 0 else {
                // What the disk holds is unknown now.
                isLoaded = false
                return code
            }
            let whole = end & ~(Self.blockBytes - 1)
            kept = end - whole
            start += UInt64(whole)
            if whole > 0 { memory.copyMemory(from: memory + whole, byteCount: kept) }
            rest = UnsafeRawBufferPointer(rebasing: rest[part...])
        }
        return 0
    }

    /// Takes what stands in the file before `offset`, back to the beginning of its block.
    private mutating func load(_ offset: UInt64) -> Int32 {
        kept = Int(offset % UInt64(Self.blockBytes))
        start = offset - UInt64(kept)
        isLoaded = true
        guard kept > 0 else { return 0 }
        while true {
            let count = pread(descriptor, memory, Self.blockBytes, off_t(start))
            if count < 0 {
                if errno == EINTR { continue }
                isLoaded = false
                return errno
            }
            // The file may end before: a gap reads as zeros.
            if count < kept { memset(memory + count, 0, kept - count) }
            return 0
        }
    }

    private func writeOut(_ count: Int) -> Int32 {
        var done = 0
        while done < count {
            let written = pwrite(descriptor, memory + done, count - done, off_t(start) + off_t(done))
            if written < 0 {
                if errno == EINTR { continue }
                return errno
            }
            // A write cut short may have ended within a block, from which the next cannot begin.
            done += written & ~(Self.blockBytes - 1)
            if written < Self.blockBytes { return EIO }
        }
        return 0
    }
}
