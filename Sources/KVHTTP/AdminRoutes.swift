import Foundation
import HTTPTypes
import Hummingbird
import KVBase
import KVService

// Administration of members and leadership: what `kvctl member` uses. Ids are strings; numbers are taken, too.
//
//     GET    /admin/v1/members                     who belongs to the cluster, as this node knows it
//     POST   /admin/v1/members                     {"id","peer","role":"voter"|"learner"}: adds
//     DELETE /admin/v1/members/{id}                removes
//     POST   /admin/v1/members/{id}/promote        makes a learner a voter
//     POST   /admin/v1/members/{id}/replace        {"by","peer"}: another takes its place
//     POST   /admin/v1/leadership                  {"group","to"}, both optional: hands over what this node leads
//     POST   /admin/v1/stop                        {"force"}: stops this node
//
// A change is answered with 202 when it is written down, `"changed":false` where it was so already; `GET /admin/v1/members` shows how far it is.

extension HTTPEdge {
    private static let bodyBytesMax = 64 * 1024
    private static let bodyTimeout = Duration.seconds(5)

    /// Whether a path is one of these, and as what metrics know it.
    func adminEndpoint(_ path: Substring) -> Endpoint? {
        switch path {
        case "/admin/v1/members": return .members
        case "/admin/v1/leadership": return .leadership
        case "/admin/v1/stop": return .stop
        default: return path.hasPrefix("/admin/v1/members/") ? .member : nil
        }
    }

    /// Answers a request to one of these routes.
    func administer(
        _ endpoint: Endpoint,
        _ request: Request,
        _ context: HTTPContext,
        _ target: Target
    ) async throws(HTTPFailure) -> Response {
        try target.check([])
        guard let admin else {
            throw HTTPFailure(.notFound, "not_found", "this server has no administration of members")
        }
        switch (endpoint, request.method) {
        case (.members, .get), (.members, .head):
            let members = try await value { admin.members(completion: $0) }
            return json(.ok, members.json)
        case (.members, .post):
            let body = try await adminBody(request, context)
            let role = body.role ?? "voter"
            guard role == "voter" || role == "learner" else {
                throw .badRequest("'role' is '\(role)'; expected voter or learner")
            }
            let node = try nodeID(body.id?.text, "id")
            return try await change(
                .add(node, peerAddress: try address(body.peer), staysLearner: role == "learner"),
                admin
            )
        case (.member, let method):
            return try await administer(member: target.path, method, request, context, admin)
        case (.leadership, .post):
            let body = try await adminBody(request, context)
            let group = try body.group.map { name throws(HTTPFailure) in
                guard let number = UInt32(name.text) else { throw HTTPFailure.badRequest("'group' is '\(name.text)'") }
                return GroupID(number)
            }
            let node = try body.to.map { name throws(HTTPFailure) in try nodeID(name.text, "to") }
            let transfers = try await value { admin.transferLeadership(of: group, to: node, completion: $0) }
            return json(.ok, Self.json(transfers))
        case (.stop, .post):
            let body = try await adminBody(request, context)
            try await done { admin.stopNode(force: body.force ?? false, completion: $0) }
            return json(.accepted, "{\"stopping\":true}")
        default:
            throw HTTPFailure(
                .methodNotAllowed,
                "method_not_allowed",
                "expected GET or POST of members, POST of promote, replace, leadership and stop, DELETE of a member"
            )
        }
    }

    private func administer(
        member path: Substring,
        _ method: HTTPRequest.Method,
        _ request: Request,
        _ context: HTTPContext,
        _ admin: any AdminService
    ) async throws(HTTPFailure) -> Response {
        let parts = path.dropFirst("/admin/v1/members/".count).split(separator: "/", omittingEmptySubsequences: false)
        let node = try nodeID(parts.first.map(String.init), "id")
        switch (method, parts.dropFirst().first, parts.count) {
        case (.delete, nil, 1): return try await change(.remove(node), admin)
        case (.post, "promote", 2): return try await change(.promote(node), admin)
        case (.post, "replace", 2):
            let body = try await adminBody(request, context)
            let new = try nodeID(body.by?.text, "by")
            return try await change(.replace(node, by: new, peerAddress: try address(body.peer)), admin)
        default:
            throw HTTPFailure(.notFound, "not_found", "there is no \(method.rawValue) of '\(path)' here")
        }
    }

    private func change(_ change: MemberChange, _ admin: any AdminService) async throws(HTTPFailure) -> Response {
        let isChanged = try await value { admin.change(change, completion: $0) }
        return json(.accepted, "{\"accepted\":true,\"changed\":\(isChanged)}")
    }

