/// A value in a line of JSON; the fields of an object keep their order.
package enum JSONValue: Sendable {
    case null
    case flag(Bool)
    case number(UInt64)
    case real(Double)
    case text(String)
    /// Any bytes: an object of their base64 and, where they are UTF-8, their text.
    case bytes([UInt8])
    case list([JSONValue])
    case object([(String, JSONValue)])

    /// A number, or null.
    package static func optional(_ number: UInt64?) -> JSONValue { number.map { .number($0) } ?? .null }

    /// A count.
    package static func count(_ number: Int) -> JSONValue { .number(UInt64(max(0, number))) }

    /// Appends the value's text.
    package func write(to text: inout [UInt8]) {
        switch self {
        case .null: text += Array("null".utf8)
        case .flag(let flag): text += Array("\(flag)".utf8)
        case .number(let number): text += Array("\(number)".utf8)
        // JSON has no words for what is not finite.
        case .real(let number): text += Array((number.isFinite ? "\(number)" : "null").utf8)
        case .text(let string): Self.write(string, to: &text)
        case .bytes(let bytes):
            var fields: [(String, JSONValue)] = [("base64", .text(ByteText.base64(bytes)))]
            if let string = String(validating: bytes, as: UTF8.self) { fields.append(("utf8", .text(string))) }
            JSONValue.object(fields).write(to: &text)
        case .list(let values):
            text.append(UInt8(ascii: "["))
            for (place, value) in values.enumerated() {
                if place > 0 { text.append(UInt8(ascii: ",")) }
                value.write(to: &text)
            }
            text.append(UInt8(ascii: "]"))
        case .object(let fields):
            text.append(UInt8(ascii: "{"))
            for (place, field) in fields.enumerated() {
                if place > 0 { text.append(UInt8(ascii: ",")) }
                Self.write(field.0, to: &text)
                text.append(UInt8(ascii: ":"))
                field.1.write(to: &text)
            }
            text.append(UInt8(ascii: "}"))
        }
    }

    private static func write(_ string: String, to text: inout [UInt8]) {
        text.append(UInt8(ascii: "\""))
        for byte in string.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): text += [UInt8(ascii: "\\"), byte]
            case 0..<0x20, 0x7f: text += Array("\\u00".utf8) + Array(ByteText.hexadecimal([byte]).utf8)
            default: text.append(byte)
            }
        }
        text.append(UInt8(ascii: "\""))
    }
}
