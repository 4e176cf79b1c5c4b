/// JSON as it was sent: strict (RFC 8259), bounded in depth, a name given twice refused.
enum JSONValue: Equatable {
    case null
    case bool(Bool)
    /// As it was written.
    case number(String)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    /// How deep arrays and objects may stand in each other.
    static let depthMax = 16

    /// - Throws: 400 with the place where the bytes stop being JSON.
    init(_ bytes: [UInt8]) throws(HTTPFailure) {
        var reader = JSONReader(bytes: bytes)
        self = try reader.readDocument()
    }
}

private struct JSONReader {
    let bytes: [UInt8]
    private var place = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func readDocument() throws(HTTPFailure) -> JSONValue {
        let value = try readValue(depth: 0)
        skipSpace()
        guard place == bytes.count else { throw bad("something follows the JSON") }
        return value
    }

    private func bad(_ what: String) -> HTTPFailure { .badRequest("the body is no JSON at byte \(place): \(what)") }

    private mutating func skipSpace() {
        while place < bytes.count, [0x20, 0x09, 0x0a, 0x0d].contains(bytes[place]) { place += 1 }
    }

    private var next: UInt8? { place < bytes.count ? bytes[place] : nil }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard next == byte else { return false }
        place += 1
        return true
    }

    private mutating func readValue(depth: Int) throws(HTTPFailure) -> JSONValue {
        guard depth <= JSONValue.depthMax else { throw bad("deeper than \(JSONValue.depthMax)") }
        skipSpace()
        switch next {
        case UInt8(ascii: "{"): return try readObject(depth: depth)
        case UInt8(ascii: "["): return try readArray(depth: depth)
        case UInt8(ascii: "\""): return .string(try readString())
        case UInt8(ascii: "t"): return try readWord("true", .bool(true))
        case UInt8(ascii: "f"): return try readWord("false", .bool(false))
        case UInt8(ascii: "n"): return try readWord("null", .null)
        case let byte? where byte == UInt8(ascii: "-") || isDigit(byte): return try readNumber()
        default: throw bad("a value was expected")
        }
    }

    private mutating func readWord(_ word: String, _ value: JSONValue) throws(HTTPFailure) -> JSONValue {
        guard bytes[place...].starts(with: word.utf8) else { throw bad("a value was expected") }
        place += word.utf8.count
        return value
    }

    private mutating func readObject(depth: Int) throws(HTTPFailure) -> JSONValue {
        place += 1
        var members: [String: JSONValue] = [:]
        skipSpace()
        if take(UInt8(ascii: "}")) { return .object(members) }
        repeat {
            skipSpace()
            guard next == UInt8(ascii: "\"") else { throw bad("a name was expected") }
            let name = try readString()
            skipSpace()
            guard take(UInt8(ascii: ":")) else { throw bad("':' was expected") }
            guard members[name] == nil else { throw bad("'\(name)' is given twice") }
            members[name] = try readValue(depth: depth + 1)
            skipSpace()
        } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "}")) else { throw bad("',' or '}' was expected") }
        return .object(members)
    }

    private mutating func readArray(depth: Int) throws(HTTPFailure) -> JSONValue {
        place += 1
        var elements: [JSONValue] = []
        skipSpace()
        if take(UInt8(ascii: "]")) { return .array(elements) }
        repeat {
            elements.append(try readValue(depth: depth + 1))
            skipSpace()
        } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "]")) else { throw bad("',' or ']' was expected") }
        return .array(elements)
    }

    private func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }

    private mutating func skipDigits() -> Int {
        let start = place
        while let byte = next, isDigit(byte) { place += 1 }
        return place - start
    }

    private mutating func readNumber() throws(HTTPFailure) -> JSONValue {
        let start = place
        _ = take(UInt8(ascii: "-"))
        if !take(UInt8(ascii: "0")), skipDigits() == 0 { throw bad("a digit was expected") }
        if take(UInt8(ascii: ".")), skipDigits() == 0 { throw bad("a digit was expected") }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            if skipDigits() == 0 { throw bad("a digit was expected") }
        }
        return .number(String(decoding: bytes[start..<place], as: UTF8.self))
    }

    private mutating func readString() throws(HTTPFailure) -> String {
        place += 1
        var text: [UInt8] = []
        while let byte = next {
            switch byte {
            case UInt8(ascii: "\""):
                place += 1
                guard let string = String(validating: text, as: UTF8.self) else { throw bad("text that is not UTF-8") }
                return string
            case UInt8(ascii: "\\"):
                place += 1
                text.append(contentsOf: try readEscape())
            case 0..<0x20: throw bad("a control character in a string")
            default:
                text.append(byte)
                place += 1
            }
        }
        throw bad("a string does not end")
    }

    private mutating func readEscape() throws(HTTPFailure) -> [UInt8] {
        guard let byte = next else { throw bad("a string does not end") }
        place += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [byte]
        case UInt8(ascii: "b"): return [0x08]
        case UInt8(ascii: "f"): return [0x0c]
        case UInt8(ascii: "n"): return [0x0a]
        case UInt8(ascii: "r"): return [0x0d]
        case UInt8(ascii: "t"): return [0x09]
        case UInt8(ascii: "u"):
            var units = [try readUnit()]
            if UTF16.isLeadSurrogate(units[0]) {
                guard take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) else { throw bad("half a surrogate pair") }
                units.append(try readUnit())
            }
            guard let text = String(validating: units, as: UTF16.self) else { throw bad("half a surrogate pair") }
            return Array(text.utf8)
        default: throw bad("an unknown escape")
        }
    }

    private mutating func readUnit() throws(HTTPFailure) -> UInt16 {
        guard place + 4 <= bytes.count,
            let unit = UInt16(String(decoding: bytes[place..<(place + 4)], as: UTF8.self), radix: 16),
            bytes[place] != UInt8(ascii: "+"), bytes[place] != UInt8(ascii: "-")
        else { throw bad("four hexadecimal digits were expected") }
        place += 4
        return unit
    }
}