    // MARK: Bodies

    /// Every member that a body of these routes may have.
    private struct AdminBody: Decodable {
        var id: Name?
        var by: Name?
        var to: Name?
        var group: Name?
        var peer: String?
        var role: String?
        var force: Bool?

        static let names: Set<String> = ["id", "by", "to", "group", "peer", "role", "force"]
    }

    /// An id: text, or a number.
    private struct Name: Decodable {
        let text: String

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            // Each form is tried; what has none of them is refused by the second.
            if let number = try? container.decode(UInt64.self) {
                text = String(number)
            } else {
                text = try container.decode(String.self)
            }
        }
    }

    private func adminBody(_ request: Request, _ context: HTTPContext) async throws(HTTPFailure) -> AdminBody {
        let isAbsent = request.headers[.contentLength] == nil && request.headers[.transferEncoding] == nil
        let bytes =
            isAbsent
            ? [] : try await readBody(request, context, bytesMax: Self.bodyBytesMax, timeout: Self.bodyTimeout)
        guard !bytes.isEmpty else { return AdminBody() }
        do {
            let object = try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any]
            let stranger = object?.keys.sorted().first { !AdminBody.names.contains($0) }
            if let stranger { throw HTTPFailure.badRequest("unknown member '\(stranger)' of the body") }
            return try JSONDecoder().decode(AdminBody.self, from: Data(bytes))
        } catch let failure as HTTPFailure {
            throw failure
        } catch {
            throw .badRequest("the body is no JSON object as expected here: \(error)")
        }
    }

    private func nodeID(_ text: String?, _ name: String) throws(HTTPFailure) -> NodeID {
        guard let text else { throw .badRequest("'\(name)' is missing: the id of a node") }
        guard let number = UInt64(text), number > 0, number <= UInt64(Int64.max) else {
            throw .badRequest("'\(text)' is no id of a node; expected a number from 1")
        }
        return NodeID(number)
    }

    private func address(_ text: String?) throws(HTTPFailure) -> String {
        guard let text, !text.isEmpty else { throw .badRequest("'peer' is missing: the peer address, host:port") }
        return text
    }

    // MARK: Calls

    func value<Value: Sendable>(
        _ call: (@escaping @Sendable (Result<Value, ServiceError>) -> Void) -> Void
    ) async throws(HTTPFailure) -> Value {
        let result = await withCheckedContinuation { continuation in call { continuation.resume(returning: $0) } }
        switch result {
        case .success(let value): return value
        case .failure(let error): throw HTTPFailure(error)
        }
    }

    func done(_ call: (@escaping @Sendable (ServiceError?) -> Void) -> Void) async throws(HTTPFailure) {
        let error = await withCheckedContinuation { continuation in call { continuation.resume(returning: $0) } }
        if let error { throw HTTPFailure(error) }
    }

    private static func json(_ transfers: [LeadershipTransfer]) -> String {
        var json = JSONText()
        json.object {
            $0.key("transfers")
            $0.array(transfers) { json, transfer in
                json.object {
                    $0.field("group", transfer.group.description)
                    $0.field("target", transfer.target.description)
                    if let leader = transfer.leader {
                        $0.field("leader", leader.description)
                    } else {
                        $0.null("leader")
                    }
                }
            }
        }
        return json.text
    }
}

extension ClusterMembers {
    /// The members as `GET /admin/v1/members` shows them.
    fileprivate var json: String {
        var json = JSONText()
        json.object {
            $0.field("cluster", cluster.description)
            if let leader { $0.field("leader", leader.description) } else { $0.null("leader") }
            $0.key("members")
            $0.array(members) { $1.write(to: &$0) }
        }
        return json.text
    }
}

extension ClusterMembers.Member {
    fileprivate func write(to json: inout JSONText) {
        json.object {
            $0.field("id", id.description)
            if let incarnation { $0.field("incarnation", incarnation.description) } else { $0.null("incarnation") }
            $0.field("role", isVoter ? "voter" : "learner")
            $0.field("state", state.rawValue)
            $0.field("reachable", isReachable)
            $0.key("addresses")
            $0.object { json in
                for (edge, address) in addresses.sorted(by: { $0.key < $1.key }) { json.field(edge, address) }
            }
            $0.key("replicas")
            $0.array(replicas) { json, replica in
                json.object {
                    $0.field("group", replica.group.description)
                    $0.field("replica", replica.replica.description)
                    $0.field("role", replica.role)
                    if let lag = replica.lag { $0.field("lag", lag) } else { $0.null("lag") }
                }
            }
        }
    }
}
