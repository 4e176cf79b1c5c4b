import NIOCore

// The forms of RESP2 and RESP3 replies, written at the end of a buffer.

extension ByteBuffer {
    /// `+text`.
    ///
    /// The text holds no CR or LF.
    mutating func writeSimple(_ text: StaticString) {
        writeStaticString("+")
        writeStaticString(text)
        writeStaticString("\r\n")
    }

    /// `-line`; CR and LF become spaces, so that nobody's bytes can forge a reply.
    mutating func writeError(_ line: String) {
        writeStaticString("-")
        writeBytes(line.utf8.lazy.map { $0 == 0x0d || $0 == 0x0a ? 0x20 : $0 })
        writeStaticString("\r\n")
    }

    /// `:n`.
    mutating func writeNumber(_ number: Int64) {
        writeHead(UInt8(ascii: ":"), number)
    }

    /// `$length`, then the bytes.
    mutating func writeBulk(_ bytes: UnsafeRawBufferPointer) {
        reserveCapacity(minimumWritableBytes: bytes.count + 24)
        writeHead(UInt8(ascii: "$"), Int64(bytes.count))
        writeBytes(bytes)
        writeStaticString("\r\n")
    }

    /// `$length`, then the text.
    mutating func writeBulk(_ text: String) {
        writeHead(UInt8(ascii: "$"), Int64(text.utf8.count))
        writeString(text)
        writeStaticString("\r\n")
    }

    /// Text for people: verbatim in RESP3, bulk in RESP2.
    mutating func writeText(_ text: String, isRESP3: Bool) {
        guard isRESP3 else { return writeBulk(text) }
        writeHead(UInt8(ascii: "="), Int64(text.utf8.count + 4))
        writeStaticString("txt:")
        writeString(text)
        writeStaticString("\r\n")
    }

    /// No value.
    mutating func writeNull(isRESP3: Bool) {
        if isRESP3 { writeStaticString("_\r\n") } else { writeStaticString("$-1\r\n") }
    }

    /// No array.
    mutating func writeNullArray(isRESP3: Bool) {
        if isRESP3 { writeStaticString("_\r\n") } else { writeStaticString("*-1\r\n") }
    }

    /// The head of an array.
    mutating func writeArrayHead(_ count: Int) {
        writeHead(UInt8(ascii: "*"), Int64(count))
    }

    /// The head of a map of so many pairs; in RESP2 an array of twice as many.
    mutating func writeMapHead(_ count: Int, isRESP3: Bool) {
        if isRESP3 { writeHead(UInt8(ascii: "%"), Int64(count)) } else { writeArrayHead(2 * count) }
    }

    /// The head of a set; in RESP2 an array.
    mutating func writeSetHead(_ count: Int, isRESP3: Bool) {
        writeHead(isRESP3 ? UInt8(ascii: "~") : UInt8(ascii: "*"), Int64(count))
    }

    /// A type's character, a number and CRLF: at most 1 + 20 + 2 bytes.
    private mutating func writeHead(_ type: UInt8, _ number: Int64) {
        writeWithUnsafeMutableBytes(minimumWritableBytes: 24) { target in
            target[0] = type
            var length = 1
            var rest = number.magnitude
            if number < 0 {
                target[1] = UInt8(ascii: "-")
                length = 2
            }
            var digits = 1
            var bound: UInt64 = 10
            while digits < 20, rest >= bound {
                digits += 1
                let (next, overflowed) = bound.multipliedReportingOverflow(by: 10)
                if overflowed { break }
                bound = next
            }
            var place = length + digits
            length = place
            repeat {
                place -= 1
                target[place] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
                rest /= 10
            } while rest > 0
            target[length] = 0x0d
            target[length + 1] = 0x0a
            return length + 2
        }
    }
}
