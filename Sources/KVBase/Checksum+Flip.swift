extension CRC32C {
    /// Which single bit, turned over, explains a checksum that does not fit: `difference` is the checksum of what is there xor the
    /// one that is stored, and the bit is counted from the first of `count` checked bytes (8 · byte + bit).
    ///
    /// Nil where no single bit of the checked bytes does. A checksum is linear, so a flipped bit changes it by what that bit alone
    /// leaves after all bytes behind it: the eight bits of each byte are followed from the last byte to the first.
    /// - Complexity: O(count), about 10 ns a byte.
    package static func flippedBit(count: Int, difference: UInt32) -> Int? {
        guard difference != 0 else { return nil }
        var left = (0..<8).map { table[1 << $0] }
        return left.withUnsafeMutableBufferPointer { left in
            table.withUnsafeBufferPointer { table in
                var byte = count - 1
                while byte >= 0 {
                    for bit in 0..<8 {
                        let value = left[bit]
                        if value == difference { return byte * 8 + bit }
                        left[bit] = table[Int(value & 0xff)] ^ (value >> 8)
                    }
                    byte -= 1
                }
                return nil
            }
        }
    }

    /// What each byte leaves in an empty register (reflected polynomial 0x1EDC6F41).
    private static let table: [UInt32] = (0..<256).map { index in
        var value = UInt32(index)
        for _ in 0..<8 { value = value & 1 != 0 ? value >> 1 ^ 0x82f6_3b78 : value >> 1 }
        return value
    }
}
