import Foundation
import Testing

@testable import KVClient

struct AdminTests {
    private static func status(
        _ node: Int,
        leader: Int,
        role: String? = nil,
        ready: Bool = true,
        term: Int = 3
    ) -> String {
        """
        {"node":"\(node)","cluster":"c","incarnation":"00","version":"1","ready":\(ready),"alarms":[],"groups":[
        {"id":"1","replica":"\(node)","role":"\(role ?? (node == leader ? "leader" : "follower"))","term":\(term),"leader":"\(leader)",
        "commitIndex":9,"appliedIndex":8,"firstIndex":1,"lastIndex":9,"logBytes":100,"lag":{"2":1},"shards":["0","1"]}],
        "peers":[],"storage":{"flushes":1},"later":{"more":1}}
        """
    }

    private static func answer(_ json: String) throws -> NodeAnswer<NodeStatus> {
        let status = try JSONDecoder().decode(NodeStatus.self, from: Data(json.utf8))
        return NodeAnswer(endpoint: Endpoint(host: "h", port: 1), result: .success(status), elapsed: .zero)
    }

    private static let down = NodeAnswer<NodeStatus>(
        endpoint: Endpoint(host: "h", port: 2),
        result: .failure(.cannotConnect("refused")),
        elapsed: .zero
    )

    @Test func `a status is read leniently`() throws {
        let status = try Self.answer(Self.status(1, leader: 1)).result.get()
        #expect(status.groups.first?.lag == ["2": 1])
        #expect(status.groups.first?.shards == ["0", "1"])
        #expect(status.storage.flushes == 1 && status.storage.compactions == 0)
        let bare = try Self.answer("{\"node\":7,\"groups\":[{\"id\":1,\"shards\":[3],\"term\":\"5\"}]}").result.get()
        #expect(bare.node == "7" && !bare.isReady)
        let text = "{\"ready\":true,\"version\":\"2\",\"peers\":[{\"id\":\"3\",\"connected\":true}]}"
        let other = try Self.answer(text).result.get()
        #expect(other.isReady && other.softwareVersion == "2" && other.peers.first?.isConnected == true)
        // kvctl's JSON has the same names.
        #expect(try Self.answer(String(decoding: JSONEncoder().encode(other), as: UTF8.self)).result.get() == other)
        #expect(bare.groups.first?.shards == ["3"] && bare.groups.first?.term == 5)
    }

    @Test func `three nodes with one leader are healthy`() throws {
        let answers = try [1, 2, 3].map { try Self.answer(Self.status($0, leader: 2)) }
        #expect(ClusterVerdict(answers).isHealthy)
    }

