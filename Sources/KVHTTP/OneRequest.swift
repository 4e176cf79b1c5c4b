import HTTPTypes
import Hummingbird
import KVBase
import KVService

// One request to the service for one of HTTP, with what its headers say about retries and redirects.

extension HTTPEdge {
    /// Sends a read.
    func read(
        _ request: Request,
        _ target: Target,
        _ fill: (inout RequestBatch) -> Void
    ) async throws(HTTPFailure) -> OwnedReply {
        var batch = RequestBatch()
        batch.redirects = try wantsRedirect(request, target)
        fill(&batch)
        return try await send(batch, request)
    }

    /// Sends a write, once for its session's sequence or its token.
    func write(
        _ request: Request,
        _ target: Target,
        _ fill: (inout RequestBatch) -> Void
    ) async throws(HTTPFailure) -> OwnedReply {
        let safety = try RetrySafety(request.headers)
        var batch = RequestBatch()
        batch.redirects = try wantsRedirect(request, target)
        fill(&batch)
        safety.apply(to: &batch)
        return try await send(batch, request)
    }

    private func send(_ batch: RequestBatch, _ request: Request) async throws(HTTPFailure) -> OwnedReply {
        guard let result = await service.replies(to: batch).first else {
            throw HTTPFailure(ServiceError(.internalError, "a request was submitted and no reply came"))
        }
        do throws(ServiceError) {
            return try result.get()
        } catch {
            guard error.code == .notLeader, error.slot != nil, let leader = error.leader else {
                throw HTTPFailure(error)
            }
            throw await redirect(request, to: leader, error)
        }
    }

    private func wantsRedirect(_ request: Request, _ target: Target) throws(HTTPFailure) -> Bool {
        if try target.flag("redirect") { return true }
        switch request.headers[.kvRedirect]?.lowercased() {
        case nil, "false": return false
        case "true": return true
        case let other?: throw .badRequest("Kv-Redirect is '\(other)'; it is true or false")
        }
    }

    /// 307 to the same target on the node that leads.
    private func redirect(_ request: Request, to leader: NodeID, _ error: ServiceError) async -> HTTPFailure {
        let status = await service.status()
        guard let address = status.peers.first(where: { $0.id == leader })?.addresses["http"] else {
            return HTTPFailure(error)
        }
        var failure = HTTPFailure(.temporaryRedirect, "not_leader", "node \(leader) leads this shard")
        failure.isRetryable = true
        failure.leader = leader.description
        failure.headers.append((.location, "\(settings.scheme)://\(address)\(request.head.path ?? "/")"))
        // What is left of a body is for the other node.
        failure.closesConnection = request.headers[.contentLength] != nil || request.headers[.transferEncoding] != nil
        return failure
    }
}
