/// A reply of the Redis protocol, found in a buffer and not copied from it.
struct ScannedReply {
    enum Kind {
        case simple
        case error
        case integer(Int64)
        case bulk
        case null
        case array
    }

    let kind: Kind
    /// The text or the bytes, where the reply has some; valid as long as the buffer's content.
    let body: UnsafeRawBufferPointer

    /// The first word of an error.
    var errorCode: String {
        String(decoding: body.prefix { $0 != UInt8(ascii: " ") }.prefix(32), as: UTF8.self)
    }
}

/// Finds the replies in what came over a connection.
///
/// It knows RESP2, which is what a connection speaks until it says HELLO.
enum ReplyScanner {
    enum Outcome {
        /// More bytes are needed.
        case incomplete
        /// These bytes are no reply.
        case malformed
        /// A reply and how many bytes it takes.
        case reply(ScannedReply, Int)
    }

    private static let lineBytesMax = 64 << 10
    private static let bulkBytesMax: Int64 = 1 << 30
    private static let depthMax = 8

    /// Looks at the reply that `bytes` begin with.
    @inline(__always)
    static func scan(_ bytes: UnsafeRawBufferPointer) -> Outcome { scan(bytes, depth: 0) }

    private static func scan(_ bytes: UnsafeRawBufferPointer, depth: Int) -> Outcome {
        guard let type = bytes.first else { return .incomplete }
        guard let feed = endOfLine(bytes) else {
            return bytes.count > lineBytesMax ? .malformed : .incomplete
        }
        guard feed >= 2, bytes[feed - 1] == UInt8(ascii: "\r") else { return .malformed }
        let line = UnsafeRawBufferPointer(rebasing: bytes[1..<(feed - 1)])
        let length = feed + 1
        switch type {
        case UInt8(ascii: "+"): return .reply(ScannedReply(kind: .simple, body: line), length)
        case UInt8(ascii: "-"): return .reply(ScannedReply(kind: .error, body: line), length)
        case UInt8(ascii: ":"):
            guard let number = number(line) else { return .malformed }
            return .reply(ScannedReply(kind: .integer(number), body: line), length)
        case UInt8(ascii: "$"):
            guard let size = number(line), size >= -1, size <= bulkBytesMax else { return .malformed }
            if size == -1 {
                return .reply(ScannedReply(kind: .null, body: UnsafeRawBufferPointer(start: nil, count: 0)), length)
            }
            let end = length + Int(size)
            guard bytes.count >= end + 2 else { return .incomplete }
            guard bytes[end] == UInt8(ascii: "\r"), bytes[end + 1] == UInt8(ascii: "\n") else { return .malformed }
            let body = UnsafeRawBufferPointer(rebasing: bytes[length..<end])
            return .reply(ScannedReply(kind: .bulk, body: body), end + 2)
        case UInt8(ascii: "*"):
            guard let count = number(line), count >= -1, count <= 1 << 20, depth < depthMax else { return .malformed }
            var end = length
            for _ in 0..<max(count, 0) {
                switch scan(UnsafeRawBufferPointer(rebasing: bytes[end...]), depth: depth + 1) {
                case .incomplete: return .incomplete
                case .malformed: return .malformed
                case .reply(_, let taken): end += taken
                }
            }
            return .reply(
                ScannedReply(kind: .array, body: UnsafeRawBufferPointer(rebasing: bytes[length..<end])),
                end
            )
        default: return .malformed
        }
    }

    @inline(__always)
    private static func endOfLine(_ bytes: UnsafeRawBufferPointer) -> Int? {
        var place = 1
        while place < bytes.count {
            if bytes[place] == UInt8(ascii: "\n") { return place }
            place += 1
        }
        return nil
    }

    @inline(__always)
    private static func number(_ line: UnsafeRawBufferPointer) -> Int64? {
        let isNegative = line.first == UInt8(ascii: "-")
        guard line.count > (isNegative ? 1 : 0), line.count < 20 else { return nil }
        var value: Int64 = 0
        for byte in line.dropFirst(isNegative ? 1 : 0) {
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
            let (product, hasOverflown) = value.multipliedReportingOverflow(by: 10)
            let (sum, isOver) = product.addingReportingOverflow(Int64(byte - UInt8(ascii: "0")))
            guard !hasOverflown, !isOver else { return nil }
            value = sum
        }
        return isNegative ? -value : value
    }
}
