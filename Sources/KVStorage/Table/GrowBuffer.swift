/// Bytes that grow, on memory of their own: what blocks are built in.
///
/// SAFETY: the pointer leaves only as a view that is used before the next append.
final class GrowBuffer {
    private(set) var base: UnsafeMutableRawPointer
    private(set) var count = 0
    private var capacity: Int

    /// Room for `capacity` bytes; with none, nothing is allocated before the first byte comes.
    init(capacity: Int = 4096) {
        self.capacity = capacity == 0 ? 0 : max(capacity, 64)
        base =
            capacity == 0
            ? UnsafeMutableRawPointer(mutating: noBytes.pointer) : .allocate(byteCount: self.capacity, alignment: 16)
    }

    deinit { if capacity > 0 { base.deallocate() } }

    var view: ByteView { ByteView(UnsafeRawPointer(base), count) }

    func removeAll() { count = 0 }

    func truncate(to count: Int) {
        precondition(count <= self.count, "cut to \(count) of \(self.count) bytes")
        self.count = count
    }

    /// Makes room for `extra` more bytes.
    @inline(__always)
    func reserve(_ extra: Int) {
        if count &+ extra > capacity { grow(count + extra) }
    }

    @inline(__always)
    func append(_ bytes: ByteView) {
        reserve(bytes.count)
        (base + count).copyMemory(from: bytes.base, byteCount: bytes.count)
        count &+= bytes.count
    }

    @inline(__always)
    func append<T: FixedWidthInteger>(littleEndian value: T) {
        reserve(MemoryLayout<T>.size)
        (base + count).storeBytes(of: value.littleEndian, as: T.self)
        count &+= MemoryLayout<T>.size
    }

    @inline(__always)
    func append(varint value: UInt64) {
        reserve(10)
        var rest = value
        while rest >= 0x80 {
            (base + count).storeBytes(of: UInt8(truncatingIfNeeded: rest) | 0x80, as: UInt8.self)
            count &+= 1
            rest >>= 7
        }
        (base + count).storeBytes(of: UInt8(truncatingIfNeeded: rest), as: UInt8.self)
        count &+= 1
    }

    /// Appends `length` bytes that the caller fills in.
    func appendUninitialized(_ length: Int) -> UnsafeMutableRawPointer {
        reserve(length)
        defer { count += length }
        return base + count
    }

    private func grow(_ needed: Int) {
        let larger = max(needed, capacity * 2, 256)
        let memory = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 16)
        memory.copyMemory(from: base, byteCount: count)
        if capacity > 0 { base.deallocate() }
        base = memory
        capacity = larger
    }
}
