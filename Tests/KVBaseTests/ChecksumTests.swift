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
