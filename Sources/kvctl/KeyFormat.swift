public import ArgumentParser
import Foundation
public import KVClient

/// How keys are typed and shown.
enum KeyFormat: String, ExpressibleByArgument, CaseIterable {
    case utf8
    case hex
    case base64

    /// The bytes that a typed key stands for.
    func parse(_ text: String) throws -> [UInt8] {
        switch self {
        case .utf8: return Array(text.utf8)
        case .base64:
            guard let data = Data(base64Encoded: text) else { throw ValidationError("'\(text)' is not base64") }
            return Array(data)
        case .hex:
            let digits = Array(text.utf8)
            var bytes: [UInt8] = []
            for index in stride(from: 0, to: digits.count, by: 2) {
                let pair = String(decoding: digits[index..<min(index + 2, digits.count)], as: UTF8.self)
                guard pair.utf8.count == 2, pair.utf8.first != UInt8(ascii: "+"), pair.utf8.first != UInt8(ascii: "-"),
                    let byte = UInt8(pair, radix: 16)
                else { throw ValidationError("'\(text)' is not hexadecimal: two digits a byte") }
                bytes.append(byte)
            }
            return bytes
        }
    }

    /// A key as this format shows it; in `utf8`, what is not printable is escaped.
    func show(_ key: [UInt8]) -> String {
        switch self {
        case .utf8: shownText(key)
        case .hex: key.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        case .base64: Data(key).base64EncodedString()
        }
    }
}

/// Text that is UTF-8 without control characters as it is, anything else with `\xNN`.
func shownText(_ bytes: [UInt8]) -> String {
    if let text = String(validating: bytes, as: UTF8.self),
        !text.unicodeScalars.contains(where: { $0.properties.generalCategory == .control || $0 == "\\" })
    {
        return text
    }
    return escapedText(bytes)
}

/// Bytes in JSON: base64 always, and the text where it is one.
struct JSONBytes: Encodable {
    let base64: String
    let utf8: String?

    init(_ bytes: [UInt8]) {
        base64 = Data(bytes).base64EncodedString()
        utf8 = String(validating: bytes, as: UTF8.self)
    }
}

extension KVClient.Consistency: ExpressibleByArgument {}
extension RecordFormat: ExpressibleByArgument {}
