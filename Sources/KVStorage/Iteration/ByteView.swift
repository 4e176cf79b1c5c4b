/// A view over bytes that somebody else keeps alive: a base that is never nil, and a count.
///
/// Trivially copyable, so that passing one costs neither a retain nor a check.
///
/// SAFETY: whoever makes one holds the owner (a memtable's arena, a pinned block, a caller's buffer) while it is
/// used.
struct ByteView {
    let base: UnsafeRawPointer
    let count: Int

    @inline(__always)
    init(_ base: UnsafeRawPointer, _ count: Int) {
        self.base = base
        self.count = count
    }

    @inline(__always)
    init(_ bytes: UnsafeRawBufferPointer) {
        self.base = bytes.baseAddress ?? noBytes.pointer
        self.count = bytes.count
    }

    @inline(__always)
    var buffer: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }

    var array: [UInt8] { [UInt8](buffer) }
}

/// What the base of an empty view points at.
let noBytes = NoBytes()

// SENDABLE: one allocation that is never written nor freed.
struct NoBytes: @unchecked Sendable {
    let pointer = UnsafeRawPointer(UnsafeMutableRawPointer.allocate(byteCount: 8, alignment: 8))
}

extension [UInt8] {
    /// Calls `body` with a view over the array's bytes.
    @inline(__always)
    func withView<R, E: Error>(_ body: (ByteView) throws(E) -> R) throws(E) -> R {
        try withUnsafeBufferPointer { (buffer) throws(E) in try body(ByteView(UnsafeRawBufferPointer(buffer))) }
    }
}

/// Orders two byte strings as RocksDB and LevelDB do: unsigned bytes, a prefix first.
///
/// Negative, zero or positive.
///
/// Eight bytes a step: 2.5 ns for 32 bytes where `memcmp` takes 5 (storage page of the design).
@inline(__always)
func compareBytes(_ a: ByteView, _ b: ByteView) -> Int {
    let shared = a.count < b.count ? a.count : b.count
    var offset = 0
    while offset &+ 8 <= shared {
        let x = a.base.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
        let y = b.base.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
        if x != y { return x.bigEndian < y.bigEndian ? -1 : 1 }
        offset &+= 8
    }
    while offset < shared {
        let x = a.base.load(fromByteOffset: offset, as: UInt8.self)
        let y = b.base.load(fromByteOffset: offset, as: UInt8.self)
        if x != y { return x < y ? -1 : 1 }
        offset &+= 1
    }
    return a.count &- b.count
}

/// How many leading bytes two byte strings share.
@inline(__always)
func sharedPrefix(_ a: ByteView, _ b: ByteView) -> Int {
    let limit = a.count < b.count ? a.count : b.count
    var offset = 0
    while offset &+ 8 <= limit {
        let x = a.base.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
        let y = b.base.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
        if x != y { return offset &+ ((x ^ y).littleEndian.trailingZeroBitCount >> 3) }
        offset &+= 8
    }
    while offset < limit,
        a.base.load(fromByteOffset: offset, as: UInt8.self) == b.base.load(fromByteOffset: offset, as: UInt8.self)
    {
        offset &+= 1
    }
    return offset
}

/// Compares two keys that are kept as arrays (file bounds, options: never in a loop over entries).
func compareKeys(_ a: [UInt8], _ b: [UInt8]) -> Int {
    a.withView { x in b.withView { y in compareBytes(x, y) } }
}

/// A 64-bit hash of a key: multiply and fold, eight bytes a step.
///
/// The same for every table, so that a read hashes once.
@inline(__always)
func hashKey(_ key: ByteView) -> UInt64 {
    var state: UInt64 = 0x9e37_79b9_7f4a_7c15 ^ (UInt64(truncatingIfNeeded: key.count) &* 0xd6e8_feb8_6659_fd93)
    var offset = 0
    while offset &+ 8 <= key.count {
        state = foldedProduct(
            state ^ UInt64(littleEndian: key.base.loadUnaligned(fromByteOffset: offset, as: UInt64.self)),
            0xa076_1d64_78bd_642f
        )
        offset &+= 8
    }
    var tail: UInt64 = 0
    var shift: UInt64 = 0
    while offset < key.count {
        tail |= UInt64(key.base.load(fromByteOffset: offset, as: UInt8.self)) << shift
        shift &+= 8
        offset &+= 1
    }
    return foldedProduct(foldedProduct(state ^ tail, 0xe703_7ed1_a0b4_28db), 0x8ebc_6af0_9c88_c6e3)
}

@inline(__always)
private func foldedProduct(_ a: UInt64, _ b: UInt64) -> UInt64 {
    let product = a.multipliedFullWidth(by: b)
    return product.high ^ product.low
}
