import Synchronization
import Testing

@testable import KVClient

struct WriteSessionTests {
    private func client(_ server: FakeServer, timeout: Duration = .seconds(300)) -> KVClient {
        var configuration = KVClient.Configuration(
            endpoints: [server.endpoint],
            requestTimeout: timeout,
            backOffMin: .milliseconds(1),
            backOffMax: .milliseconds(5)
        )
        configuration.repeatsWrites = true
        return KVClient(configuration)
    }

    @Test func `a write whose answer was lost is sent again under the same number`() async throws {
        let server = try await FakeServer.start { words, number in
            if words[1] == "OPEN" { return .reply(":7\r\n") }
            return number == 1 ? .close : .reply(":5\r\n")
        }
        let client = client(server)
        #expect(try await client.increment("n", by: 5) == 5)
        #expect(server.requests[1] == ["KV.SESSION", "DO", "7", "1", "1", "INCRBY", "n", "5"])
        #expect(server.requests[2] == server.requests[1])
        #expect(try await client.increment("n", by: 5) == 5)
        #expect(server.requests[3] == ["KV.SESSION", "DO", "7", "2", "2", "INCRBY", "n", "5"])
        await client.shutdown()
        try await server.stop()
    }

    @Test func `where no answer ever comes the outcome is unknown, and the session is not used again`() async throws {
        let opened = Mutex<Int>(0)
        let server = try await FakeServer.start { words, _ in
            guard words[1] == "OPEN" else { return words[2] == "1" ? .close : .reply("+OK\r\n") }
            let number = opened.withLock { count in
                count += 1
                return count
            }
            return .reply(":\(number)\r\n")
        }
        let client = client(server, timeout: .seconds(1))
        do {
            try await client.put("a", "b")
            Issue.record("it was told that the write was done")
        } catch {
            #expect(error.isOutcomeUnknown)
        }
        try await client.put("a", "b")
        #expect(server.requests.last?[2] == "2")
        await client.shutdown()
        try await server.stop()
    }

    @Test func `a refused write had no effect, and says so`() async throws {
        let server = try await FakeServer.start { words, _ in
            words[1] == "OPEN" ? .reply(":7\r\n") : .reply("-NOPERM no\r\n")
        }
        let client = client(server)
        await #expect(throws: ClientError.rejected(code: "NOPERM", message: "no")) { try await client.put("a", "b") }
        await client.shutdown()
        try await server.stop()
    }

    @Test func `more writes at once than nodes remember results for use more than one session`() async throws {
        let sessions = WriteSessions()
        sessions.add(1)
        var taken: [WriteSessions.Stamp] = []
        while let stamp = sessions.take() { taken.append(stamp) }
        #expect(taken.count == WriteSessions.outstandingMax)
        #expect(taken.allSatisfy { $0.lowest == 1 })
        sessions.add(2)
        #expect(sessions.take()?.session == 2)
        sessions.finish(taken[0], isKnown: true)
        #expect(sessions.take() == WriteSessions.Stamp(session: 1, sequence: 129, lowest: 2))
    }
}
