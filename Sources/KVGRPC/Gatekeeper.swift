import GRPCCore
import KVService
import NIOCore

/// Finds out who makes a call before any of its message is read: from a stranger no more is held than a stream's window.
struct Gatekeeper: ServerInterceptor {
    /// The service as the client of the call under way may use it; nil where nobody is asked.
    @TaskLocal static var admitted: ClientSession?

    let edge: GRPCEdge

    func intercept<Input: Sendable, Output: Sendable>(
        request: StreamingServerRequest<Input>,
        context: ServerContext,
        next:
            @Sendable (StreamingServerRequest<Input>, ServerContext) async throws -> StreamingServerResponse<Output>
    ) async throws -> StreamingServerResponse<Output> {
        guard let authenticator = edge.authenticator, authenticator.control.isRequired,
            let method = GRPCMethod(rawValue: context.descriptor.method), !method.isOpen
        else { return try await next(request, context) }
        let started = NIODeadline.now()
        let session: ClientSession
        do throws(GRPCFailure) {
            session = try await prove(request.metadata, context, authenticator)
        } catch {
            return StreamingServerResponse(error: edge.refused(method, request.metadata, error, since: started))
        }
        return try await Self.$admitted.withValue(session) { try await next(request, context) }
    }

    private func prove(
        _ metadata: Metadata,
        _ context: ServerContext,
        _ authenticator: Authenticator
    ) async throws(GRPCFailure) -> ClientSession {
        let address = Self.host(of: context.remotePeer)
        let session = ClientSession(edge.service, authenticator.control)
        do throws(ServiceError) {
            guard let field = metadata.first("authorization") else { throw Self.isMissing }
            session.begin(as: try await authenticator.prove(Credentials(authorization: field), from: address))
        } catch {
            edge.logger.notice("authentication failed", metadata: .keys([.address: address]))
            throw GRPCFailure(error)
        }
        return session
    }

    /// What is told to a client without credentials.
    static let isMissing = ServiceError(.unauthenticated, "send credentials: authorization with Basic or Bearer")

    /// `ipv4:10.0.0.1:4711` without what changes from connection to connection.
    static func host(of peer: String) -> String {
        let parts = peer.split(separator: ":", maxSplits: 1)
        guard parts.count == 2, let colon = parts[1].lastIndex(of: ":") else { return peer }
        return String(parts[1][..<colon].filter { $0 != "[" && $0 != "]" })
    }
}
