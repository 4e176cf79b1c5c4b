import Foundation

/// A value as JSON has it, kept as it was written: what `-o yaml` is made of.
enum DataNode: Decodable {
    case null
    case flag(Bool)
    case integer(Int64)
    case natural(UInt64)
    case number(Double)
    case text(String)
    case list([DataNode])
    case object([String: DataNode])

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        // Each form is tried, the narrower one first; the last one tells why none fits.
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .flag(value)
        } else if let value = try? container.decode(Int64.self) {
            self = .integer(value)
        } else if let value = try? container.decode(UInt64.self) {
            self = .natural(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .text(value)
        } else if let value = try? container.decode([DataNode].self) {
            self = .list(value)
        } else {
            self = .object(try container.decode([String: DataNode].self))
        }
    }
}

/// Writes data as YAML: one key a line in alphabetical order, texts always in quotes, so that no text is taken for another type.
enum YAMLText {
    static func text(_ node: DataNode) -> String {
        var out = ""
        write(node, indent: 0, isValue: false, to: &out)
        return out
    }

    private static func write(_ node: DataNode, indent: Int, isValue: Bool, to out: inout String) {
        let margin = String(repeating: "  ", count: indent)
        switch node {
        case .object(let members) where !members.isEmpty:
            if isValue { out += "\n" }
            for (place, member) in members.sorted(by: { $0.key < $1.key }).enumerated() {
                out += (place == 0 && !isValue && indent > 0 ? "" : margin) + "\(key(member.key)):"
                write(member.value, indent: indent + 1, isValue: true, to: &out)
            }
        case .list(let elements) where !elements.isEmpty:
            if isValue { out += "\n" }
            for (place, element) in elements.enumerated() {
                out += (place == 0 && !isValue && indent > 0 ? "" : margin) + "- "
                write(element, indent: indent + 1, isValue: false, to: &out)
            }
        default: out += (isValue ? " " : "") + scalar(node) + "\n"
        }
    }

    private static func scalar(_ node: DataNode) -> String {
        switch node {
        case .null: "null"
        case .flag(let value): value ? "true" : "false"
        case .integer(let value): String(value)
        case .natural(let value): String(value)
        case .number(let value): String(value)
        case .text(let value): quoted(value)
        case .list: "[]"
        case .object: "{}"
        }
    }

    private static func key(_ name: String) -> String {
        let isPlain = !name.isEmpty && name.utf8.allSatisfy { (0x61...0x7a).contains($0) || (0x41...0x5a).contains($0) }
        // YAML 1.1 takes these for something else.
        return isPlain && !["y", "n", "yes", "no", "on", "off", "true", "false", "null"].contains(name.lowercased())
            ? name : quoted(name)
    }

    /// Double quotes with JSON's escapes, which YAML shares.
    private static func quoted(_ text: String) -> String {
        var out = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case "\n": out += "\\n"
            case "\r": out += "\\r"
            case "\t": out += "\\t"
            case _ where scalar.value < 0x20 || (0x7f..<0xa0).contains(scalar.value) || scalar.value == 0xfeff:
                let digits = String(scalar.value, radix: 16)
                out += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out + "\""
    }
}

extension DataNode: Encodable {
    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .flag(let value): try container.encode(value)
        case .integer(let value): try container.encode(value)
        case .natural(let value): try container.encode(value)
        case .number(let value): try container.encode(value)
        case .text(let value): try container.encode(value)
        case .list(let value): try container.encode(value)
        case .object(let value): try container.encode(value)
        }
    }
}
