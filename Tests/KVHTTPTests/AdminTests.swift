import KVBase
import KVService
import Synchronization
import Testing

@testable import KVHTTP

/// Notes what it is asked for and answers what it was told to.
final class FakeAdmin: AdminService {
    private let asked = Mutex<[String]>([])
    private let refusal: ServiceError?

    init(refusal: ServiceError? = nil) {
        self.refusal = refusal
    }

    var calls: [String] { asked.withLock { $0 } }

    private func note(_ text: String) { asked.withLock { $0.append(text) } }

    func members(completion: @escaping @Sendable (Result<ClusterMembers, ServiceError>) -> Void) {
        let member = ClusterMembers.Member(
            id: NodeID(4),
            incarnation: nil,
            addresses: ["peer": "h:1"],
            isReachable: false,
            isVoter: true,
            state: .awaited,
            replicas: [.init(group: .controller, replica: ReplicaID(7), role: "learner", lag: 3)]
        )
        completion(.success(ClusterMembers(cluster: ClusterID(high: 0, low: 1), leader: NodeID(1), members: [member])))
    }

    func change(_ change: MemberChange, completion: @escaping @Sendable (Result<Bool, ServiceError>) -> Void) {
        note("\(change)")
        completion(refusal.map { .failure($0) } ?? .success(true))
    }

    func transferLeadership(
        of group: GroupID?,
        to node: NodeID?,
        completion: @escaping @Sendable (Result<[LeadershipTransfer], ServiceError>) -> Void
    ) {
        note("transfer \(group.map { "\($0)" } ?? "-") \(node.map { "\($0)" } ?? "-")")
        completion(.success([LeadershipTransfer(group: GroupID(1), target: NodeID(2), leader: NodeID(2))]))
    }

    func stopNode(force: Bool, completion: @escaping @Sendable (ServiceError?) -> Void) {
        note("stop \(force)")
        completion(refusal)
    }
}

struct AdminTests {
    @Test func `members are shown with text ids`() async throws {
        try await HTTPHarness.run(admin: FakeAdmin()) { harness async throws in
            let answer = try await harness.send(.get, "/admin/v1/members")
            #expect(answer.status == 200)
            #expect(answer.body.contains("\"id\":\"4\",\"incarnation\":null,\"role\":\"voter\",\"state\":\"awaited\""))
            #expect(answer.body.contains("{\"group\":\"0\",\"replica\":\"7\",\"role\":\"learner\",\"lag\":3}"))
        }
    }

    @Test func `each route asks for its change`() async throws {
        let admin = FakeAdmin()
        try await HTTPHarness.run(admin: admin) { harness async throws in
            let add = "{\"id\":\"4\",\"peer\":\"h:1\",\"role\":\"learner\"}"
            #expect(try await harness.send(.post, "/admin/v1/members", body: add).status == 202)
            #expect(try await harness.send(.post, "/admin/v1/members/4/promote").status == 202)
            #expect(try await harness.send(.delete, "/admin/v1/members/4").status == 202)
            let replace = "{\"by\":6,\"peer\":\"h:2\"}"
            #expect(try await harness.send(.post, "/admin/v1/members/2/replace", body: replace).status == 202)
            #expect(try await harness.send(.post, "/admin/v1/leadership", body: "{\"to\":\"2\"}").status == 200)
            #expect(try await harness.send(.post, "/admin/v1/stop", body: "{\"force\":true}").status == 202)
        }
        #expect(
            admin.calls == [
                "\(MemberChange.add(NodeID(4), peerAddress: "h:1", staysLearner: true))",
                "\(MemberChange.promote(NodeID(4)))", "\(MemberChange.remove(NodeID(4)))",
                "\(MemberChange.replace(NodeID(2), by: NodeID(6), peerAddress: "h:2"))", "transfer - 2", "stop true",
            ]
        )
    }

    @Test(arguments: [
        "{\"id\":\"0\",\"peer\":\"h:1\"}", "{\"id\":\"x\",\"peer\":\"h:1\"}", "{\"id\":\"4\"}", "{\"peer\":\"h:1\"}",
        "{\"id\":\"4\",\"peer\":\"h:1\",\"role\":\"king\"}", "{\"id\":\"4\",\"pear\":\"h:1\"}", "[]", "{",
    ])
    func `a body that makes no sense is refused`(body: String) async throws {
        let admin = FakeAdmin()
        try await HTTPHarness.run(admin: admin) { harness async throws in
            #expect(try await harness.send(.post, "/admin/v1/members", body: body).status == 400)
        }
        #expect(admin.calls.isEmpty)
    }

    @Test func `a refusal keeps its code and message, and says who leads`() async throws {
        let error = ServiceError(.conflict, "a majority is 2", leader: NodeID(3))
        try await HTTPHarness.run(admin: FakeAdmin(refusal: error)) { harness async throws in
            let answer = try await harness.send(.delete, "/admin/v1/members/2")
            #expect(answer.status == 409)
            #expect(answer.body.contains("\"code\":\"conflict\",\"message\":\"a majority is 2\""))
            #expect(answer.body.contains("\"leader\":{\"id\":\"3\"}"))
        }
    }
}
