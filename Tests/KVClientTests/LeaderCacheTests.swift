import KVBase
import Testing

@testable import KVClient

struct LeaderCacheTests {
    private let slot = Slot(rawValue: 12_000)

    /// `CLUSTER SLOTS` as a node answers it, with these leaders of the two halves.
    private func slots(_ low: String, _ high: String) -> RESPValue {
        .array(
            [(0, 8_191, low), (8_192, 16_383, high)].map { first, last, node in
                .array([
                    .integer(Int64(first)), .integer(Int64(last)),
                    .array([.bulk(bytes("10.0.0.9")), .integer(6400), .bulk(bytes(node)), .array([])]),
                ])
            }
        )
    }

    @Test func `a request goes to the endpoint that says it is the slot's leader`() {
        let cache = LeaderCache(endpoints: 3, isUsed: true)
        #expect(cache.endpoint(for: slot) == nil)
        cache.learned(0, node: "n1", slots: slots("n1", "n3"))
        cache.learned(2, node: "n3", slots: slots("n1", "n3"))
        #expect(cache.endpoint(for: slot) == 2)
        #expect(cache.endpoint(for: Slot(rawValue: 0)) == 0)
        cache.learned(0, node: "n1", slots: slots("n1", "n1"))
        #expect(cache.endpoint(for: slot) == 0)
    }

    @Test func `an endpoint that failed is left aside until it answers or time has passed`() {
        let cache = LeaderCache(endpoints: 2, isUsed: true)
        let now = ContinuousClock.now
        cache.learned(1, node: "n2", slots: slots("n2", "n2"))
        cache.failed(1, now: now)
        #expect(cache.endpoint(for: slot, now: now + .seconds(1)) == nil)
        #expect(cache.endpoint(for: slot, now: now + LeaderCache.lifetime) == 1)
        cache.failed(1, now: now)
        cache.learned(1, node: "n2", slots: nil)
        #expect(cache.endpoint(for: slot, now: now) == 1)
    }

    @Test func `while the leader is none of the known endpoints, one request in eight looks for it`() {
        let cache = LeaderCache(endpoints: 2, isUsed: true)
        cache.learned(0, node: "n1", slots: slots("n2", "n2"))
        let tried = (0..<16).map { _ in cache.endpoint(for: slot) }
        #expect(tried.count { $0 == 1 } == 2)
        #expect(tried.allSatisfy { $0 == nil || $0 == 1 })
    }

    @Test func `it asks once in a lifetime, each endpoint once, and again after a failure`() {
        let cache = LeaderCache(endpoints: 2, isUsed: true)
        let now = ContinuousClock.now
        #expect(cache.shouldAsk(0, now: now))
        #expect(!cache.shouldAsk(0, now: now))
        #expect(cache.shouldAsk(1, now: now))
        cache.learned(0, node: "n1", slots: slots("n1", "n1"))
        #expect(!cache.shouldAsk(0, now: now + .seconds(1)))
        #expect(cache.shouldAsk(0, now: now + LeaderCache.lifetime))
        cache.failed(1, now: now)
        // However many requests are refused, it is asked now and then.
        #expect(!cache.shouldAsk(0, now: now + LeaderCache.lifetime))
        #expect(cache.shouldAsk(0, now: now + LeaderCache.lifetime + LeaderCache.questionInterval))
        #expect(!cache.shouldAsk(0, now: now + LeaderCache.lifetime + LeaderCache.questionInterval))
    }

    @Test(arguments: [
        RESPValue.null, .array([]), .array([.integer(1)]),
        .array([.array([.integer(0), .integer(99_999), .array([])])]),
        .error(code: "ERR", message: "no"),
    ])
    func `an answer that makes no sense changes nothing`(_ answer: RESPValue) {
        let cache = LeaderCache(endpoints: 2, isUsed: true)
        cache.learned(0, node: "n1", slots: slots("n1", "n1"))
        cache.learned(0, node: "n1", slots: answer)
        #expect(cache.endpoint(for: slot) == 0)
    }

    @Test func `with one endpoint, or where it is switched off, nothing is asked`() {
        for cache in [LeaderCache(endpoints: 1, isUsed: true), LeaderCache(endpoints: 3, isUsed: false)] {
            #expect(!cache.shouldAsk(0))
            #expect(cache.endpoint(for: slot) == nil)
        }
    }

    @Test func `a client learns the leader from one node and sends the next requests there`() async throws {
        let answer = "*1\r\n*3\r\n:0\r\n:16383\r\n*4\r\n$1\r\nh\r\n:1\r\n$2\r\nn2\r\n*0\r\n"
        let script = { (name: String) -> FakeServer.Script in
            { words, _ in
                switch words {
                case ["CLUSTER", "MYID"]: .reply("$2\r\n\(name)\r\n")
                case ["CLUSTER", "SLOTS"]: .reply(answer)
                default: .reply("$1\r\nv\r\n")
                }
            }
        }
        let first = try await FakeServer.start(script("n1"))
        let second = try await FakeServer.start(script("n2"))
        let client = KVClient(endpoints: [first.endpoint, second.endpoint])
        // The first request of a connection has the questions before it: their answers are there when its own is.
        for _ in 0..<40 { _ = try await client.get("a") }
        #expect(second.requests.count { $0 == ["GET", "a"] } >= 30)
        #expect(first.requests.count { $0[0] == "CLUSTER" } == 2)
        await client.shutdown()
        try await first.stop()
        try await second.stop()
    }
}
