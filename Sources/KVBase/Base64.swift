/// RFC 4648: the standard alphabet with padding for values, the URL-safe one without for cursors.
package enum Base64 {
    private static let standard = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    private static let urlSafe = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    /// The bytes in the standard alphabet, padded.
    package static func encode(_ bytes: [UInt8]) -> String {
        encode(bytes, standard, isPadded: true)
    }

    /// The bytes in the URL-safe alphabet, not padded.
    package static func encodeURLSafe(_ bytes: [UInt8]) -> String {
        encode(bytes, urlSafe, isPadded: false)
    }

    /// What `encodeURLSafe` wrote, or nil where `text` is not that.
    package static func decodeURLSafe(_ text: some StringProtocol) -> [UInt8]? {
        var bytes: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        for character in text.utf8 {
            guard let value = urlSafe.firstIndex(of: character) else { return nil }
            bits = bits << 6 | UInt32(value)
            count += 6
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
            bits &= 0xff
        }
        return count < 6 && bits & ((1 << UInt32(count)) - 1) == 0 ? bytes : nil
    }

    /// The bytes of `text` in the standard alphabet, padded or not; nil where it is not that.
    package static func decode(_ text: String) -> [UInt8]? {
        let body = text.utf8.reversed().drop { $0 == UInt8(ascii: "=") }.reversed()
        let padding = text.utf8.count - body.count
        guard padding <= 2, padding == 0 || text.utf8.count % 4 == 0 else { return nil }
        return decode(body, digits)
    }

    private static let digits: [UInt8: UInt32] = Dictionary(
        uniqueKeysWithValues: standard.enumerated().map { ($0.element, UInt32($0.offset)) }
    )

    private static func decode(_ text: some Sequence<UInt8>, _ digits: [UInt8: UInt32]) -> [UInt8]? {
        var bytes: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        for character in text {
            guard let value = digits[character] else { return nil }
            bits = bits << 6 | value
            count += 6
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
            bits &= 0xff
        }
        return count < 6 && bits & ((1 << UInt32(count)) - 1) == 0 ? bytes : nil
    }

    private static func encode(_ bytes: [UInt8], _ alphabet: [UInt8], isPadded: Bool) -> String {
        var result: [UInt8] = []
        result.reserveCapacity((bytes.count + 2) / 3 * 4)
        var index = 0
        while index < bytes.count {
            let left = min(3, bytes.count - index)
            var bits = UInt32(bytes[index]) << 16
            if left > 1 { bits |= UInt32(bytes[index + 1]) << 8 }
            if left > 2 { bits |= UInt32(bytes[index + 2]) }
            for place in 0...left { result.append(alphabet[Int(bits >> UInt32(18 - 6 * place)) & 63]) }
            if isPadded, left < 3 { result.append(contentsOf: repeatElement(UInt8(ascii: "="), count: 3 - left)) }
            index += 3
        }
        return String(decoding: result, as: UTF8.self)
    }
}
