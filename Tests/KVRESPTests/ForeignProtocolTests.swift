import KVTelemetry
import Testing

@testable import KVRESP

/// A web page can make a browser send HTTP to any port: no line of it may become a command.
@Suite struct ForeignProtocolTests {
    @Test(arguments: [
        "POST / HTTP/1.1\r\nHost: x\r\n\r\nSET k v\r\n", "post x\r\nSET k v\r\n", "Host: x\r\nSET k v\r\n",
        "hOST:\r\nSET k v\r\n", "*1\r\n$4\r\nPOST\r\nSET k v\r\n", "*2\r\n$5\r\nhost:\r\n$1\r\nx\r\nSET k v\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n\r\nSET k v\r\n", "PING\r\nPOST x\r\nSET k v\r\n",
    ])
    func `a command that is a line of HTTP ends the connection without a word`(text: String) throws {
        let harness = try RESPHarness()
        #expect(try harness.send(text) == "")
        #expect(!harness.channel.isActive)
        #expect(harness.service.counts.requests == 0)
        #expect(harness.registry.counter(.rejectedTotal, "resp", "cross_protocol").value == 1)
        #expect(harness.registry.counter(.rejectedTotal, "resp", "protocol_error").value == 0)
    }

    @Test func `what waits for an answer gets none, and what was queued is not done`() throws {
        let harness = try RESPHarness()
        harness.service.hold()
        _ = try harness.send("SET a 1\r\n")
        #expect(try harness.send("MULTI\r\nSET k v\r\nPOST /\r\nEXEC\r\n") == "")
        harness.service.release()
        #expect(try harness.received() == "")
        #expect(!harness.channel.isActive)
        #expect(harness.service.counts.requests == 1)
    }

    @Test func `a key or a value may be such a word`() throws {
        let harness = try RESPHarness()
        #expect(try harness.send("SET POST Host:\r\n") == "+OK\r\n")
        #expect(try harness.send("GET POST\r\n") == "$5\r\nHost:\r\n")
        #expect(try harness.send("Host:x y\r\n") == "-ERR unknown command 'Host:x', with args beginning with: 'y' \r\n")
    }
}
