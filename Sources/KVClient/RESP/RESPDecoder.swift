package import NIOCore

/// Reads replies from a growing buffer, each byte looked at a bounded number of times.
///
/// A scalar is taken once all of it is there. An aggregate is opened when its header is there and waits on a stack for its
/// elements, so a long array that comes in a thousand pieces is not read a thousand times. Every length is held against its
/// limit before memory is set aside for it. After an error the bytes that follow mean nothing: close the connection.
package struct RESPDecoder {
    private enum Shape {
        case array
        case map
        case push
        case attribute
    }

    private struct Open {
        let shape: Shape
        let count: Int
        var elements: [RESPValue]
    }

    private var open: [Open] = []
    private var replyBytes = 0

    /// A decoder at the start of a reply.
    package init() {}

    /// Whether a reply has begun and is not whole.
    package var isInsideReply: Bool { !open.isEmpty }

    /// The next whole reply, or nil until more bytes come.
    ///
    /// Takes what it has understood out of `buffer`.
    /// - Throws: what is wrong with the bytes.
    package mutating func next(_ buffer: inout ByteBuffer) throws(RESPError) -> RESPValue? {
        while true {
            let before = buffer.readerIndex
            guard var value = try readElement(&buffer) else { return nil }
            replyBytes += buffer.readerIndex - before
            guard replyBytes <= ClientLimits.replyBytesMax else {
                throw .tooLong("reply over \(ClientLimits.replyBytesMax) bytes")
            }
            // Put it where it belongs; what that completes goes one level up.
            while true {
                guard let element = value else { break }
                guard !open.isEmpty else {
                    replyBytes = 0
                    return element
                }
                let top = open.count - 1
                open[top].elements.append(element)
                guard open[top].elements.count == open[top].count else { break }
                value = Self.close(open.removeLast())
            }
        }
    }

    /// `.some(nil)`: an aggregate was opened and no value is whole yet.
    ///
    /// `nil`: more bytes are needed.
    private mutating func readElement(_ buffer: inout ByteBuffer) throws(RESPError) -> RESPValue?? {
        guard let type = buffer.getInteger(at: buffer.readerIndex, as: UInt8.self) else { return nil }
        guard Self.types.contains(type) else { throw .unknownType(type) }
        guard let line = try Self.line(buffer) else { return nil }
        let start = buffer.readerIndex + 1
        func text() -> String { buffer.getString(at: start, length: line) ?? "" }
        func pass() { buffer.moveReaderIndex(forwardBy: line + 3) }

        switch type {
        case UInt8(ascii: "+"):
            let value = RESPValue.simple(text())
            pass()
            return value
        case UInt8(ascii: "-"):
            let value = Self.error(text())
            pass()
            return value
        case UInt8(ascii: ":"):
            let number = try Self.number(text())
            pass()
            return .some(.integer(number))
        case UInt8(ascii: "_"):
            pass()
            return .some(.null)
        case UInt8(ascii: "#"):
            let value = text()
            guard value == "t" || value == "f" else { throw .badNumber(value) }
            pass()
            return .some(.boolean(value == "t"))
        case UInt8(ascii: ","):
            let digits = text()
            guard let number = Self.double(digits) else { throw .badNumber(digits) }
            pass()
            return .some(.double(number))
        case UInt8(ascii: "("):
            let digits = text()
            let unsigned = digits.hasPrefix("-") ? digits.dropFirst() : digits[...]
            guard !unsigned.isEmpty, unsigned.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
                throw .badNumber(digits)
            }
            pass()
            return .some(.bigNumber(digits))
        case UInt8(ascii: "$"), UInt8(ascii: "!"), UInt8(ascii: "="):
            return try Self.bulk(type, header: text(), line: line, &buffer).map { .some($0) }
        default:
            let count = try Self.number(text())
            let value = try openAggregate(type, count: count)
            pass()
            return .some(value)
        }
    }

    private static let types: Set<UInt8> = Set("+-:_#,($!=*~%>|".utf8)

    private mutating func openAggregate(_ type: UInt8, count: Int64) throws(RESPError) -> RESPValue? {
        let shape: Shape =
            switch type {
            case UInt8(ascii: "%"): .map
            case UInt8(ascii: ">"): .push
            case UInt8(ascii: "|"): .attribute
            default: .array
            }
        if count == -1, type == UInt8(ascii: "*") { return .null }
        let elements = count.multipliedReportingOverflow(by: shape == .map || shape == .attribute ? 2 : 1)
        guard count >= 0, !elements.overflow else { throw .badNumber(String(count)) }
        guard elements.partialValue <= ClientLimits.replyElementsMax else {
            throw .tooLong("aggregate of \(count) elements")
        }
        let fresh = Open(shape: shape, count: Int(elements.partialValue), elements: [])
        guard fresh.count > 0 else { return Self.close(fresh) }
        guard open.count < ClientLimits.replyDepthMax else { throw .tooDeep(ClientLimits.replyDepthMax) }
        open.append(fresh)
        return nil
    }

    /// The value that a full aggregate is; nil for an attribute, which only describes the value behind it.
    private static func close(_ aggregate: Open) -> RESPValue? {
        switch aggregate.shape {
        case .array: .array(aggregate.elements)
        case .push: .push(aggregate.elements)
        case .attribute: nil
        case .map:
            .map(
                stride(from: 0, to: aggregate.elements.count, by: 2).map {
                    RESPPair(key: aggregate.elements[$0], value: aggregate.elements[$0 + 1])
                }
            )
        }
    }

    /// How long the header line is behind its type byte, without CR LF; nil until it is whole.
    private static func line(_ buffer: ByteBuffer) throws(RESPError) -> Int? {
        let view = buffer.readableBytesView
        let window = view.prefix(ClientLimits.replyLineBytesMax + 3)
        guard let feed = window.firstIndex(of: UInt8(ascii: "\n")) else {
            guard view.count < ClientLimits.replyLineBytesMax + 3 else {
                throw .tooLong("line over \(ClientLimits.replyLineBytesMax) bytes")
            }
            return nil
        }
        guard feed > view.startIndex + 1, view[feed - 1] == UInt8(ascii: "\r") else { throw .missingTerminator }
        return feed - view.startIndex - 2
    }

    private static func bulk(
        _ type: UInt8,
        header: String,
        line: Int,
        _ buffer: inout ByteBuffer
    ) throws(RESPError) -> RESPValue? {
        let length = try number(header)
        if length == -1, type == UInt8(ascii: "$") {
            buffer.moveReaderIndex(forwardBy: line + 3)
            return .null
        }
        guard length >= 0 else { throw .badNumber(header) }
        guard length <= ClientLimits.replyBulkBytesMax else { throw .tooLong("bulk string of \(length) bytes") }
        let size = Int(length)
        guard buffer.readableBytes >= line + 3 + size + 2 else { return nil }
        let start = buffer.readerIndex + line + 3
        guard buffer.getInteger(at: start + size, as: UInt16.self) == 0x0d0a else { throw .missingTerminator }
        let bytes = buffer.getBytes(at: start, length: size) ?? []
        buffer.moveReaderIndex(forwardBy: line + 3 + size + 2)
        switch type {
        case UInt8(ascii: "!"): return error(String(decoding: bytes, as: UTF8.self))
        case UInt8(ascii: "="):
            // `txt:` and `mkd:` come before the text.
            guard size >= 4, bytes[3] == UInt8(ascii: ":") else { throw .badNumber(header) }
            return .bulk(Array(bytes[4...]))
        default: return .bulk(bytes)
        }
    }

    private static func number(_ text: String) throws(RESPError) -> Int64 {
        guard let number = Int64(text), text.first != "+" else { throw .badNumber(String(text.prefix(40))) }
        return number
    }

    private static func double(_ text: String) -> Double? {
        switch text {
        case "inf", "+inf": .infinity
        case "-inf": -.infinity
        case "nan", "-nan": .nan
        default: text.contains(where: { $0 == "x" || $0 == "X" || $0 == "n" }) ? nil : Double(text)
        }
    }

    private static func error(_ text: String) -> RESPValue {
        guard let space = text.firstIndex(of: " ") else { return .error(code: text, message: "") }
        return .error(code: String(text[..<space]), message: String(text[text.index(after: space)...]))
    }
}
