import GRPCCore
import KVService

// The calls of kv.v1.KV, one by one.

extension GRPCEdge: Kv_V1_KV.ServiceProtocol {
    func get(
        request: ServerRequest<Kv_V1_GetRequest>,
        context: ServerContext
    ) async throws -> ServerResponse<Kv_V1_GetResponse> {
        await serve(.get, request.metadata, context) { [reader] call throws(GRPCFailure) in
            try await one(
                call,
                { (batch) throws(GRPCFailure) in try reader.add(request.message, to: &batch, tag: 0) },
                { (reply, _) throws(GRPCFailure) in try Kv_V1_GetResponse(reply) }
            )
        }
    }

    func put(
        request: ServerRequest<Kv_V1_PutRequest>,
        context: ServerContext
    ) async throws -> ServerResponse<Kv_V1_PutResponse> {
        await serve(.put, request.metadata, context) { [reader] call throws(GRPCFailure) in
            try await one(
                call,
                { (batch) throws(GRPCFailure) in try reader.add(request.message, to: &batch, tag: 0) },
                { (reply, _) throws(GRPCFailure) in try Kv_V1_PutResponse(reply) }
            )
        }
    }

    func delete(
        request: ServerRequest<Kv_V1_DeleteRequest>,
        context: ServerContext
    ) async throws -> ServerResponse<Kv_V1_DeleteResponse> {
        await serve(.delete, request.metadata, context) { [reader] call throws(GRPCFailure) in
            try await one(
                call,
                { (batch) throws(GRPCFailure) in try reader.add(request.message, to: &batch, tag: 0) },
                { (reply, _) throws(GRPCFailure) in try Kv_V1_DeleteResponse(reply) }
            )
        }
    }

    func increment(
        request: ServerRequest<Kv_V1_IncrementRequest>,
        context: ServerContext
    ) async throws -> ServerResponse<Kv_V1_IncrementResponse> {
        await serve(.increment, request.metadata, context) { [reader] call throws(GRPCFailure) in
            try await one(
                call,
                { (batch) throws(GRPCFailure) in try reader.add(request.message, to: &batch, tag: 0) },
                { (reply, _) throws(GRPCFailure) in try Kv_V1_IncrementResponse(reply) }
            )
        }
    }

    func batch(
        request: ServerRequest<Kv_V1_BatchRequest>,
        context: ServerContext
    ) async throws -> ServerResponse<Kv_V1_BatchResponse> {
        await serve(.batch, request.metadata, context) { [reader] call throws(GRPCFailure) in
            try await one(
                call,
                { (batch) throws(GRPCFailure) in try reader.add(request.message, to: &batch, tag: 0) },
                { (reply, asked) throws(GRPCFailure) in
                    guard case .batch(let plan) = asked else { return Kv_V1_BatchResponse() }
                    return try plan.response(reply)
                }
            )
        }
    }

    // MARK: Sessions

    func openSession(
        request: ServerRequest<Kv_V1_OpenSessionRequest>,
        context: ServerContext
    ) async throws -> ServerResponse<Kv_V1_OpenSessionResponse> {
        await serve(.openSession, request.metadata, context) { call throws(GRPCFailure) in
            let asked = request.message.lifeMilliseconds
            let life = asked == 0 ? SessionLimits.lifeMillisecondsDefault : asked
            guard SessionLimits.lifeMilliseconds.contains(life) else {
                throw .badRequest("a session lives \(SessionLimits.lifeMilliseconds) milliseconds, not \(life)")
            }
            var response = Kv_V1_OpenSessionResponse()
            // Half of the numbers, so that clients with signed ones can hold it; 0 is no session.
            response.session = UInt64.random(in: 1...UInt64(Int64.max))
            response.lifeMilliseconds = life
            _ = try await submit(.openSession(response.session, lifeMilliseconds: life), call)
            return response
        }
    }

    func keepSession(
        request: ServerRequest<Kv_V1_KeepSessionRequest>,
        context: ServerContext
    ) async throws -> ServerResponse<Kv_V1_KeepSessionResponse> {
        await serve(.keepSession, request.metadata, context) { call throws(GRPCFailure) in
            guard try await submit(.keepSession(request.message.session), call) else { throw Self.noSuchSession }
            return Kv_V1_KeepSessionResponse()
        }
    }

    func endSession(
        request: ServerRequest<Kv_V1_EndSessionRequest>,
        context: ServerContext
    ) async throws -> ServerResponse<Kv_V1_EndSessionResponse> {
        await serve(.endSession, request.metadata, context) { call throws(GRPCFailure) in
            guard try await submit(.endSession(request.message.session), call) else { throw Self.noSuchSession }
            return Kv_V1_EndSessionResponse()
        }
    }

    private static let noSuchSession = GRPCFailure(
        .notFound,
        "SESSION_NOT_FOUND",
        "the session is unknown or has expired"
    )

    private func submit(_ request: ShardRequest, _ call: OneCall) async throws(GRPCFailure) -> Bool {
        do throws(ServiceError) {
            return try await call.session.submit(request)
        } catch {
            throw GRPCFailure(error)
        }
    }

    // MARK: Streams

    func scan(
        request: ServerRequest<Kv_V1_ScanRequest>,
        context: ServerContext
    ) async throws -> StreamingServerResponse<Kv_V1_ScanResponse> {
        let listing: Listing
        do throws(GRPCFailure) {
            listing = try Listing(request.message, reader, settings)
        } catch {
            return await stream(.scan, request.metadata, context) { _, _ in throw error }
        }
        return await stream(.scan, request.metadata, context) { call, writer in
            try await listing.run(call, writer, isOver: { context.cancellation.isCancelled })
        }
    }

    func pipeline(
        request: StreamingServerRequest<Kv_V1_PipelineRequest>,
        context: ServerContext
    ) async throws -> StreamingServerResponse<Kv_V1_PipelineResponse> {
        await stream(.pipeline, request.metadata, context) { [self] call, writer in
            try await run(pipeline: request.messages, call, writer)
        }
    }
}
