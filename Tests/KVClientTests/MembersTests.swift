import Foundation
import Testing

@testable import KVClient

/// Nodes that say who belongs to their cluster.
private struct Nodes {
    private(set) var servers: [FakeHTTPServer] = []

    /// Starts a node that answers every question for the members so.
    mutating func start(_ answer: @escaping @Sendable (String) -> (Int, String)?) async throws -> Endpoint {
        let server = try await FakeHTTPServer.start(answer)
        servers.append(server)
        return server.endpoint
    }

    func stop() async throws {
        for server in servers { try await server.stop() }
    }

    static func members(leader: Int, at endpoint: Endpoint, further: String = "") -> String {
        """
        {"cluster":"c","leader":"\(leader)","members":[{"id":"\(leader)","role":"voter","state":"steady","reachable":true,
        "addresses":{"http":"\(endpoint)"},"replicas":[]}\(further)]}
        """
    }
}

struct MembersTests {
    private static let removed =
        "{\"code\":\"unavailable\",\"message\":\"node 1 was removed from the cluster; ask another\"}"

    private static func client(_ endpoints: [Endpoint], timeout: Duration = .seconds(30)) -> KVClient {
        KVClient(.init(endpoints: [], httpEndpoints: endpoints, requestTimeout: timeout))
    }

    @Test func `nodes that were removed or cut off are passed over until a leader answers for itself`() async throws {
        var nodes = Nodes()
        // Who leads is known once it is started.
        let place = Box()
        let leader = try await nodes.start { _ in (200, Nodes.members(leader: 3, at: place.endpoint)) }
        place.set(leader)
        let removed = try await nodes.start { _ in (503, Self.removed) }
        let dead = try await deadEndpoint()
        let stale = try await nodes.start { _ in (200, Nodes.members(leader: 9, at: dead)) }
        let hop = try await nodes.start { _ in (200, Nodes.members(leader: 3, at: leader)) }
        let far = try await nodes.start { _ in (200, Nodes.members(leader: 2, at: hop)) }
        let client = Self.client([removed, stale, far])
        #expect(try await client.members().leader == "3")
        // Where nobody leads, what one says is better than nothing.
        let poor = Self.client([removed, stale])
        #expect(try await poor.members().leader == "9")
        let none = Self.client([removed])
        await #expect(
            throws: ClientError.httpStatus(
                503,
                message: "unavailable: node 1 was removed from the cluster; ask another"
            )
        ) {
            try await none.members()
        }
        for client in [client, poor, none] { await client.shutdown() }
        try await nodes.stop()
    }

    @Test func `a change goes past a removed node, and says whether there was anything to change`() async throws {
        var nodes = Nodes()
        let place = Box()
        let leader = try await nodes.start { path in
            path == "/admin/v1/members"
                ? (200, Nodes.members(leader: 3, at: place.endpoint))
                : (202, "{\"accepted\":true,\"changed\":\(!path.contains("/1/"))}")
        }
        place.set(leader)
        let removed = try await nodes.start { _ in (503, Self.removed) }
        let client = Self.client([removed, leader])
        #expect(try await client.promoteMember("1") == false)
        #expect(try await client.promoteMember("2") == true)
        await client.shutdown()
        try await nodes.stop()
    }

    @Test func `without a majority a change says so, and not that the dead leader cannot be reached`() {
        let verdict = ClientError.httpStatus(503, message: "no_leader: 1 of 2 voters")
        let others: [ClientError] = [
            .cannotConnect("dead"), .connectionLost("dead"), .timedOut("dead"),
            .httpStatus(503, message: "not_leader: ask node 9"),
            .httpStatus(503, message: "unavailable: it is stopping"),
        ]
        for other in others {
            for order in [[verdict, other], [other, verdict], [other, verdict, other]] {
                var failure = KVClient.ChangeFailure()
                for error in order {
                    let mayAnotherTakeIt = failure.note(error)
                    #expect(mayAnotherTakeIt)
                }
                #expect(failure.error == verdict, "\(order)")
            }
        }
        var failure = KVClient.ChangeFailure()
        let mayAnotherTakeIt = failure.note(.httpStatus(409, message: "conflict"))
        #expect(!mayAnotherTakeIt)
    }

    @Test func `leadership of a group that is none, or that nobody leads, is not handed over in silence`() async throws
    {
        var nodes = Nodes()
        let node = try await nodes.start { _ in
            (
                200,
                "{\"node\":\"1\",\"groups\":[{\"id\":\"0\",\"role\":\"leader\"},{\"id\":\"1\",\"role\":\"follower\"}]}"
            )
        }
        let client = Self.client([node])
        await #expect(throws: ClientError.httpStatus(404, message: "not_found: there is no group 77; groups are 0, 1"))
        {
            try await client.transferLeadership(of: "77", to: "1")
        }
        for target in [nil, "1"] {
            await #expect(
                throws: ClientError.unavailable(
                    "group 1 has no leader that could hand over: 1 of 1 members answer; see 'kvctl status'"
                )
            ) { try await client.transferLeadership(to: target) }
        }
        #expect(try await client.transferLeadership(of: "0", to: "1").isEmpty)
        await client.shutdown()
        try await nodes.stop()
    }

    @Test(arguments: [("3", true), ("300", false), ("900", false)])
    func `a learner has caught up once its leader says that it lacks little`(lag: String, expected: Bool) async throws {
        var nodes = Nodes()
        let node = try await nodes.start { _ in
            (
                200,
                "{\"node\":\"1\",\"groups\":[{\"id\":\"1\",\"role\":\"leader\",\"lastIndex\":900,\"lag\":{\"4\":\(lag)}}]}"
            )
        }
        let client = Self.client([node])
        var member = try JSONDecoder().decode(
            ClusterMembers.Member.self,
            from: Data("{\"id\":\"4\",\"reachable\":true,\"replicas\":[{\"group\":\"1\",\"role\":\"learner\"}]}".utf8)
        )
        #expect(await client.hasCaughtUp(member) == expected)
        member.isReachable = false
        #expect(await client.hasCaughtUp(member) == false)
        await client.shutdown()
        try await nodes.stop()
    }

    @Test func `one that lacks all of a short log has nothing yet`() async throws {
        var nodes = Nodes()
        let node = try await nodes.start { _ in
            (200, "{\"node\":\"1\",\"groups\":[{\"id\":\"1\",\"role\":\"leader\",\"lastIndex\":9,\"lag\":{\"4\":9}}]}")
        }
        let client = Self.client([node])
        let member = try JSONDecoder().decode(
            ClusterMembers.Member.self,
            from: Data("{\"id\":\"4\",\"reachable\":true,\"replicas\":[{\"group\":\"1\",\"role\":\"learner\"}]}".utf8)
        )
        #expect(await client.hasCaughtUp(member) == false)
        await client.shutdown()
        try await nodes.stop()
    }

    @Test func `a request goes on to the next endpoint at once where a node was removed`() async throws {
        let removed = try await FakeServer.start { _, _ in
            .reply("-LOADING node 1 was removed from the cluster; ask another\r\n")
        }
        let other = try await FakeServer.start { _, _ in .reply("$1\r\nv\r\n") }
        // A wait would last until after the deadline.
        let client = KVClient(.init(endpoints: [removed.endpoint, other.endpoint], backOffMin: .seconds(60)))
        #expect(try await client.get("k") == bytes("v"))
        await client.shutdown()
        try await removed.stop()
        try await other.stop()
    }
}

