import CCRC32C
import KVBase
import Testing

/// RFC 3720, appendix B.4, and the usual check value of the polynomial.
private let vectors: [([UInt8], UInt32)] = [
    (Array(repeating: 0, count: 32), 0x8a91_36aa),
    (Array(repeating: 0xff, count: 32), 0x62a8_ab43),
    (Array(0..<32), 0x46dd_794e),
    (Array((0..<32).reversed()), 0x113f_db5c),
    (Array("123456789".utf8), 0xe306_9283),
    ([], 0),
]

@Test func `known checksums are met`() {
    for (bytes, checksum) in vectors { #expect(CRC32C.checksum(bytes) == checksum) }
}

@Test func `a checksum continues over pieces`() {
    let bytes = (0..<1000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    let whole = CRC32C.checksum(bytes)
    for cut in stride(from: 0, through: bytes.count, by: 37) {
        let first = CRC32C.checksum(Array(bytes[..<cut]))
        #expect(CRC32C.checksum(Array(bytes[cut...]), seed: first) == whole)
    }
}

@Test func `the checksum of a number is that of its little-endian bytes`() {
    var bytes: [UInt8] = []
    bytes.append(littleEndian: UInt64(0x0123_4567_89ab_cdef))
    #expect(CRC32C.checksum(of: 0x0123_4567_89ab_cdef, seed: 7) == CRC32C.checksum(bytes, seed: 7))
}

@Test func `the processor's checksum is the table's for every length and alignment`() {
    var state: UInt64 = 0x9e37_79b9_7f4a_7c15
    let bytes = (0..<20_000).map { _ in
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return UInt8(truncatingIfNeeded: state)
    }
    // Around the lengths from which three stretches are summed side by side, once and more often.
    let lengths = Array(0..<1200) + [3071, 3072, 3073, 3455, 3456, 3457, 6144, 6527, 6528, 6535, 9999, 19_900]
    bytes.withUnsafeBytes { bytes in
        for (number, length) in lengths.enumerated() {
            let part = UnsafeRawBufferPointer(rebasing: bytes[(number % 13)..<(number % 13 + length)])
            let seed = UInt32(truncatingIfNeeded: number &* 2_654_435_761)
            let byTable = part.baseAddress.map { kv_crc32c_by_table(seed, $0, length) }
            #expect(CRC32C.checksum(part, seed: seed) == byTable, "\(length) bytes")
        }
    }
}

struct FlippedBitTests {
    @Test(arguments: [1, 2, 17, 300])
    func `every single flipped bit is found by the checksum alone`(_ count: Int) {
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 5) }
        let stored = CRC32C.checksum(bytes, seed: 77)
        for bit in 0..<(count * 8) {
            var flipped = bytes
            flipped[bit / 8] ^= 1 << UInt8(bit % 8)
            let difference = CRC32C.checksum(flipped, seed: 77) ^ stored
            #expect(CRC32C.flippedBit(count: count, difference: difference) == bit)
        }
        #expect(CRC32C.flippedBit(count: count, difference: 0) == nil)
    }
}