    @Test func `what is wrong is named`() throws {
        func reasons(_ texts: [String], _ further: [NodeAnswer<NodeStatus>] = []) throws -> [String] {
            ClusterVerdict(try texts.map { try Self.answer($0) } + further).reasons
        }
        #expect(
            try reasons([Self.status(1, leader: 1, role: "candidate"), Self.status(2, leader: 1)]) == [
                "group 1 has no leader"
            ]
        )
        #expect(
            try reasons([Self.status(1, leader: 1), Self.status(2, leader: 2)]) == ["group 1 has 2 leaders in term 3"]
        )
        // A leader of an older term is no second leader.
        #expect(try reasons([Self.status(1, leader: 1), Self.status(2, leader: 2, term: 2)]).isEmpty)
        #expect(try reasons([Self.status(1, leader: 1, ready: false)]) == ["node 1 is not ready"])
        let peer = "\"peers\":[{\"id\":\"2\",\"connected\":true,\"addresses\":{\"http\":\"h:2\"}}]"
        let first = Self.status(1, leader: 1).replacingOccurrences(of: "\"peers\":[]", with: peer)
        #expect(try reasons([first], [Self.down]).count == 1)
        #expect(try reasons([], [Self.down]).first == "no node answers")
    }

    @Test func `a dead node costs one deadline and the others answer`() async throws {
        let live = try await FakeHTTPServer.start { path in
            path == "/status" ? (200, Self.status(1, leader: 1)) : (404, "{}")
        }
        let silent = try await FakeHTTPServer.start { _ in nil }
        let dead = try await deadEndpoint()
        let client = KVClient(.init(endpoints: [], httpEndpoints: [silent.endpoint, dead, live.endpoint]))
        let answers = await client.status(within: .seconds(10))
        #expect(answers.map(\.endpoint) == [silent.endpoint, dead, live.endpoint])
        #expect(throws: ClientError.self) { try answers[0].result.get() }
        #expect(throws: ClientError.self) { try answers[1].result.get() }
        #expect(try answers[2].result.get().node == "1")
        await client.shutdown()
        try await live.stop()
        try await silent.stop()
    }

    @Test func `a node that only its peers name is asked too`() async throws {
        let second = try await FakeHTTPServer.start { _ in (200, Self.status(2, leader: 1)) }
        let address = second.endpoint.description
        let first = try await FakeHTTPServer.start { _ in
            let text = Self.status(1, leader: 1)
            return (
                200,
                text.replacingOccurrences(
                    of: "\"peers\":[]",
                    with: "\"peers\":[{\"id\":\"2\",\"connected\":true,\"addresses\":{\"http\":\"\(address)\"}}]"
                )
            )
        }
        let client = KVClient(.init(endpoints: [], httpEndpoints: [first.endpoint]))
        let answers = await client.status(within: .seconds(60))
        #expect(try answers.map { try $0.result.get().node } == ["1", "2"])
        await client.shutdown()
        try await first.stop()
        try await second.stop()
    }

    @Test func `reads that need not be linearizable and listings go over HTTP`() async throws {
        let server = try await FakeHTTPServer.start { path in
            switch path {
            case "/v1/kv/a%2F%C3%A9%00?consistency=stale": (200, "value")
            case "/v1/kv?limit=1&start=a%FF&end=a%FF%00&consistency=stale":
                (200, "{\"items\":[{\"key\":\"Yf8=\",\"value\":\"Yg==\"}]}")
            case "/v1/kv/none?consistency=lease": (404, "{}")
            case "/v1/kv?limit=2&prefix=p%20":
                (200, "{\"items\":[{\"key\":\"YQ==\",\"value\":\"Yg==\",\"version\":\"7\"}],\"cursor\":\"c+1\"}")
            case "/v1/kv?limit=2&prefix=p%20&cursor=c%2B1": (200, "{\"items\":[],\"cursor\":null}")
            default: (400, "{\"code\":\"bad_request\",\"message\":\"\(path)\"}")
            }
        }
        let client = KVClient(.init(endpoints: [], httpEndpoints: [server.endpoint]))
        #expect(try await client.get("a/é\0", consistency: .stale) == bytes("value"))
        #expect(try await client.get([97, 255], consistency: .stale) == bytes("b"))
        #expect(try await client.get("none", consistency: .lease) == nil)
        let query = ScanQuery(prefix: bytes("p "), pageSize: 2)
        let page = try await client.scan(query)
        #expect(page == ScanPage(rows: [.init(key: [97], value: [98], version: 7)], cursor: "c+1"))
        #expect(try await client.scan(query, cursor: page.cursor) == ScanPage(rows: [], cursor: nil))
        await #expect(throws: ClientError.httpStatus(400, message: "bad_request: /v1/kv?limit=3")) {
            try await client.scan(ScanQuery(pageSize: 3))
        }
        await client.shutdown()
        try await server.stop()
    }

    @Test func `digests are asked of every node`() async throws {
        let digest = "[{\"group\":\"1\",\"shard\":\"0\",\"appliedIndex\":4,\"keys\":2,\"hash\":\"00\"}]"
        @Sendable func answer(_ path: String) -> (Int, String) {
            path == "/admin/v1/digest" ? (200, "{\"digests\":\(digest)}") : (404, "")
        }
        let first = try await FakeHTTPServer.start { answer($0) }
        let second = try await FakeHTTPServer.start { answer($0) }
        let client = KVClient(.init(endpoints: [], httpEndpoints: [first.endpoint, second.endpoint]))
        let comparison = DigestComparison(await client.digests(within: .seconds(30)))
        #expect(comparison.areEqual && comparison.keys == 2)
        await client.shutdown()
        try await first.stop()
        try await second.stop()
    }

    @Test func `digests are compared shard by shard at equal index`() throws {
        func answer(_ port: Int, _ shards: [(String, Int, Int, String)]) throws -> NodeAnswer<[ShardDigest]> {
            let digests = try shards.map { shard in
                try JSONDecoder().decode(
                    ShardDigest.self,
                    from: Data(
                        "{\"group\":\"1\",\"shard\":\"\(shard.0)\",\"appliedIndex\":\(shard.1),\"keys\":\(shard.2),\"hash\":\"\(shard.3)\"}"
                            .utf8
                    )
                )
            }
            return NodeAnswer(endpoint: Endpoint(host: "h", port: port), result: .success(digests), elapsed: .zero)
        }
        let first = try answer(1, [("0", 5, 10, "aa"), ("1", 5, 1, "bb")])
        let same = DigestComparison([first, try answer(2, [("1", 5, 1, "bb"), ("0", 5, 10, "aa")])])
        #expect(same.areEqual && same.keys == 11 && same.keysByNode == [11, 11])
        #expect(
            DigestComparison([first, try answer(2, [("0", 5, 10, "ab"), ("1", 6, 1, "bb")])]).differences
                == ["shard 0: h:1 has 10 keys aa, h:2 10 keys ab", "shard 1: h:1 is at 5, h:2 at 6"]
        )
        #expect(
            DigestComparison([first, try answer(2, [("0", 5, 10, "aa")])]).differences == [
                "shard 1: only 1 of 2 nodes hold it"
            ]
        )
    }
}
