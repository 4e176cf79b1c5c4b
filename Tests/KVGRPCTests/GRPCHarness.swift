import GRPCCore
import GRPCNIOTransportHTTP2Posix
import GRPCProtobuf
import KVFakeService
import KVService
import KVTelemetry
import Logging
import NIOCore
import NIOPosix
import SwiftProtobuf

@testable import KVGRPC

/// A listener over a fake service, and a client of grpc-swift that calls it through a socket.
struct GRPCHarness: Sendable {
    let service: FakeService
    let registry: MetricRegistry
    let listener: GRPCListener
    let client: GRPCClient<HTTP2ClientTransport.Posix>
    let port: Int

    static func run(
        service: FakeService = FakeService(),
        settings: GRPCSettings = GRPCSettings(),
        authenticator: Authenticator? = nil,
        _ body: @escaping @Sendable (GRPCHarness) async throws -> Void
    ) async throws {
        let registry = MetricRegistry()
        let (ports, listening) = AsyncStream<Int>.makeStream()
        let listener = GRPCListener(
            service: service,
            authenticator: authenticator,
            settings: settings,
            metrics: registry,
            on: MultiThreadedEventLoopGroup.singleton.next(),
            host: "127.0.0.1",
            port: 0,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            onListening: { listening.yield($0.port ?? 0) }
        )
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await listener.run()
                listening.finish()
            }
            var iterator = ports.makeAsyncIterator()
            guard let port = await iterator.next() else { throw RPCError(code: .unavailable, message: "no listener") }
            let transport = try HTTP2ClientTransport.Posix(
                target: .ipv4(address: "127.0.0.1", port: port),
                transportSecurity: .plaintext
            )
            try await withGRPCClient(transport: transport) { client in
                try await body(
                    GRPCHarness(
                        service: service,
                        registry: registry,
                        listener: listener,
                        client: client,
                        port: port
                    )
                )
            }
            listener.stop()
            try await group.next()
        }
    }

    /// One call with one answer.
    func call<Request: Message & Sendable, Response: Message & Sendable>(
        _ method: GRPCMethod,
        _ request: Request,
        _ metadata: Metadata = [:],
        timeout: Duration? = nil
    ) async throws -> Response {
        var options = CallOptions.defaults
        options.timeout = timeout
        return try await client.unary(
            request: ClientRequest(message: request, metadata: metadata),
            descriptor: Self.descriptor(method),
            serializer: ProtobufSerializer<Request>(),
            deserializer: ProtobufDeserializer<Response>(),
            options: options
        ) { try $0.message }
    }

    /// One call whose answers are gathered.
    func stream<Request: Message & Sendable, Response: Message & Sendable>(
        _ method: GRPCMethod,
        _ metadata: Metadata = [:],
        send: @escaping @Sendable (RPCWriter<Request>) async throws -> Void,
        receive: @escaping @Sendable (RPCAsyncSequence<Response, any Error>) async throws -> Void
    ) async throws {
        try await client.bidirectionalStreaming(
            request: StreamingClientRequest(metadata: metadata, producer: send),
            descriptor: Self.descriptor(method),
            serializer: ProtobufSerializer<Request>(),
            deserializer: ProtobufDeserializer<Response>(),
            options: .defaults
        ) { response in try await receive(response.messages) }
    }

    static func descriptor(_ method: GRPCMethod) -> MethodDescriptor {
        let parts = method.path.split(separator: "/").map(String.init)
        return MethodDescriptor(fullyQualifiedService: parts[0], method: parts[1])
    }

    // MARK: Short forms

    func put(_ key: String, _ value: String, _ metadata: Metadata = [:]) async throws -> Kv_V1_PutResponse {
        try await call(.put, Kv_V1_PutRequest.with(key, value), metadata)
    }

    func get(_ key: String, _ metadata: Metadata = [:], timeout: Duration? = nil) async throws -> Kv_V1_GetResponse {
        var request = Kv_V1_GetRequest()
        request.key = .init(key.utf8)
        return try await call(.get, request, metadata, timeout: timeout)
    }
}

extension Kv_V1_PutRequest {
    static func with(_ key: String, _ value: String) -> Kv_V1_PutRequest {
        var request = Kv_V1_PutRequest()
        request.key = .init(key.utf8)
        request.value = .init(value.utf8)
        return request
    }
}

/// The status and the reason that a call fails with; nil where it does not.
func failure(_ call: () async throws -> Void) async -> (code: RPCError.Code, reason: String)? {
    do {
        try await call()
        return nil
    } catch let error as RPCError {
        // An error without details has no reason.
        let details = (try? error.unpackGoogleRPCStatus())?.details ?? []
        return (error.code, details.compactMap(\.errorInfo).first?.reason ?? "")
    } catch {
        return (.internalError, "\(error)")
    }
}
