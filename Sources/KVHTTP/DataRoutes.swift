import HTTPTypes
import Hummingbird
import KVBase
import KVService

// The routes beside those of single keys: batches, sessions, the query routes, the description of the interface.

extension HTTPEdge {
    /// Finds and runs one of these routes; nil where the path is another's.
    func dataRoute(
        _ request: Request,
        _ context: HTTPContext,
        _ target: Target,
        _ endpoint: inout Endpoint
    ) async throws(HTTPFailure) -> Response? {
        switch target.path {
        case "/v1/batch":
            endpoint = .batch
            guard request.method == .post else { throw notAllowed("POST") }
            return try await batch(request, context, target)
        case "/v1/session":
            endpoint = .session
            guard request.method == .post else { throw notAllowed("POST") }
            return try await openSession(target)
        case "/openapi.json":
            endpoint = .openapi
            guard request.method == .get else { throw notAllowed("GET") }
            try target.check([])
            return json(.ok, openAPIDescription)
        case "/put", "/get", "/delete":
            guard settings.queryRoutes else { return nil }
            endpoint = .query
            guard request.method == .get else { throw notAllowed("GET") }
            return try await query(request, target)
        default:
            guard target.path.hasPrefix("/v1/session/") else { return nil }
            endpoint = .session
            return try await session(target.path.dropFirst("/v1/session/".count), request, target)
        }
    }

    /// `POST /v1/session?ttl=60s`.
    private func openSession(_ target: Target) async throws(HTTPFailure) -> Response {
        try target.check(["ttl"])
        var life = SessionLimits.lifeMillisecondsDefault
        if case .after(let milliseconds) = try expiry(target) { life = milliseconds }
        guard SessionLimits.lifeMilliseconds.contains(life) else {
            throw .badRequest("a session lives 1s to 1d")
        }
        // Half of the numbers, so that clients with signed ones can hold it; 0 is no session.
        let (session, milliseconds) = (UInt64.random(in: 1...UInt64(Int64.max)), life)
        _ = try await serve { service throws(ServiceError) in
            try await service.submit(.openSession(session, lifeMilliseconds: milliseconds))
        }
        var body = JSONText()
        body.object {
            $0.field("session", String(session))
            $0.field("ttlMilliseconds", milliseconds)
        }
        return json(.created, body.text)
    }

    /// `POST /v1/session/{id}/keep` and `DELETE /v1/session/{id}`.
    private func session(
        _ rest: Substring,
        _ request: Request,
        _ target: Target
    ) async throws(HTTPFailure) -> Response {
        try target.check([])
        let keeps = rest.hasSuffix("/keep")
        guard let session = UInt64(keeps ? rest.dropLast("/keep".count) : rest) else {
            throw .badRequest("a session is a number, as POST /v1/session gave it")
        }
        guard request.method == (keeps ? .post : .delete) else {
            throw notAllowed(keeps ? "POST" : "DELETE; POST …/keep")
        }
        let isKnown = try await serve { service throws(ServiceError) in
            try await service.submit(keeps ? .keepSession(session) : .endSession(session))
        }
        guard isKnown else {
            throw HTTPFailure(.notFound, "session_not_found", "the session is unknown or has expired")
        }
        return Response(status: .noContent)
    }

    /// `GET /put?key=&val=`, `/get?key=`, `/delete?key=`: for load tools that can only send GET.
    private func query(_ request: Request, _ target: Target) async throws(HTTPFailure) -> Response {
        let isPut = target.path == "/put"
        try target.check(isPut ? ["key", "val"] : ["key"])
        let limits = service.requestLimits
        guard let key = target.bytes("key"), !key.isEmpty, key.count <= limits.keyBytesMax else {
            throw .badRequest("'key' has 1 to \(limits.keyBytesMax) bytes")
        }
        if isPut {
            let value = target.bytes("val") ?? []
            _ = try await write(request, target) { batch in
                key.withUnsafeBytes { key in value.withUnsafeBytes { batch.put(key, $0, tag: 0) } }
            }
            return text(.ok, "OK\n")
        }
        if target.path == "/delete" {
            _ = try await write(request, target) { batch in
                key.withUnsafeBytes { batch.delete($0, tag: 0, flags: .blind) }
            }
            return text(.ok, "OK\n")
        }
        let reply = try await read(request, target) { batch in key.withUnsafeBytes { batch.get($0, tag: 0) } }
        return try found(reply, request)
    }
}
