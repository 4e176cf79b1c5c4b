import KVBase
import Testing

private let interesting: [UInt64] =
    [0, 1, 0x7f, 0x80, 0x3fff, 0x4000, UInt64(UInt32.max), 1 << 63, UInt64.max] + (0..<64).map { (1 << $0) &- 1 }

@Test func `numbers and byte strings come back as they were written`() throws {
    var bytes: [UInt8] = []
    for number in interesting {
        bytes.append(varint: number)
        bytes.append(littleEndian: number)
        bytes.append(littleEndian: UInt16(truncatingIfNeeded: number))
        bytes.append(littleEndian: Int64(bitPattern: number))
        bytes.append(lengthPrefixed: [UInt8](repeating: 7, count: Int(number & 0xff)))
    }
    try bytes.withUnsafeBytes { (buffer) throws in
        var reader = ByteReader(buffer)
        for number in interesting {
            let field1 = try reader.readVarint()
            #expect(field1 == number)
            let field2 = try reader.readLittleEndian(UInt64.self)
            #expect(field2 == number)
            let field3 = try reader.readLittleEndian(UInt16.self)
            #expect(field3 == UInt16(truncatingIfNeeded: number))
            let field4 = try reader.readLittleEndian(Int64.self)
            #expect(field4 == Int64(bitPattern: number))
            let field5 = try reader.readLengthPrefixed()
            #expect(field5.count == Int(number & 0xff))
        }
        #expect(reader.isAtEnd)
        #expect(reader.remaining == 0)
    }
}

@Test(arguments: interesting)
func `the size of a varint is what writing it takes`(number: UInt64) {
    var bytes: [UInt8] = []
    bytes.append(varint: number)
    #expect(bytes.count == varintSize(number))
}

@Test(arguments: interesting)
func `every truncation of a varint says where it began`(number: UInt64) {
    var bytes: [UInt8] = [9, 9]
    bytes.append(varint: number)
    for count in 2..<bytes.count {
        bytes.withUnsafeBytes { buffer in
            var reader = ByteReader(UnsafeRawBufferPointer(rebasing: buffer[..<count]), at: 2)
            #expect(throws: DecodingError.truncated(offset: 2)) { try reader.readVarint() }
        }
    }
}

@Test func `a varint of more than ten bytes or 64 bits is refused`() {
    let bad: [[UInt8]] = [
        Array(repeating: 0x80, count: 10) + [0],
        Array(repeating: 0xff, count: 9) + [0x02],
        Array(repeating: 0xff, count: 9) + [0x7f],
        Array(repeating: 0xff, count: 9) + [0x81, 0x00],
    ]
    for bytes in bad {
        bytes.withUnsafeBytes { buffer in
            var reader = ByteReader(buffer)
            #expect(throws: DecodingError.badVarint(offset: 0)) { try reader.readVarint() }
        }
    }
}

@Test func `fixed-width numbers and lengths past the end are refused`() {
    let bytes: [UInt8] = [5, 1, 2, 3, 4]
    bytes.withUnsafeBytes { buffer in
        var reader = ByteReader(buffer)
        #expect(throws: DecodingError.truncated(offset: 0)) { try reader.readLittleEndian(UInt64.self) }
        #expect(throws: DecodingError.truncated(offset: 0)) { try reader.readBytes(6) }
        #expect(throws: DecodingError.truncated(offset: 0)) { try reader.readBytes(-1) }
        #expect(throws: DecodingError.truncated(offset: 0)) { try reader.readLengthPrefixed() }
        #expect(throws: DecodingError.truncated(offset: 5)) {
            var end = ByteReader(buffer, at: 5)
            _ = try end.readByte()
        }
    }
}

@Test func `a length near the top of 64 bits does not overflow`() {
    var bytes: [UInt8] = []
    bytes.append(varint: UInt64.max)
    bytes.append(1)
    bytes.withUnsafeBytes { buffer in
        var reader = ByteReader(buffer)
        #expect(throws: DecodingError.truncated(offset: 0)) { try reader.readLengthPrefixed() }
    }
}

@Test func `four bytes can be overwritten in place`() {
    var bytes: [UInt8] = [1, 2, 3, 4, 5, 6]
    bytes.store(littleEndian: 0xdead_beef, at: 1)
    #expect(bytes == [1, 0xef, 0xbe, 0xad, 0xde, 6])
}
