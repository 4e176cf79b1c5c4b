import KVBase

/// Writes JSON, member by member.
///
/// Commas take care of themselves.
struct JSONText {
    private(set) var text = ""
    private var needsComma = false

    mutating func object(_ members: (inout JSONText) -> Void) {
        begin("{")
        members(&self)
        end("}")
    }

    mutating func array<Elements: Sequence>(_ elements: Elements, _ element: (inout JSONText, Elements.Element) -> Void)
    {
        begin("[")
        for one in elements { element(&self, one) }
        end("]")
    }

    /// A member's name; its value follows.
    mutating func key(_ name: String) {
        string(name)
        text += ":"
        needsComma = false
    }

    mutating func field(_ name: String, _ value: String) {
        key(name)
        string(value)
    }

    mutating func field(_ name: String, _ value: Bool) {
        key(name)
        raw(value ? "true" : "false")
    }

    mutating func field(_ name: String, _ value: some BinaryInteger) {
        key(name)
        raw(String(value))
    }

    mutating func null(_ name: String) {
        key(name)
        raw("null")
    }

    mutating func string(_ value: String) {
        comma()
        text += "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case "\u{0}"..."\u{1f}", "\u{7f}":
                let digits = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
        needsComma = true
    }

    private mutating func raw(_ value: String) {
        comma()
        text += value
        needsComma = true
    }

    private mutating func begin(_ bracket: String) {
        comma()
        text += bracket
        needsComma = false
    }

    private mutating func end(_ bracket: String) {
        text += bracket
        needsComma = true
    }

    private mutating func comma() {
        if needsComma { text += "," }
        needsComma = false
    }
}

extension JSONText {
    /// Bytes as `name` in base64, and as `nameUtf8` where they are valid UTF-8.
    mutating func bytes(_ name: String, _ bytes: [UInt8]) {
        field(name, Base64.encode(bytes))
        if let text = String(validating: bytes, as: UTF8.self) { field(name + "Utf8", text) }
    }
}
