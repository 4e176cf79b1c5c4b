import Hummingbird
import HummingbirdTesting
import KVBase
import KVFakeService
import KVService
import KVTelemetry
import Logging
import NIOCore
import NIOPosix

@testable import KVHTTP

/// An answer, its parts as text.
struct Answer: Sendable {
    var status: Int
    var headers: HTTPFields
    var body: String
}

/// Sends requests to a server without a socket.
struct HTTPHarness: Sendable {
    let service: FakeService
    let registry: MetricRegistry
    let client: any TestClientProtocol

    static func run(
        admin: (any AdminService)? = nil,
        limits: RequestLimits = RequestLimits(),
        settings: HTTPSettings = HTTPSettings(),
        _ body: @escaping @Sendable (HTTPHarness) async throws -> Void
    ) async throws {
        let service = FakeService(limits: limits)
        let registry = MetricRegistry()
        let server = HTTPServer(
            service: service,
            admin: admin,
            settings: settings,
            metrics: registry,
            on: MultiThreadedEventLoopGroup.singleton,
            host: "127.0.0.1",
            port: 0,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
        try await server.application.test(.router) { client in
            try await body(HTTPHarness(service: service, registry: registry, client: client))
        }
    }

    @discardableResult
    func send(
        _ method: HTTPRequest.Method,
        _ target: String,
        _ headers: HTTPFields = [:],
        body: String? = nil
    ) async throws -> Answer {
        var headers = headers
        if let body, headers[.transferEncoding] == nil { headers[.contentLength] = String(body.utf8.count) }
        return try await client.execute(
            uri: target,
            method: method,
            headers: headers,
            body: body.map { ByteBuffer(string: $0) }
        ) { response in
            Answer(
                status: response.status.code,
                headers: response.headers,
                body: String(buffer: response.body)
            )
        }
    }
}
