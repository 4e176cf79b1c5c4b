/// Reads one JSON object, keeping each member's text as it stands, so that a number or a nested value loses nothing on the way.
struct JSONLineScanner {
    /// A member's value.
    enum Member: Equatable {
        /// A string, its escapes resolved.
        case string([UInt8])
        /// Anything else, as written.
        case raw([UInt8])
    }

    /// What is wrong, for people.
    struct Failure: Error, Equatable {
        let what: String
    }

    private static let depthMax = 64
    private let bytes: ArraySlice<UInt8>
    private var position: Int

    private init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        position = bytes.startIndex
    }

    /// The members of the object that `line` is; of members with one name the last counts.
    static func members(of line: ArraySlice<UInt8>) throws(Failure) -> [String: Member] {
        guard String(validating: line, as: UTF8.self) != nil else { throw Failure(what: "invalid UTF-8") }
        var scanner = JSONLineScanner(line)
        let members = try scanner.object()
        scanner.skipSpace()
        guard scanner.position == line.endIndex else { throw scanner.unexpected("nothing") }
        return members
    }

    private mutating func object() throws(Failure) -> [String: Member] {
        var members: [String: Member] = [:]
        try expect("{")
        if take("}") { return members }
        repeat {
            skipSpace()
            let name = String(decoding: try string(), as: UTF8.self)
            try expect(":")
            skipSpace()
            if peek() == UInt8(ascii: "\"") {
                members[name] = .string(try string())
            } else {
                let start = position
                try skipValue(depth: 1)
                members[name] = .raw(Array(bytes[start..<position]))
            }
        } while take(",")
        try expect("}")
        return members
    }

    private mutating func skipValue(depth: Int) throws(Failure) {
        guard depth <= Self.depthMax else { throw Failure(what: "nested deeper than \(Self.depthMax)") }
        skipSpace()
        switch peek() {
        case UInt8(ascii: "\""): _ = try string()
        case UInt8(ascii: "{"):
            try expect("{")
            if take("}") { return }
            repeat {
                skipSpace()
                _ = try string()
                try expect(":")
                try skipValue(depth: depth + 1)
            } while take(",")
            try expect("}")
        case UInt8(ascii: "["):
            try expect("[")
            if take("]") { return }
            repeat { try skipValue(depth: depth + 1) } while take(",")
            try expect("]")
        default: try skipWord()
        }
    }

    /// A number, `true`, `false` or `null`.
    private mutating func skipWord() throws(Failure) {
        let start = position
        while position < bytes.endIndex, Self.isWordByte(bytes[position]) { position += 1 }
        let word = String(decoding: bytes[start..<position], as: UTF8.self)
        if word == "true" || word == "false" || word == "null" { return }
        let digits = word.hasPrefix("-") ? word.dropFirst() : word[...]
        guard let first = digits.utf8.first, (0x30...0x39).contains(first), Double(word) != nil else {
            position = start
            throw unexpected("a value")
        }
    }

    private static func isWordByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "E"),
            UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."):
            true
        default: false
        }
    }

    private mutating func string() throws(Failure) -> [UInt8] {
        guard peek() == UInt8(ascii: "\"") else { throw unexpected("a string") }
        position += 1
        var out: [UInt8] = []
        while position < bytes.endIndex {
            let byte = bytes[position]
            position += 1
            switch byte {
            case UInt8(ascii: "\""): return out
            case UInt8(ascii: "\\"): try escape(into: &out)
            case 0..<0x20: throw Failure(what: "a control character in a string")
            default: out.append(byte)
            }
        }
        throw Failure(what: "a string is not closed")
    }

    private mutating func escape(into out: inout [UInt8]) throws(Failure) {
        guard let byte = peek() else { throw Failure(what: "a string is not closed") }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): out.append(byte)
        case UInt8(ascii: "b"): out.append(8)
        case UInt8(ascii: "f"): out.append(12)
        case UInt8(ascii: "n"): out.append(10)
        case UInt8(ascii: "r"): out.append(13)
        case UInt8(ascii: "t"): out.append(9)
        case UInt8(ascii: "u"):
            var code = try fourDigits()
            if (0xd800..<0xdc00).contains(code) {
                guard take("\\"), take("u") else { throw Failure(what: "half a surrogate pair") }
                let low = try fourDigits()
                guard (0xdc00..<0xe000).contains(low) else { throw Failure(what: "half a surrogate pair") }
                code = 0x10000 + (code - 0xd800) << 10 + (low - 0xdc00)
            }
            guard let scalar = Unicode.Scalar(code) else { throw Failure(what: "half a surrogate pair") }
            out.append(contentsOf: Array(String(Character(scalar)).utf8))
        default: throw Failure(what: "an unknown escape")
        }
    }

    private mutating func fourDigits() throws(Failure) -> UInt32 {
        let digits = bytes[position...].prefix(4)
        guard digits.count == 4, digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
            let code = UInt32(String(decoding: digits, as: UTF8.self), radix: 16)
        else { throw Failure(what: "\\u needs four hexadecimal digits") }
        position += 4
        return code
    }

    private func peek() -> UInt8? { position < bytes.endIndex ? bytes[position] : nil }

    private mutating func skipSpace() {
        while let byte = peek(), byte == 0x20 || byte == 0x09 || byte == 0x0d || byte == 0x0a { position += 1 }
    }

    /// Passes over space and then `token`, where that is what follows.
    ///
    /// Inside a string no space may follow a token that matters.
    private mutating func take(_ token: Unicode.Scalar) -> Bool {
        if token != "\\" && token != "u" { skipSpace() }
        guard peek() == UInt8(ascii: token) else { return false }
        position += 1
        return true
    }

    private mutating func expect(_ token: Unicode.Scalar) throws(Failure) {
        guard take(token) else { throw unexpected("'\(token)'") }
    }

    private func unexpected(_ wanted: String) -> Failure {
        guard let byte = peek() else { return Failure(what: "the line ends where \(wanted) should be") }
        let shown = (0x20..<0x7f).contains(byte) ? "'\(Character(Unicode.Scalar(byte)))'" : "byte \(byte)"
        return Failure(what: "\(shown) at column \(position - bytes.startIndex + 1) where \(wanted) should be")
    }
}
