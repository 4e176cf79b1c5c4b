// Little-endian fixed-width numbers and LEB128 varints, appended to a byte array: the only encoder of the project.

extension [UInt8] {
    /// Appends the little-endian bytes of a fixed-width number.
    @inlinable
    package mutating func append<T: FixedWidthInteger>(littleEndian value: T) {
        Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
    }

    /// Appends an unsigned LEB128 number: seven bits a byte, low bits first, 1 to 10 bytes.
    @inlinable
    package mutating func append(varint value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        append(UInt8(truncatingIfNeeded: rest))
    }

    /// Appends a varint length and then the bytes.
    @inlinable
    package mutating func append(lengthPrefixed bytes: UnsafeRawBufferPointer) {
        append(varint: UInt64(bytes.count))
        append(contentsOf: bytes)
    }

    /// Appends a varint length and then the bytes.
    @inlinable
    package mutating func append(lengthPrefixed bytes: [UInt8]) {
        append(varint: UInt64(bytes.count))
        append(contentsOf: bytes)
    }

    /// Overwrites four bytes at `offset` with a little-endian number.
    /// - Precondition: `offset + 4 <= count`.
    @inlinable
    package mutating func store(littleEndian value: UInt32, at offset: Int) {
        precondition(offset >= 0 && offset + 4 <= count, "offset \(offset) outside \(count) bytes")
        withUnsafeMutableBytes { $0.storeBytes(of: value.littleEndian, toByteOffset: offset, as: UInt32.self) }
    }
}

/// How many bytes `value` takes as a varint, 1 to 10.
@inlinable
package func varintSize(_ value: UInt64) -> Int {
    (64 - (value | 1).leadingZeroBitCount + 6) / 7
}
