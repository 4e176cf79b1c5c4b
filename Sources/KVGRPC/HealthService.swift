import GRPCCore
import KVService
import NIOCore
import Synchronization

/// grpc.health.v1: whether this node serves.
///
/// Everybody may ask, as with `/readyz`.
///
/// However many ask, the node is asked at most some times a second.
final class HealthService: Grpc_Health_V1_Health.ServiceProtocol {
    /// The names that have a state: the server as a whole, and the store.
    static let services: Set<String> = ["", Kv_V1_KV.descriptor.fullyQualifiedService]
    private static let freshness = TimeAmount.milliseconds(100)

    private let edge: GRPCEdge
    private let watches = Atomic(0)
    private let last = Mutex<(isReady: Bool, until: NIODeadline)?>(nil)

    init(_ edge: GRPCEdge) { self.edge = edge }

    func check(
        request: ServerRequest<Grpc_Health_V1_HealthCheckRequest>,
        context: ServerContext
    ) async throws -> ServerResponse<Grpc_Health_V1_HealthCheckResponse> {
        await edge.serve(.check, request.metadata, context) { _ throws(GRPCFailure) in
            guard Self.services.contains(request.message.service) else {
                throw GRPCFailure(
                    .notFound,
                    "SERVICE_UNKNOWN",
                    "there is no service '\(request.message.service.prefix(128))' here"
                )
            }
            var response = Grpc_Health_V1_HealthCheckResponse()
            response.status = await isReady() ? .serving : .notServing
            return response
        }
    }

    func watch(
        request: ServerRequest<Grpc_Health_V1_HealthCheckRequest>,
        context: ServerContext
    ) async throws -> StreamingServerResponse<Grpc_Health_V1_HealthCheckResponse> {
        let isKnown = Self.services.contains(request.message.service)
        return await edge.stream(.watch, request.metadata, context) { [self] call, writer in
            defer { watches.subtract(1, ordering: .relaxed) }
            guard watches.add(1, ordering: .relaxed).newValue <= edge.settings.watchesMax else {
                throw GRPCFailure(.resourceExhausted, "OVERLOADED", "too many calls watch the health: ask with Check")
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await context.cancellation.cancelled }
                group.addTask { [self] in try await tell(writer, isKnown: isKnown) }
                defer { group.cancelAll() }
                try await group.next()
            }
            throw call.endedEarly
        }
    }

    private func tell(_ writer: RPCWriter<Grpc_Health_V1_HealthCheckResponse>, isKnown: Bool) async throws {
        var told: Grpc_Health_V1_HealthCheckResponse.ServingStatus?
        while true {
            let status = await status(isKnown: isKnown)
            if status != told {
                var response = Grpc_Health_V1_HealthCheckResponse()
                response.status = status
                try await writer.write(response)
                told = status
            }
            try await Task.sleep(for: edge.settings.healthInterval)
        }
    }

    private func status(isKnown: Bool) async -> Grpc_Health_V1_HealthCheckResponse.ServingStatus {
        guard isKnown else { return .serviceUnknown }
        return await isReady() ? .serving : .notServing
    }

    private func isReady() async -> Bool {
        let now = NIODeadline.now()
        if let last = last.withLock({ $0 }), now < last.until { return last.isReady }
        let isReady = await edge.service.status().isReady
        last.withLock { $0 = (isReady, now + Self.freshness) }
        return isReady
    }
}
