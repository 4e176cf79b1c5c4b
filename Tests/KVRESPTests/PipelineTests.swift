import KVBase
import KVService
import NIOCore
import NIOEmbedded
import Testing

@testable import KVRESP

@Suite struct PipelineTests {
    @Test func `a stream cut at any byte is answered the same`() throws {
        let stream =
            encode(line: "SET k hello") + encode(line: "GET k") + Array("PING\r\n".utf8) + encode(["SET", "e", ""])
            + Array("*0\r\n\r\n".utf8) + Array("set \"a b\" 'c d'\n".utf8) + encode(["GET", "a b"])
            + encode(line: "MGET k e x")
        let answer = "+OK\r\n$5\r\nhello\r\n+PONG\r\n+OK\r\n+OK\r\n$3\r\nc d\r\n*3\r\n$5\r\nhello\r\n$0\r\n\r\n$-1\r\n"
        #expect(try RESPHarness().send(stream) == answer)
        for cut in 1..<stream.count {
            let harness = try RESPHarness()
            let first = try harness.send(Array(stream[..<cut]))
            #expect(try first + harness.send(Array(stream[cut...])) == answer, "cut at \(cut)")
        }
        let harness = try RESPHarness()
        #expect(try stream.map { try harness.send([$0]) }.joined() == answer)
    }

    @Test func `a burst is submitted as one batch and answered with one write`() throws {
        let harness = try RESPHarness()
        let stream = (0..<100).flatMap { encode(["SET", "k\($0)", "v"]) }
        try harness.channel.writeInbound(ByteBuffer(bytes: stream))
        harness.channel.embeddedEventLoop.run()
        let reply = try harness.channel.readOutbound(as: ByteBuffer.self)
        #expect(reply.map { String(buffer: $0) } == String(repeating: "+OK\r\n", count: 100))
        #expect(harness.service.counts.batches == 1)
        #expect(harness.service.counts.requests == 100)
    }

