import NIOCore
import Testing

@testable import KVClient

struct KVClientTests {
    private func client(_ endpoints: [Endpoint], timeout: Duration = .seconds(300), inFlightMax: Int = 4096) -> KVClient
    {
        var configuration = KVClient.Configuration(
            endpoints: endpoints,
            requestTimeout: timeout,
            inFlightMax: inFlightMax,
            backOffMin: .milliseconds(1),
            backOffMax: .milliseconds(5)
        )
        // What these tests are about is what is sent, and how often.
        configuration.repeatsWrites = false
        configuration.findsLeaders = false
        return KVClient(configuration)
    }

    @Test func `requests of many tasks share one connection and each gets its own reply`() async throws {
        let server = try await FakeServer.start { words, _ in .reply("$\(words[1].utf8.count)\r\n\(words[1])\r\n") }
        let client = client([server.endpoint])
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for index in 0..<500 {
                group.addTask { try await client.get("key-\(index)") == bytes("key-\(index)") }
            }
            for try await isRight in group { #expect(isRight) }
        }
        await client.shutdown()
        try await server.stop()
    }

    @Test func `the data calls speak as Redis does`() async throws {
        let server = try await FakeServer.start { words, _ in
            switch words {
            case ["GET", "a"]: .reply("$-1\r\n")
            case ["SET", "a", "b"], ["SET", "a", "b", "PX", "1500"]: .reply("+OK\r\n")
            case ["DEL", "a"]: .reply(":1\r\n")
            case ["INCRBY", "n", "-2"]: .reply(":40\r\n")
            default: .reply("-ERR unexpected \(words.joined(separator: " "))\r\n")
            }
        }
        let client = client([server.endpoint])
        #expect(try await client.get("a") == nil)
        try await client.put("a", "b")
        try await client.put("a", "b", timeToLive: .milliseconds(1500))
        #expect(try await client.delete("a"))
        #expect(try await client.increment("n", by: -2) == 40)
        await #expect(throws: ClientError.rejected(code: "ERR", message: "unexpected DEL x")) {
            try await client.delete("x")
        }
        await client.shutdown()
        try await server.stop()
    }

    @Test func `it goes on to the next endpoint where nothing listens, and stays there`() async throws {
        let dead = try await deadEndpoint()
        let server = try await FakeServer.start { _, _ in .reply("+OK\r\n") }
        let client = client([dead, server.endpoint])
        for _ in 0..<3 { try await client.put("a", "b") }
        #expect(server.requests.count == 3)
        await client.shutdown()
        try await server.stop()
    }

    @Test(arguments: ["-CLUSTERDOWN no leader", "-TRYAGAIN moving", "-OVERLOADED queue full"])
    func `a write that a node could not serve goes to the next`(_ refusal: String) async throws {
        let first = try await FakeServer.start { _, _ in .reply(refusal + "\r\n") }
        let second = try await FakeServer.start { _, number in .reply(number == 0 ? refusal + "\r\n" : "+OK\r\n") }
        let client = client([first.endpoint, second.endpoint])
        try await client.put("a", "b")
        #expect(first.requests.count >= 1)
        #expect(second.requests.count == 2)
        await client.shutdown()
        try await first.stop()
        try await second.stop()
    }

    @Test func `a write whose outcome a node does not know is not sent again`() async throws {
        let first = try await FakeServer.start { _, _ in .reply("-UNKNOWN leader lost\r\n") }
        let second = try await FakeServer.start { _, _ in .reply("+OK\r\n") }
        let client = client([first.endpoint, second.endpoint])
        let error = await #expect(throws: ClientError.self) { try await client.put("a", "b") }
        #expect(error?.isOutcomeUnknown == true)
        #expect(second.requests.isEmpty)
        await client.shutdown()
        try await first.stop()
        try await second.stop()
    }

    @Test func `a write on a connection that is lost has an unknown outcome, a read is repeated elsewhere`()
        async throws
    {
        let first = try await FakeServer.start { _, _ in .close }
        let second = try await FakeServer.start { _, _ in .reply("$1\r\nv\r\n") }
        let client = client([first.endpoint, second.endpoint])
        let error = await #expect(throws: ClientError.self) { try await client.put("a", "b") }
        #expect(error?.isOutcomeUnknown == true)
        #expect(try await client.get("a") == bytes("v"))
        await client.shutdown()
        try await first.stop()
        try await second.stop()
    }

    @Test func `every request in flight on a lost connection fails as unknown`() async throws {
        let server = try await FakeServer.start { _, number in number < 9 ? .ignore : .close }
        let connection = try await RESPConnection.connect(to: server.endpoint)
        await withTaskGroup(of: ClientError?.self) { group in
            for index in 0..<10 {
                group.addTask {
                    do throws(ClientError) {
                        _ = try await connection.send([bytes("SET"), bytes("\(index)"), []])
                        return nil
                    } catch {
                        return error
                    }
                }
            }
            for await error in group { #expect(error?.isOutcomeUnknown == true) }
        }
        await #expect(throws: ClientError.closed) { try await connection.send([bytes("PING")]) }
        try await server.stop()
    }

    @Test func `a node that is silent costs one timeout`() async throws {
        let silent = try await FakeServer.start { _, _ in .ignore }
        let client = client([silent.endpoint], timeout: .milliseconds(50))
        let error = await #expect(throws: ClientError.self) { try await client.put("a", "b") }
        #expect(error?.isOutcomeUnknown == true)
        await client.shutdown()
        try await silent.stop()
    }

    @Test func `without any node the error names each and says that nothing was sent`() async throws {
        let dead = try await deadEndpoint()
        let client = client([dead], timeout: .milliseconds(100))
        let error = await #expect(throws: ClientError.self) { try await client.put("a", "b") }
        guard case .cannotConnect(let text)? = error else {
            Issue.record("got \(String(describing: error))")
            return
        }
        #expect(text.contains(dead.description))
        await client.shutdown()
    }

    @Test func `nodes without a leader end in unavailable at the deadline`() async throws {
        let server = try await FakeServer.start { _, _ in .reply("-CLUSTERDOWN no leader\r\n") }
        let client = client([server.endpoint], timeout: .seconds(1))
        await #expect(throws: ClientError.unavailable("\(server.endpoint): CLUSTERDOWN no leader")) {
            try await client.put("a", "b")
        }
        await client.shutdown()
        try await server.stop()
    }

    @Test func `a request over the bound fails at once, unsent`() async throws {
        let server = try await FakeServer.start { _, _ in .ignore }
        let connection = try await RESPConnection.connect(to: server.endpoint, options: .init(inFlightMax: 2))
        let sink = CollectingSink()
        var commands = RESPCommands([bytes("PING")])
        commands.append([bytes("PING")])
        connection.submit(commands, numberedFrom: 0, to: sink)
        await #expect(throws: ClientError.tooManyInFlight(2)) { try await connection.send([bytes("PING")]) }
        connection.close()
        try await server.stop()
    }

    @Test func `garbage from a node ends the connection and nothing else`() async throws {
        let server = try await FakeServer.start { _, _ in .reply("what?\r\n") }
        let connection = try await RESPConnection.connect(to: server.endpoint)
        let error = await #expect(throws: ClientError.self) { try await connection.send([bytes("GET"), bytes("a")]) }
        #expect(error?.isOutcomeUnknown == true)
        try await server.stop()
    }

    @Test func `a reply that nobody asked for ends the connection`() async throws {
        let server = try await FakeServer.start { _, _ in .reply("+OK\r\n+OK\r\n") }
        let connection = try await RESPConnection.connect(to: server.endpoint)
        #expect(try await connection.send([bytes("PING")]) == .simple("OK"))
        try await connection.closeFuture.get()
        #expect(!connection.isActive)
        try await server.stop()
    }

    @Test(arguments: [
        ("127.0.0.1:6401", Endpoint(host: "127.0.0.1", port: 6401)), ("[::1]:1", Endpoint(host: "::1", port: 1)),
        ("kv-1.example:65535", Endpoint(host: "kv-1.example", port: 65_535)), ("::1:6401", nil), ("host", nil),
        (":1", nil),
        ("h:0", nil), ("h:65536", nil), ("h:+1", nil), ("h:1x", nil), ("a/b:1", nil),
    ])
    func `an endpoint is a host and a port`(_ text: String, _ expected: Endpoint?) {
        #expect(Endpoint(text) == expected)
        if let expected { #expect(Endpoint(expected.description) == expected) }
    }
}

/// Ignores what it is given.
final class CollectingSink: RESPReplySink {
    func received(_ reply: RESPValue, for number: UInt64) {}
    func failed(_ numbers: Range<UInt64>, _ error: ClientError) {}
    func paused() {}
}
