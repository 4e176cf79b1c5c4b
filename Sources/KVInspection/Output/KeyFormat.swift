/// How keys are typed and shown.
package enum KeyFormat: String, CaseIterable, Sendable {
    case utf8
    case hex
    case base64

    /// The bytes that a typed key stands for; in `utf8`, `\xNN` stands for a byte and `\\` for a backslash, as `show` writes them.
    /// - Throws: `usage` where `text` is not of this format.
    package func parse(_ text: String) throws(ToolFailure) -> [UInt8] {
        let bytes: [UInt8]?
        switch self {
        case .utf8: bytes = ByteText.unescaped(Array(text.utf8))
        case .hex: bytes = ByteText.fromHexadecimal(Array(text.utf8))
        case .base64: bytes = ByteText.fromBase64(Array(text.utf8))
        }
        guard let bytes else { throw ToolFailure(.usage, "'\(text)' is no key in format \(rawValue)") }
        return bytes
    }

    /// Bytes as this format shows them; in `utf8`, what is not printable is escaped.
    package func show(_ bytes: [UInt8]) -> String {
        switch self {
        case .utf8: ByteText.escaped(bytes)
        case .hex: ByteText.hexadecimal(bytes)
        case .base64: ByteText.base64(bytes)
        }
    }
}

/// Bytes as text, and back.
package enum ByteText {
    private static let digits = Array("0123456789abcdef".utf8)
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    /// Two digits a byte.
    package static func hexadecimal(_ bytes: [UInt8]) -> String {
        String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    /// Text as it is where it is UTF-8 without control characters; a backslash doubled; other bytes as `\xNN`.
    package static func escaped(_ bytes: [UInt8]) -> String {
        if let text = String(validating: bytes, as: UTF8.self), text.unicodeScalars.allSatisfy(isPrintable) {
            return text.contains("\\")
                ? text.split(separator: "\\", omittingEmptySubsequences: false).joined(separator: "\\\\") : text
        }
        var shown: [UInt8] = []
        for byte in bytes {
            if byte == UInt8(ascii: "\\") {
                shown += [byte, byte]
            } else if byte >= 0x20 && byte < 0x7f {
                shown.append(byte)
            } else {
                shown += [UInt8(ascii: "\\"), UInt8(ascii: "x"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: shown, as: UTF8.self)
    }

    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        // Format characters turn text round on a terminal; unassigned and private ones show nothing certain.
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: false
        default: true
        }
    }

    static func unescaped(_ text: [UInt8]) -> [UInt8]? {
        var bytes: [UInt8] = []
        var rest = text[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\") else {
                bytes.append(byte)
                continue
            }
            switch rest.popFirst() {
            case UInt8(ascii: "\\"): bytes.append(byte)
            case UInt8(ascii: "x"):
                guard rest.count >= 2, let value = fromHexadecimal(Array(rest.prefix(2))) else { return nil }
                bytes += value
                rest = rest.dropFirst(2)
            default: return nil
            }
        }
        return bytes
    }

    static func fromHexadecimal(_ text: [UInt8]) -> [UInt8]? {
        func value(_ digit: UInt8) -> UInt8? {
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
            default: nil
            }
        }
        guard text.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        for place in stride(from: 0, to: text.count, by: 2) {
            guard let high = value(text[place]), let low = value(text[place + 1]) else { return nil }
            bytes.append(high << 4 | low)
        }
        return bytes
    }

    /// RFC 4648, with padding.
    package static func base64(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let bits = group.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } << UInt32(8 * (3 - group.count))
            for digit in 0..<4 {
                text.append(
                    digit > group.count ? UInt8(ascii: "=") : alphabet[Int(bits >> UInt32(18 - 6 * digit) & 63)]
                )
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    static func fromBase64(_ text: [UInt8]) -> [UInt8]? {
        guard text.count % 4 == 0 else { return nil }
        let padding = text.reversed().prefix { $0 == UInt8(ascii: "=") }.count
        guard padding <= 2 else { return nil }
        var bits: UInt32 = 0
        var bytes: [UInt8] = []
        for (place, digit) in text.enumerated() {
            let value = place >= text.count - padding ? 0 : alphabet.firstIndex(of: digit)
            guard let value else { return nil }
            bits = bits << 6 | UInt32(value)
            guard place % 4 == 3 else { continue }
            bytes += [UInt8(bits >> 16 & 255), UInt8(bits >> 8 & 255), UInt8(bits & 255)]
            bits = 0
        }
        return bytes.dropLast(padding)
    }
}
