import NIOCore
import Testing

@testable import KVClient

struct RESPDecoderTests {
    static let replies: [(String, RESPValue)] = [
        ("+OK\r\n", .simple("OK")),
        ("+\r\n", .simple("")),
        ("-ERR no such thing\r\n", .error(code: "ERR", message: "no such thing")),
        ("-UNKNOWN\r\n", .error(code: "UNKNOWN", message: "")),
        (":0\r\n", .integer(0)),
        (":-9223372036854775808\r\n", .integer(.min)),
        ("$0\r\n\r\n", .bulk([])),
        ("$5\r\na\r\nb\n\r\n", .bulk(Array("a\r\nb\n".utf8))),
        ("$-1\r\n", .null),
        ("*-1\r\n", .null),
        ("_\r\n", .null),
        ("#t\r\n", .boolean(true)),
        ("#f\r\n", .boolean(false)),
        (",1.5\r\n", .double(1.5)),
        (",-inf\r\n", .double(-.infinity)),
        ("(123456789012345678901234567890\r\n", .bigNumber("123456789012345678901234567890")),
        ("!10\r\nERR bad\r\nx\r\n", .error(code: "ERR", message: "bad\r\nx")),
        ("=7\r\ntxt:abc\r\n", .bulk(Array("abc".utf8))),
        ("*0\r\n", .array([])),
        ("*2\r\n:1\r\n*1\r\n$1\r\nx\r\n", .array([.integer(1), .array([.bulk([120])])])),
        ("~1\r\n+a\r\n", .array([.simple("a")])),
        ("%1\r\n+a\r\n:1\r\n", .map([RESPPair(key: .simple("a"), value: .integer(1))])),
        (">2\r\n+a\r\n+b\r\n", .push([.simple("a"), .simple("b")])),
        ("|1\r\n+ttl\r\n:9\r\n+OK\r\n", .simple("OK")),
        ("*2\r\n:1\r\n|1\r\n+a\r\n*1\r\n:0\r\n:2\r\n", .array([.integer(1), .integer(2)])),
    ]

    @Test(arguments: replies)
    func `a reply reads the same whole, and split at every byte`(_ text: String, _ expected: RESPValue) throws {
        let bytes = Array(text.utf8)
        for split in 0...bytes.count {
            var decoder = RESPDecoder()
            var buffer = ByteBuffer(bytes: bytes[..<split])
            var value = try decoder.next(&buffer)
            if split < bytes.count {
                #expect(value == nil, "split at \(split)")
                buffer.writeBytes(bytes[split...])
                value = try decoder.next(&buffer)
            }
            #expect(value == expected, "split at \(split)")
            #expect(buffer.readableBytes == 0)
        }
    }

    @Test func `replies behind each other come one at a time, fed byte by byte`() throws {
        var decoder = RESPDecoder()
        var buffer = ByteBuffer()
        var values: [RESPValue] = []
        for byte in Self.replies.map({ $0.0 }).joined().utf8 {
            buffer.writeInteger(byte)
            while let value = try decoder.next(&buffer) { values.append(value) }
        }
        #expect(values == Self.replies.map { $0.1 })
    }

    @Test(arguments: [
        ("hello\r\n", RESPError.unknownType(UInt8(ascii: "h"))),
        (":12x\r\n", .badNumber("12x")),
        (":+1\r\n", .badNumber("+1")),
        ("$-2\r\n", .badNumber("-2")),
        ("*-7\r\n", .badNumber("-7")),
        ("*9223372036854775807\r\n", .tooLong("aggregate of 9223372036854775807 elements")),
        ("%9223372036854775807\r\n", .badNumber("9223372036854775807")),
        ("$3\r\nabcd\r\n", .missingTerminator),
        ("+OK\n", .missingTerminator),
        ("\n", .unknownType(10)),
        ("#x\r\n", .badNumber("x")),
        (",0x1p3\r\n", .badNumber("0x1p3")),
        ("($?\r\n", .badNumber("$?")),
        ("$?\r\n", .badNumber("?")),
        ("=2\r\nab\r\n", .badNumber("2")),
    ])
    func `bytes that are no reply are an error`(_ text: String, _ expected: RESPError) {
        var decoder = RESPDecoder()
        var buffer = ByteBuffer(string: text)
        #expect(throws: expected) { try decoder.next(&buffer) }
    }

    @Test func `nesting ends at its limit`() throws {
        var decoder = RESPDecoder()
        var inside = ByteBuffer(string: String(repeating: "*1\r\n", count: ClientLimits.replyDepthMax) + ":1\r\n")
        #expect(try decoder.next(&inside) != nil)
        var outside = ByteBuffer(string: String(repeating: "*1\r\n", count: ClientLimits.replyDepthMax + 1))
        #expect(throws: RESPError.tooDeep(ClientLimits.replyDepthMax)) { try decoder.next(&outside) }
    }

    @Test func `lengths over their limits are refused before the bytes come`() {
        var decoder = RESPDecoder()
        let length = ClientLimits.replyBulkBytesMax + 1
        var bulk = ByteBuffer(string: "$\(length)\r\n")
        #expect(throws: RESPError.tooLong("bulk string of \(length) bytes")) { try decoder.next(&bulk) }
        var line = ByteBuffer(repeating: UInt8(ascii: "+"), count: ClientLimits.replyLineBytesMax + 4)
        #expect(throws: RESPError.tooLong("line over \(ClientLimits.replyLineBytesMax) bytes")) {
            try decoder.next(&line)
        }
    }

    @Test func `random bytes never trap`() {
        var generator = SystemRandomNumberGenerator()
        let alphabet = Array("+-:_#,($!=*~%>|0123456789\r\n\r\n\r\nax".utf8)
        for _ in 0..<20_000 {
            var buffer = ByteBuffer(
                bytes: (0..<Int.random(in: 1...40)).map { _ in alphabet.randomElement(using: &generator) ?? 0 }
            )
            var decoder = RESPDecoder()
            // An error is as good as a value: only a trap fails.
            while let value = try? decoder.next(&buffer) { _ = value }
        }
    }

    @Test func `a request is an array of bulk strings`() {
        var commands = RESPCommands([Array("GET".utf8), [0, 13, 10]])
        commands.appendSet(key: Array("k".utf8), value: [])
        #expect(commands.count == 2)
        #expect(
            String(buffer: commands.buffer)
                == "*2\r\n$3\r\nGET\r\n$3\r\n\0\r\n\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n"
        )
    }
}
