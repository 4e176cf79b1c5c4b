/// Why bytes could not be read as what they should be.
package enum DecodingError: Error, Equatable, Sendable {
    /// The bytes end at `offset` before the field does.
    case truncated(offset: Int)
    /// A varint at `offset` is longer than ten bytes or outgrows 64 bits.
    case badVarint(offset: Int)
    /// The field at `offset` holds what no encoder writes; `what` names the field and the value.
    case invalid(offset: Int, what: String)
}

/// Reads what the `append` functions of `[UInt8]` wrote, checking every length against what is there: bytes from disk and
/// network never trap.
///
/// SAFETY: it holds a view and no owner; whoever makes one keeps the memory alive while reading.
package struct ByteReader {
    /// All the bytes.
    package let bytes: UnsafeRawBufferPointer
    /// Where the next read starts; 0 … bytes.count.
    @inlinable package var offset: Int { position }

    @usableFromInline var position: Int

    /// Reads `bytes` from `offset` on.
    /// - Precondition: `0 <= offset <= bytes.count`.
    @inlinable
    package init(_ bytes: UnsafeRawBufferPointer, at offset: Int = 0) {
        precondition(offset >= 0 && offset <= bytes.count, "offset \(offset) outside \(bytes.count) bytes")
        self.init(unchecked: bytes, offset)
    }

    @usableFromInline
    init(unchecked bytes: UnsafeRawBufferPointer, _ offset: Int) {
        self.bytes = bytes
        self.position = offset
    }

    /// How many bytes are left.
    @inlinable package var remaining: Int { bytes.count - offset }

    /// Whether nothing is left.
    @inlinable package var isAtEnd: Bool { offset == bytes.count }

    /// The next byte.
    /// - Throws: `truncated` at the end.
    @inlinable
    package mutating func readByte() throws(DecodingError) -> UInt8 {
        guard offset < bytes.count else { throw .truncated(offset: offset) }
        defer { position += 1 }
        return bytes[offset]
    }

    /// The next fixed-width little-endian number.
    /// - Throws: `truncated` where fewer bytes are left.
    // Without these the callers in other modules run the generic code, which looks the number's type up for each number.
    @inlinable
    @_specialize(where T == UInt16)
    @_specialize(where T == UInt32)
    @_specialize(where T == UInt64)
    package mutating func readLittleEndian<T: FixedWidthInteger>(_ type: T.Type = T.self) throws(DecodingError) -> T {
        let size = MemoryLayout<T>.size
        guard remaining >= size else { throw .truncated(offset: offset) }
        defer { position += size }
        return T(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: T.self))
    }

    /// The next LEB128 number.
    /// - Throws: `truncated` or `badVarint`.
    @inlinable
    package mutating func readVarint() throws(DecodingError) -> UInt64 {
        let start = offset
        var result: UInt64 = 0
        var shift: UInt64 = 0
        while offset < bytes.count {
            let byte = bytes[offset]
            position += 1
            if shift == 63 && byte > 1 { throw .badVarint(offset: start) }
            result |= UInt64(byte & 0x7f) << shift
            if byte < 0x80 { return result }
            shift += 7
            if shift > 63 { throw .badVarint(offset: start) }
        }
        throw .truncated(offset: start)
    }

    /// The next `count` bytes, as a view into the same memory.
    /// - Throws: `truncated` where fewer are left or `count` is negative.
    @inlinable
    package mutating func readBytes(_ count: Int) throws(DecodingError) -> UnsafeRawBufferPointer {
        guard count >= 0, count <= remaining else { throw .truncated(offset: offset) }
        defer { position += count }
        return UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset + count)])
    }

    /// A varint length and that many bytes, as a view into the same memory.
    /// - Throws: `truncated` or `badVarint`.
    @inlinable
    package mutating func readLengthPrefixed() throws(DecodingError) -> UnsafeRawBufferPointer {
        let start = offset
        let length = try readVarint()
        guard length <= UInt64(remaining) else { throw .truncated(offset: start) }
        return try readBytes(Int(length))
    }
}
