import CCRC32C

/// CRC32C (Castagnoli, RFC 3720 appendix B.4), the checksum of every stored block, record and entry.
package enum CRC32C {
    /// The checksum of `bytes`, continuing from `seed` (the checksum of what came before; 0 to start).
    /// - Complexity: O(bytes), about 10 bytes a nanosecond with the processor's instruction.
    package static func checksum(_ bytes: UnsafeRawBufferPointer, seed: UInt32 = 0) -> UInt32 {
        guard let base = bytes.baseAddress else { return seed }
        return kv_crc32c(seed, base, bytes.count)
    }

    /// The checksum of `bytes`, continuing from `seed` (0 to start).
    package static func checksum(_ bytes: [UInt8], seed: UInt32 = 0) -> UInt32 {
        bytes.withUnsafeBytes { checksum($0, seed: seed) }
    }

    /// The checksum continued over the eight little-endian bytes of `value`.
    package static func checksum(of value: UInt64, seed: UInt32 = 0) -> UInt32 {
        withUnsafeBytes(of: value.littleEndian) { checksum($0, seed: seed) }
    }
}