    @Test func `replies that come in another order are written in the order of the commands`() throws {
        let harness = try RESPHarness()
        _ = try harness.call("MSET", "a", "1", "b", "2", "c", "3")
        harness.service.hold()
        let stream = ["GET a", "PING", "MGET b c", "foo", "GET x", "STRLEN c"].flatMap { encode(line: $0) }
        #expect(try harness.send(stream) == "")
        harness.service.release(reversed: true)
        #expect(
            try harness.received()
                == "$1\r\n1\r\n+PONG\r\n*2\r\n$1\r\n2\r\n$1\r\n3\r\n"
                + "-ERR unknown command 'foo', with args beginning with: \r\n$-1\r\n:1\r\n"
        )
    }

    @Test func `MSET is one joined run of requests`() throws {
        let harness = try RESPHarness()
        let connection = try harness.channel.pipeline.syncOperations.handler(type: RESPConnection.self)
        let ranges = [(0, 4), (4, 1), (5, 1), (6, 1), (7, 1)].map { ArgumentRange(offset: $0.0, count: $0.1) }
        try Array("mseta1b2".utf8).withUnsafeBytes { bytes in
            try ranges.withUnsafeBufferPointer { ranges in
                try connection.setMany(Arguments(base: #require(bytes.baseAddress), ranges: ranges))
            }
        }
        #expect(connection.batch.items.map(\.joinsPrevious) == [false, true])
    }

    @Test func `a read waits for the writes of an earlier burst, and a write for its reads`() throws {
        let harness = try RESPHarness()
        harness.service.hold()
        #expect(try harness.call("SET", "k", "v") == "")
        #expect(try harness.call("GET", "k") == "")
        #expect(harness.service.counts.requests == 1)
        harness.service.release(keepHolding: true)
        #expect(try harness.received() == "+OK\r\n")
        #expect(harness.service.counts.requests == 2)
        #expect(try harness.call("SET", "k", "w") == "")
        #expect(harness.service.counts.requests == 2)
        harness.service.release()
        #expect(try harness.received() == "$1\r\nv\r\n+OK\r\n")
    }

    @Test func `a scan sees the writes of its own burst`() throws {
        let harness = try RESPHarness()
        #expect(try harness.send(encode(line: "SET k v") + encode(line: "KEYS *")) == "+OK\r\n*1\r\n$1\r\nk\r\n")
    }

    @Test func `too many unanswered commands stop the reading until half are answered`() throws {
        let harness = try RESPHarness { $0.requestsInFlightMax = 8 }
        harness.service.hold()
        #expect(try harness.send((0..<20).flatMap { _ in encode(line: "INCR n") }) == "")
        #expect(harness.service.counts.requests == 8)
        harness.service.release()
        #expect(try harness.received() == (1...20).map { ":\($0)\r\n" }.joined())
    }

    @Test func `a client that does not read its replies is not read either`() throws {
        let harness = try RESPHarness()
        harness.setWritable(false)
        #expect(try harness.call("PING") == "")
        harness.setWritable(true)
        #expect(try harness.received() == "+PONG\r\n")
    }

    @Test func `a client whose unread replies outgrow the bound is disconnected`() throws {
        let harness = try RESPHarness { $0.outputBytesMax = 1_000 }
        _ = try harness.call("SET", "k", String(repeating: "x", count: 400))
        harness.service.hold()
        _ = try harness.send((0..<10).flatMap { _ in encode(line: "GET k") })
        harness.service.release()
        _ = try harness.received()
        #expect(!harness.channel.isActive)
        #expect(
            harness.registry.exposition().contains("kv_rejected_total{transport=\"resp\",reason=\"output_bound\"} 1")
        )
    }

    @Test func `half a request and then the end closes without a reply`() throws {
        let harness = try RESPHarness()
        #expect(try harness.send("*2\r\n$3\r\nGET\r\n$1\r") == "")
        harness.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        #expect(try harness.received() == "")
        #expect(!harness.channel.isActive)
        #expect(harness.server.connectionCount == 0)
    }

    @Test func `a client that half-closes gets the replies that it waits for`() throws {
        let harness = try RESPHarness()
        harness.service.hold()
        #expect(try harness.send(encode(line: "SET k v") + encode(line: "PING")) == "")
        harness.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        #expect(try harness.received() == "")
        #expect(harness.channel.isActive)
        harness.service.release()
        #expect(try harness.received() == "+OK\r\n+PONG\r\n")
        #expect(!harness.channel.isActive)
    }

    @Test func `replies after the connection is gone are dropped`() throws {
        let harness = try RESPHarness()
        harness.service.hold()
        _ = try harness.send(encode(line: "SET k v") + encode(line: "GET k"))
        try harness.channel.close().wait()
        harness.service.release()
        #expect(harness.server.connectionCount == 0)
    }

    @Test func `QUIT answers, closes, and ignores what follows`() throws {
        let harness = try RESPHarness()
        #expect(try harness.send(encode(line: "QUIT") + encode(line: "PING")) == "+OK\r\n")
        #expect(!harness.channel.isActive)
    }

    @Test func `a value as large as the limit arrives in pieces and returns whole`() throws {
        let harness = try RESPHarness(limits: RequestLimits(keyBytesMax: 100, valueBytesMax: 1 << 20))
        let value = String(repeating: "abcdefgh", count: 1 << 17)
        let command = encode(["SET", "big", value])
        var replies = ""
        for start in stride(from: 0, to: command.count, by: 50_001) {
            replies += try harness.send(Array(command[start..<min(command.count, start + 50_001)]))
        }
        #expect(replies == "+OK\r\n")
        #expect(try harness.call("GET", "big") == "$1048576\r\n\(value)\r\n")
        #expect(
            try harness.send("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1048577\r\n")
                == "-ERR Protocol error: invalid bulk length: an argument has at most 1048576 bytes\r\n"
        )
        #expect(!harness.channel.isActive)
    }

    @Test(arguments: [
        ("*-x\r\n", "invalid multibulk length"), ("*99999999\r\n", "invalid multibulk length"),
        ("*9999999999999999999999\r\n", "invalid multibulk length"), ("*1x\r\n", "invalid multibulk length"),
        ("*1\r\n+OK\r\n", "expected '$', got '+'"), ("*1\r\n*1\r\n", "expected '$', got '*'"),
        ("*1\r\n\u{1}", "expected '$', got '\\x1'"), ("*1\r\n$-1\r\n", "invalid bulk length"),
        ("*1\r\n$x\r\n", "invalid bulk length"),
        ("*1\r\n$99999999999\r\n", "invalid bulk length: an argument has at most 4194304 bytes"),
        ("*1\r\n$007\r\n", "invalid bulk length"), ("*1\r\n$4\r\nPINGxx", "expected CRLF after a bulk string"),
        ("set \"a\r\n", "unbalanced quotes in request"), ("set 'a'b\r\n", "unbalanced quotes in request"),
        (String(repeating: "a", count: 65_536), "too big inline request"),
        ("*" + String(repeating: "1", count: 65_536), "too big mbulk count string"),
        ("*1\r\n$" + String(repeating: "1", count: 65_536), "too big bulk count string"),
    ])
    func `bytes that are no command are answered with Redis's text, then the end`(bytes: String, text: String) throws {
        let harness = try RESPHarness()
        #expect(
            try harness.send(encode(line: "PING") + Array(bytes.utf8)) == "+PONG\r\n-ERR Protocol error: \(text)\r\n"
        )
        #expect(!harness.channel.isActive)
    }

    @Test func `a command over the size limit is refused before it is there`() throws {
        let harness = try RESPHarness { $0.commandBytesMax = 1_000 }
        #expect(
            try harness.send("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2000\r\n")
                == "-ERR Protocol error: command over 1000 bytes\r\n"
        )
    }

    @Test func `a negative or zero count is skipped as Redis does`() throws {
        #expect(try RESPHarness().send("*-1\r\n*0\r\n\r\n\n   \r\nPING\r\n") == "+PONG\r\n")
    }

    @Test func `an inline command understands quotes and escapes`() throws {
        let harness = try RESPHarness()
        _ = try harness.send("SET k \"a\\x41\\n\\\"b\" \r\n")
        #expect(try harness.call("GET", "k") == "$5\r\naA\n\"b\r\n")
    }

    @Test func `past the bound a client is told so and closed`() throws {
        let harness = try RESPHarness { $0.connectionsMax = 1 }
        let second = EmbeddedChannel(loop: harness.channel.embeddedEventLoop)
        try second.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 2)).wait()
        try harness.server.adopt(second)
        second.embeddedEventLoop.run()
        let reply = try second.readOutbound(as: ByteBuffer.self)
        #expect(reply.map { String(buffer: $0) } == "-ERR max number of clients reached\r\n")
        #expect(!second.isActive)
    }

    @Test(arguments: 0..<20)
    func `mutated streams never trap and leave a working server`(seed: UInt64) throws {
        var random = SplitMix(state: seed &* 0x9e37_79b9 &+ 1)
        let lines = [
            "SET k v EX 10 NX GET", "GET k", "MSET a 1 b 2", "MGET a b", "SCAN 0 MATCH a* COUNT 5", "INCRBY n 5",
            "EXPIRE k 5 GT",
            "HELLO 3", "CLIENT LIST", "COMMAND DOCS get", "INFO server", "KEYS [a-", "SETEX k 10 v", "DEL a b c",
            "CONFIG GET *",
        ]
        for _ in 0..<60 {
            let harness = try RESPHarness { $0.requestsInFlightMax = 4 }
            var stream = (0..<4).flatMap { _ in encode(line: lines[Int(random.next() % UInt64(lines.count))]) }
            for _ in 0...Int(random.next() % 4) {
                let place = Int(random.next() % UInt64(stream.count))
                switch random.next() % 4 {
                case 0: stream[place] = UInt8(truncatingIfNeeded: random.next())
                case 1: stream.remove(at: place)
                case 2:
                    stream.insert(contentsOf: Array("\r\n*$-1\"'".utf8).shuffled(using: &random).prefix(2), at: place)
                default: stream[place] ^= 1 << UInt8(random.next() % 8)
                }
            }
            let cut = Int(random.next() % UInt64(stream.count + 1))
            if random.next() % 2 == 0 { harness.service.hold() }
            _ = try harness.send(Array(stream[..<cut]))
            if harness.channel.isActive { _ = try harness.send(Array(stream[cut...])) }
            harness.service.release(reversed: random.next() % 2 == 0)
            _ = try harness.received()
            harness.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
            _ = try harness.received()
            #expect(!harness.channel.isActive)
            #expect(harness.server.connectionCount == 0)
        }
    }
}

struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
