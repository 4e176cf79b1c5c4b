import KVBase

/// The raw bytes of a block in memory: shared by the cache and whoever reads it now; freed with the last reference,
/// which is what pins it.
///
/// The bytes lie in the object itself: one allocation, and whoever counts a reference has their first line in the cache.
///
/// SAFETY: the bytes are written once, by `make`, before anybody else has the block; views live while the holder holds
/// the block.
// SENDABLE: immutable after `make`.
struct Block: @unchecked Sendable {
    /// The object: how many bytes, then the bytes.
    final class Storage: ManagedBuffer<Int, UInt8> {}

    /// What an object, its allocation and its entry in the cache take beside the bytes.
    private static let overhead = 96

    let storage: Storage

    @inline(__always)
    init(_ storage: Storage) { self.storage = storage }

    /// A block of `count` bytes that `fill` writes, all of them.
    static func make<E: Error>(
        count: Int,
        _ fill: (UnsafeMutableRawPointer) throws(E) -> Void
    ) throws(E) -> Block {
        let block = Block(unsafeDowncast(Storage.create(minimumCapacity: count) { _ in count }, to: Storage.self))
        try fill(UnsafeMutableRawPointer(mutating: block.base))
        return block
    }

    @inline(__always)
    var base: UnsafeRawPointer { storage.withUnsafeMutablePointerToElements { UnsafeRawPointer($0) } }

    @inline(__always)
    var count: Int { storage.header }

    /// What it counts for in the cache: its allocation and its entry.
    var charge: Int { count + Self.overhead }

    @inline(__always)
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
