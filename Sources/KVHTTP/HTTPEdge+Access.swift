import HTTPTypes
import Hummingbird
import KVService
import KVTelemetry
import Logging
import NIOCore

// Who asks, and whether they may: before any route runs.

extension HTTPEdge {
    /// What everybody may ask: load balancers have no password.
    private static let openPaths: Set<String> = ["/livez", "/readyz", "/healthz"]

    /// Runs the request's route as its client may use it.
    func authorized(
        _ request: Request,
        _ context: HTTPContext,
        _ requestID: String,
        _ endpoint: inout Endpoint
    ) async throws(HTTPFailure) -> Response {
        if let response = crossOrigin.preflight(request) { return response }
        // The very path that is routed by, whatever form the target has: nothing may pass for another here.
        let target = try Target(request.head.path ?? "/")
        let path = String(target.path)
        let session = ClientSession(service, authenticator?.control)
        var edge = self
        if let authenticator, authenticator.control.isRequired {
            if let credentials = request.headers[.authorization] {
                session.begin(as: try await principal(credentials, authenticator, request, context))
            }
            if session.isLocked {
                guard Self.openPaths.contains(path) else {
                    throw refused(ServiceError(.unauthenticated, "send credentials: Basic or Bearer"), request)
                }
                edge.isKnown = false
            } else if path.hasPrefix("/admin/"), !session.isAdministrator, path != Self.passwordPath(session.name) {
                throw refused(ServiceError(.permissionDenied, "only administrators may do that"), request)
            }
        }
        edge.service = session
        let isChange = path.hasPrefix("/admin/") && request.method != .get && request.method != .head
        let result: Result<Response, HTTPFailure>
        do throws(HTTPFailure) {
            if let response = try await edge.userRoute(request, context, target, &endpoint) {
                result = .success(response)
            } else {
                result = .success(try await edge.route(request, context, &endpoint))
            }
        } catch {
            result = .failure(error)
        }
        if isChange { audit(request, context, requestID, session.name, result) }
        return try result.get()
    }

    /// Where a user changes its own password, the one thing there that is not for administrators alone.
    static func passwordPath(_ name: String) -> String { "\(Endpoint.users.rawValue)/\(name)/password" }

    private func principal(
        _ credentials: String,
        _ authenticator: Authenticator,
        _ request: Request,
        _ context: HTTPContext
    ) async throws(HTTPFailure) -> Principal {
        let address = context.channel?.remoteAddress?.ipAddress ?? "?"
        do throws(ServiceError) {
            return try await authenticator.prove(Credentials(authorization: credentials), from: address)
        } catch {
            logger.notice("authentication failed", metadata: .keys([.address: address]))
            throw refused(error, request)
        }
    }

    /// The refusal of a request whose body is not worth reading.
    private func refused(_ error: ServiceError, _ request: Request) -> HTTPFailure {
        var failure = HTTPFailure(error)
        let length = request.headers[.contentLength].flatMap { Int($0) } ?? 0
        failure.closesConnection = length > 0 || request.headers[.transferEncoding] != nil
        return failure
    }

    /// One line for each change that an administrator made or tried to make.
    private func audit(
        _ request: Request,
        _ context: HTTPContext,
        _ requestID: String,
        _ user: String,
        _ result: Result<Response, HTTPFailure>
    ) {
        let status: Int
        switch result {
        case .success(let response): status = response.status.code
        case .failure(let failure): status = failure.status.code
        }
        let path = (request.head.path ?? "/").prefix { $0 != "?" }
        var metadata = Logger.Metadata.keys([
            .user: user, .action: "\(request.method) \(path)", .requestID: requestID,
            .address: context.channel?.remoteAddress?.ipAddress ?? "?",
        ])
        metadata["status"] = "\(status)"
        logger.notice("audit", metadata: metadata)
    }
}