extension MembersTests {
    private static func answer(_ port: Int, _ json: String?) throws -> NodeAnswer<NodeStatus> {
        let endpoint = Endpoint(host: "h", port: port)
        guard let json else {
            return NodeAnswer(endpoint: endpoint, result: .failure(.cannotConnect("refused")), elapsed: .zero)
        }
        let status = try JSONDecoder().decode(NodeStatus.self, from: Data(json.utf8))
        return NodeAnswer(endpoint: endpoint, result: .success(status), elapsed: .zero)
    }

    private static func member(_ id: Int, peers: String) -> String {
        "{\"node\":\"\(id)\",\"ready\":true,\"groups\":[{\"id\":\"1\",\"role\":\"leader\"}],\"peers\":[\(peers)]}"
    }

    @Test func `an endpoint of nobody and a removed node are noted and decide nothing`() throws {
        let peer = "{\"id\":\"2\",\"connected\":true,\"addresses\":{\"http\":\"h:2\"}}"
        let two = "{\"node\":\"2\",\"ready\":true,\"groups\":[],\"peers\":[]}"
        let removed = "{\"node\":\"3\",\"ready\":false,\"removed\":true,\"alarms\":[\"x\"],\"groups\":[],\"peers\":[]}"
        let answers = [try Self.answer(1, Self.member(1, peers: peer)), try Self.answer(2, two)]
        let verdict = ClusterVerdict(answers + [try Self.answer(3, removed), try Self.answer(4, nil)])
        #expect(verdict.isHealthy, "\(verdict.reasons)")
        #expect(verdict.notes.count == 2)
        #expect(verdict.notes.last == "h:4 does not answer and belongs to no member: leave it out of the endpoints")
    }

    @Test func `a member that does not answer decides`() throws {
        let known = "{\"id\":\"2\",\"connected\":false,\"addresses\":{\"http\":\"h:2\"}}"
        let unknown = "{\"id\":\"2\",\"connected\":false,\"addresses\":{}}"
        let down = try Self.answer(2, nil)
        for peer in [known, unknown] {
            let verdict = ClusterVerdict([try Self.answer(1, Self.member(1, peers: peer)), down])
            #expect(verdict.reasons == ["h:2 does not answer (cannot connect: refused)"])
        }
        // The other is certainly nobody's, but only where the member's own address is known.
        let stranger = try Self.answer(4, nil)
        #expect(ClusterVerdict([try Self.answer(1, Self.member(1, peers: known)), down, stranger]).reasons.count == 1)
        #expect(
            ClusterVerdict([try Self.answer(1, Self.member(1, peers: unknown)), down, stranger]).reasons.count == 2
        )
        #expect(!ClusterVerdict([down, stranger]).isHealthy)
    }
}

/// An endpoint that is known later.
private final class Box: @unchecked Sendable {
    // SENDABLE: set before anybody asks.
    private(set) var endpoint = Endpoint(host: "127.0.0.1", port: 1)

    func set(_ endpoint: Endpoint) { self.endpoint = endpoint }
}
