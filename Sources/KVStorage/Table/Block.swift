import KVBase

/// The raw bytes of a block in memory: shared by the cache and whoever reads it now; freed with the last reference,
/// which is what pins it.
///
/// SAFETY: the bytes are written once, before the initializer returns, and freed in `deinit`; views live while the
/// holder holds the block.
// SENDABLE: immutable after the initializer.
final class Block: @unchecked Sendable {
    private let memory: UnsafeMutableRawPointer
    let base: UnsafeRawPointer
    let count: Int
    /// What it counts for in the cache: its allocation and its entry.
    let charge: Int

    /// Takes over `memory`, an allocation of `allocated` bytes; the block's bytes start at `offset`.
    init(taking memory: UnsafeMutableRawPointer, allocated: Int, offset: Int, count: Int) {
        precondition(offset >= 0 && count >= 0 && offset + count <= allocated, "block outside its memory")
        self.memory = memory
        base = UnsafeRawPointer(memory + offset)
        self.count = count
        charge = allocated + 96
    }

    deinit { memory.deallocate() }

    var view: ByteView { ByteView(base, count) }
}

/// The parts of a block of entries: where entries end and restarts begin.
///
/// Trivially copyable.
struct BlockLayout {
    let base: UnsafeRawPointer
    /// Where the entries end.
    let limit: Int
    let restartCount: Int

    /// The layout of `bytes`, or nil where they are not a block of entries.
    @inline(__always)
    init?(_ bytes: ByteView) {
        guard bytes.count >= 2 * TableFormat.restartSize else { return nil }
        let count = Int(
            UInt32(littleEndian: bytes.base.loadUnaligned(fromByteOffset: bytes.count &- 4, as: UInt32.self))
        )
        guard count >= 1, count <= (bytes.count &- 4) / TableFormat.restartSize else { return nil }
        base = bytes.base
        restartCount = count
        limit = bytes.count &- 4 &- count &* TableFormat.restartSize
    }

    /// Where restart `index` points; a corrupt one is past `limit`, which entry parsing refuses.
    @inline(__always)
    func restart(_ index: Int) -> Int {
        Int(UInt32(littleEndian: base.loadUnaligned(fromByteOffset: limit &+ index &* 4, as: UInt32.self)))
    }
}

/// One parsed entry.
struct BlockEntry {
    var shared = 0
    var unshared = 0
    var keyOffset = 0
    var valueOffset = 0
    var valueLength = 0
    var tag: UInt64 = 0
    /// Where the next entry starts.
    var end = 0

    /// Parses the entry at `position`; false where it does not lie whole before `limit`.
    @inline(__always)
    mutating func parse(_ base: UnsafeRawPointer, _ start: Int, _ limit: Int) -> Bool {
        var position = start
        let shared = readVarint(base, &position, limit)
        let unshared = readVarint(base, &position, limit)
        let valueLength = readVarint(base, &position, limit)
        tag = readVarint(base, &position, limit)
        guard position <= limit else { return false }
        let left = UInt64(truncatingIfNeeded: limit &- position)
        guard unshared <= left, valueLength <= left &- unshared, shared <= UInt64(Limits.keyBytesMax) &* 2 else {
            return false
        }
        self.shared = Int(truncatingIfNeeded: shared)
        self.unshared = Int(truncatingIfNeeded: unshared)
        self.valueLength = Int(truncatingIfNeeded: valueLength)
        keyOffset = position
        valueOffset = position &+ self.unshared
        end = valueOffset &+ self.valueLength
        return true
    }
}
