/// Splits an inline command at white space into arguments.
///
/// `"…"` may hold `\n \r \t \b \a \xHH \" \\`, `'…'` only `\'`; a quote must be followed by white space or the end.
/// - Returns: false where a quote is not closed or something follows it.
func splitInline(_ line: UnsafeRawBufferPointer, into bytes: inout [UInt8], _ ranges: inout [ArgumentRange]) -> Bool {
    var index = 0
    while true {
        while index < line.count, isSpace(line[index]) { index += 1 }
        guard index < line.count else { return true }
        let start = bytes.count
        while index < line.count, !isSpace(line[index]) {
            switch line[index] {
            case UInt8(ascii: "\""):
                guard let end = readDoubleQuoted(line, from: index + 1, into: &bytes) else { return false }
                index = end
                guard index == line.count || isSpace(line[index]) else { return false }
            case UInt8(ascii: "'"):
                guard let end = readSingleQuoted(line, from: index + 1, into: &bytes) else { return false }
                index = end
                guard index == line.count || isSpace(line[index]) else { return false }
            default:
                bytes.append(line[index])
                index += 1
            }
        }
        ranges.append(ArgumentRange(offset: start, count: bytes.count - start))
    }
}

private func isSpace(_ byte: UInt8) -> Bool {
    byte == 0x20 || (byte >= 0x09 && byte <= 0x0d) || byte == 0
}

private func readDoubleQuoted(_ line: UnsafeRawBufferPointer, from start: Int, into bytes: inout [UInt8]) -> Int? {
    var index = start
    while index < line.count {
        let byte = line[index]
        if byte == UInt8(ascii: "\"") { return index + 1 }
        guard byte == UInt8(ascii: "\\"), index + 1 < line.count else {
            bytes.append(byte)
            index += 1
            continue
        }
        let escaped = line[index + 1]
        if escaped == UInt8(ascii: "x"), index + 3 < line.count, let high = hexDigit(line[index + 2]),
            let low = hexDigit(line[index + 3])
        {
            bytes.append(high << 4 | low)
            index += 4
            continue
        }
        switch escaped {
        case UInt8(ascii: "n"): bytes.append(0x0a)
        case UInt8(ascii: "r"): bytes.append(0x0d)
        case UInt8(ascii: "t"): bytes.append(0x09)
        case UInt8(ascii: "b"): bytes.append(0x08)
        case UInt8(ascii: "a"): bytes.append(0x07)
        default: bytes.append(escaped)
        }
        index += 2
    }
    return nil
}

private func readSingleQuoted(_ line: UnsafeRawBufferPointer, from start: Int, into bytes: inout [UInt8]) -> Int? {
    var index = start
    while index < line.count {
        if line[index] == UInt8(ascii: "'") { return index + 1 }
        if line[index] == UInt8(ascii: "\\"), index + 1 < line.count, line[index + 1] == UInt8(ascii: "'") {
            index += 1
        }
        bytes.append(line[index])
        index += 1
    }
    return nil
}

private func hexDigit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
}
