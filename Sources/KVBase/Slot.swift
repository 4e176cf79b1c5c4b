/// Where a key belongs: one of 16,384 hash slots, by the function of Redis Cluster (CRC16/XMODEM of the key, or of the part
/// between the first `{` and the next `}` where that part is not empty).
package struct Slot: Hashable, Comparable, Sendable, RawRepresentable, CustomStringConvertible {
    /// How many slots there are.
    package static let count = 16_384

    /// The number, 0 ..< 16,384.
    package let rawValue: UInt16

    /// The slot with this number.
    /// - Precondition: `rawValue < 16,384`.
    package init(rawValue: UInt16) {
        precondition(rawValue < Self.count, "slot \(rawValue) is not below \(Self.count)")
        self.rawValue = rawValue
    }

    /// The slot of a key.
    /// - Complexity: O(key length), a table look-up a byte.
    package init(key: UnsafeRawBufferPointer) {
        self.rawValue = crc16(Self.hashedPart(of: key)) & 0x3fff
    }

    /// The slot of a key.
    package init(key: [UInt8]) {
        self = key.withUnsafeBytes { Slot(key: $0) }
    }

    /// Orders by number.
    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }

    /// The number in decimal.
    package var description: String { String(rawValue) }

    private static func hashedPart(of key: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        guard let open = key.firstIndex(of: UInt8(ascii: "{")) else { return key }
        guard let close = key[(open + 1)...].firstIndex(of: UInt8(ascii: "}")), close > open + 1 else { return key }
        return UnsafeRawBufferPointer(rebasing: key[(open + 1)..<close])
    }
}

private let crc16Table: [UInt16] = (0..<256).map { index in
    var crc = UInt16(index) << 8
    for _ in 0..<8 { crc = crc & 0x8000 != 0 ? (crc << 1) ^ 0x1021 : crc << 1 }
    return crc
}

private func crc16(_ bytes: UnsafeRawBufferPointer) -> UInt16 {
    crc16Table.withUnsafeBufferPointer { table in
        var crc: UInt16 = 0
        for byte in bytes { crc = (crc << 8) ^ table[Int(UInt8(truncatingIfNeeded: crc >> 8) ^ byte)] }
        return crc
    }
}
