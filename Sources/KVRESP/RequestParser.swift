import KVBase

/// Finds commands in a stream of bytes: arrays of bulk strings, and inline commands.
///
/// It is told all bytes from the current command's start on, again and again as more arrive, and keeps what it already found,
/// so that a command is read once however it is cut. Nothing is copied: it hands out ranges.
struct RequestParser {
    /// What the bytes hold.
    enum Step: Equatable {
        /// The command is not all there.
        case incomplete
        /// `ranges` has the command, which takes so many bytes. No ranges: an empty line or array, to be skipped.
        case command(size: Int)
        /// An inline command, which takes so many bytes; `ranges` are places in `inlineBytes`.
        case inlineCommand(size: Int)
        /// The bytes are no command. Redis's text, without `ERR Protocol error: `.
        case malformed(String)
    }

    /// The longest argument.
    let bulkBytesMax: Int
    /// The most arguments.
    let argumentsMax: Int
    /// The longest command.
    let commandBytesMax: Int
    /// The longest line.
    let inlineBytesMax: Int

    /// Where the arguments are, from the command's start.
    private(set) var ranges: [ArgumentRange] = []
    /// The arguments of an inline command, unquoted.
    private(set) var inlineBytes: [UInt8] = []
    /// How many arguments the command says it has; -1 before that is known.
    private var argumentCount = -1
    /// Up to where the command has been read.
    private var position = 0

    init(_ settings: RESPSettings, valueBytesMax: Int) {
        bulkBytesMax = valueBytesMax
        argumentsMax = settings.argumentsMax
        commandBytesMax = settings.commandBytesMax
        inlineBytesMax = settings.inlineBytesMax
    }

    /// Forgets the command that was handed out, for the next one.
    mutating func reset() {
        ranges.removeAll(keepingCapacity: ranges.capacity <= 1_024)
        if !inlineBytes.isEmpty { inlineBytes.removeAll() }
        argumentCount = -1
        position = 0
    }

    /// Reads on.
    ///
    /// `bytes` starts where the command does.
    mutating func parse(_ bytes: UnsafeRawBufferPointer) -> Step {
        guard bytes.count > position else { return .incomplete }
        if argumentCount < 0 {
            guard bytes[0] == UInt8(ascii: "*") else { return parseInline(bytes) }
            switch readLine(bytes, from: 1, tooLong: "too big mbulk count string") {
            case .incomplete: return .incomplete
            case .malformed(let text): return .malformed(text)
            case .number(let count, let end):
                guard let count, count <= argumentsMax else { return .malformed("invalid multibulk length") }
                guard count > 0 else { return .command(size: end) }
                argumentCount = count
                position = end
            }
        }
        while ranges.count < argumentCount {
            guard position < bytes.count else { return .incomplete }
            guard bytes[position] == UInt8(ascii: "$") else {
                return .malformed("expected '$', got '\(printable(bytes[position]))'")
            }
            switch readLine(bytes, from: position + 1, tooLong: "too big bulk count string") {
            case .incomplete: return .incomplete
            case .malformed(let text): return .malformed(text)
            case .number(let length, let start):
                guard let length, length >= 0 else { return .malformed("invalid bulk length") }
                guard length <= bulkBytesMax else {
                    return .malformed("invalid bulk length: an argument has at most \(bulkBytesMax) bytes")
                }
                // `start` is at most what was received and `length` at most `bulkBytesMax`: the sum cannot overflow.
                let end = start + length + 2
                guard end <= commandBytesMax else { return .malformed("command over \(commandBytesMax) bytes") }
                guard end <= bytes.count else { return .incomplete }
                guard bytes[end - 2] == UInt8(ascii: "\r"), bytes[end - 1] == UInt8(ascii: "\n") else {
                    return .malformed("expected CRLF after a bulk string")
                }
                ranges.append(ArgumentRange(offset: start, count: length))
                position = end
            }
        }
        return .command(size: position)
    }

    private enum Line {
        case incomplete
        case malformed(String)
        case number(Int?, end: Int)
    }

    /// Reads a number that ends with CRLF.
    ///
    /// Numbers have at most 20 characters; Redis allows a line of 64 KiB before it gives up.
    private func readLine(_ bytes: UnsafeRawBufferPointer, from start: Int, tooLong: String) -> Line {
        var index = start
        var value = 0
        // The common case: a few digits and CRLF.
        while index < bytes.count, index - start < 9 {
            let digit = bytes[index] &- UInt8(ascii: "0")
            guard digit <= 9 else { break }
            value = value &* 10 &+ Int(digit)
            index += 1
        }
        if index > start, index + 1 < bytes.count, bytes[index] == UInt8(ascii: "\r"),
            bytes[index + 1] == UInt8(ascii: "\n"),
            bytes[start] != UInt8(ascii: "0") || index == start + 1
        {
            return .number(value, end: index + 2)
        }
        let window = UnsafeRawBufferPointer(rebasing: bytes[start..<min(bytes.count, start + inlineBytesMax)])
        guard let end = window.firstIndex(of: UInt8(ascii: "\r")) else {
            return window.count >= inlineBytesMax ? .malformed(tooLong) : .incomplete
        }
        guard start + end + 1 < bytes.count else { return .incomplete }
        guard bytes[start + end + 1] == UInt8(ascii: "\n") else { return .number(nil, end: start) }
        let number = parseInteger(UnsafeRawBufferPointer(rebasing: window[..<end])).flatMap { Int(exactly: $0) }
        return .number(number, end: start + end + 2)
    }

    private mutating func parseInline(_ bytes: UnsafeRawBufferPointer) -> Step {
        let window = UnsafeRawBufferPointer(rebasing: bytes[position..<min(bytes.count, inlineBytesMax)])
        guard let end = window.firstIndex(of: UInt8(ascii: "\n")) else {
            // What was searched is not searched again.
            position = window.count + position
            return position >= inlineBytesMax ? .malformed("too big inline request") : .incomplete
        }
        let size = position + end + 1
        var line = UnsafeRawBufferPointer(rebasing: bytes[..<(size - 1)])
        if line.last == UInt8(ascii: "\r") { line = UnsafeRawBufferPointer(rebasing: line.dropLast()) }
        guard splitInline(line, into: &inlineBytes, &ranges) else { return .malformed("unbalanced quotes in request") }
        return ranges.isEmpty ? .command(size: size) : .inlineCommand(size: size)
    }

    private func printable(_ byte: UInt8) -> String {
        byte >= 0x20 && byte < 0x7f ? String(UnicodeScalar(byte)) : "\\x" + String(byte, radix: 16)
    }
}
