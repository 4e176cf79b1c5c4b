import GRPCCore
import KVBase
import KVService
import KVTelemetry
import Logging
import NIOCore

/// Answers calls: finds out who makes one, has it done by the service as that client may use it, gives every failure its one shape.
///
/// Any thread; a call stays on the event loop of its connection.
final class GRPCEdge: Sendable {
    let service: any KeyValueService
    /// Who finds out whether clients are who they say; nil where nobody is asked.
    let authenticator: Authenticator?
    let settings: GRPCSettings
    let metrics: GRPCMetrics
    let logger: Logger
    let reader: RequestReader
    /// The answers of all pipelines that wait to be read.
    let unread: UnreadBudget

    init(
        _ service: any KeyValueService,
        _ authenticator: Authenticator?,
        _ settings: GRPCSettings,
        _ registry: MetricRegistry,
        _ logger: Logger
    ) {
        self.service = service
        self.authenticator = authenticator
        self.settings = settings
        self.logger = logger
        metrics = GRPCMetrics(registry)
        unread = UnreadBudget(bytesMax: settings.unreadBytesMax)
        reader = RequestReader(limits: service.requestLimits)
    }

    // MARK: Calls with one answer

    /// Runs a call and answers it.
    func serve<Answer: Sendable>(
        _ method: GRPCMethod,
        _ metadata: Metadata,
        _ context: ServerContext,
        _ body: (OneCall) async throws(GRPCFailure) -> Answer
    ) async -> ServerResponse<Answer> {
        let started = NIODeadline.now()
        let given = metadata.givenRequestID
        let requestID = given ?? Self.newRequestID
        do throws(GRPCFailure) {
            let call = try begin(method, metadata, requestID, started)
            let answer = try await body(call)
            finish(method, requestID, nil, since: started)
            return ServerResponse(message: answer, metadata: Self.echo(given))
        } catch {
            let failure = await addressed(error)
            finish(method, requestID, failure, since: started)
            return ServerResponse(error: failure.rpcError(requestID: requestID))
        }
    }

    /// Runs a call whose answers come one after the other.
    ///
    /// A client that may not make it hears so before the call is accepted.
    func stream<Answer: Sendable>(
        _ method: GRPCMethod,
        _ metadata: Metadata,
        _ context: ServerContext,
        _ body: @escaping @Sendable (OneCall, RPCWriter<Answer>) async throws -> Void
    ) async -> StreamingServerResponse<Answer> {
        let started = NIODeadline.now()
        let given = metadata.givenRequestID
        let requestID = given ?? Self.newRequestID
        do throws(GRPCFailure) {
            let call = try begin(method, metadata, requestID, started)
            return StreamingServerResponse(metadata: Self.echo(given)) { [self] writer in
                do {
                    try await body(call, writer)
                    finish(method, requestID, nil, since: started)
                    return [:]
                } catch let error as GRPCFailure {
                    let failure = await addressed(error)
                    finish(method, requestID, failure, since: started)
                    throw failure.rpcError(requestID: requestID)
                } catch {
                    // The client is gone, or what it sent is no message.
                    finish(method, requestID, call.endedEarly, since: started)
                    throw error
                }
            }
        } catch {
            finish(method, requestID, error, since: started)
            return StreamingServerResponse(error: error.rpcError(requestID: requestID))
        }
    }

    /// Has one request done.
    func one<Answer: Sendable>(
        _ call: OneCall,
        _ fill: (inout RequestBatch) throws(GRPCFailure) -> Asked,
        _ make: @escaping @Sendable (borrowing Reply, Asked) throws(GRPCFailure) -> Answer
    ) async throws(GRPCFailure) -> Answer {
        var batch = RequestBatch()
        batch.redirects = try call.redirects
        let safety = try call.safety
        let asked = try fill(&batch)
        if safety != .none {
            guard asked.isWrite else { throw .badRequest("sessions and idempotency-key are for writes") }
            safety.apply(to: &batch)
        }
        let sink = AnswerSink<Answer> { (reply: borrowing Reply) throws(GRPCFailure) in try make(reply, asked) }
        call.session.submit(batch, to: sink)
        return try await wait(for: sink, call)
    }

    /// The answer, or the client's deadline.
    ///
    /// A call whose client went away is answered all the same: what was submitted ends in
    /// bounded time.
    func wait<Answer: Sendable>(
        for sink: AnswerSink<Answer>,
        _ call: OneCall
    ) async throws(GRPCFailure) -> Answer {
        guard let deadline = call.deadline else { return try await sink.answer().get() }
        let isWrite = call.method.isWrite
        return try await withRPCCancellationHandler {
            await sink.answer()
        } onCancelRPC: {
            if NIODeadline.now() >= deadline { sink.end(.failure(.deadline(isWrite: isWrite))) }
        }.get()
    }

    // MARK: Who asks

    private func begin(
        _ method: GRPCMethod,
        _ metadata: Metadata,
        _ requestID: String,
        _ started: NIODeadline
    ) throws(GRPCFailure) -> OneCall {
        let session = Gatekeeper.admitted ?? ClientSession(service, authenticator?.control)
        if let authenticator, authenticator.control.isRequired, !method.isOpen, Gatekeeper.admitted == nil {
            // It became required a moment ago.
            throw GRPCFailure(Gatekeeper.isMissing)
        }
        return OneCall(
            method: method,
            session: session,
            requestID: requestID,
            // The library's clock began with the headers, a little before ours.
            deadline: metadata.grpcTimeout.map { started + $0 - .nanoseconds($0.nanoseconds / 10) },
            metadata: metadata
        )
    }

    /// What a call is answered that was refused before it was looked at.
    func refused(
        _ method: GRPCMethod,
        _ metadata: Metadata,
        _ failure: GRPCFailure,
        since started: NIODeadline
    ) -> RPCError {
        let requestID = metadata.givenRequestID ?? Self.newRequestID
        finish(method, requestID, failure, since: started)
        return failure.rpcError(requestID: requestID)
    }

    // MARK: After a call

    /// The failure with the leader's address, where it names one.
    func addressed(_ failure: GRPCFailure) async -> GRPCFailure {
        guard let leader = failure.leader, failure.leaderAddress == nil else { return failure }
        var failure = failure
        failure.leaderAddress = await address(of: leader)
        return failure
    }

    /// Where a node listens for gRPC, as it announced it.
    func address(of node: NodeID) async -> String? {
        let status = await service.status()
        if status.node == node { return status.addresses["grpc"] }
        return status.peers.first { $0.id == node }?.addresses["grpc"]
    }

    private func finish(_ method: GRPCMethod, _ requestID: String, _ failure: GRPCFailure?, since started: NIODeadline)
    {
        let nanoseconds = UInt64(max(0, (NIODeadline.now() - started).nanoseconds))
        metrics.record(method, failure, nanoseconds: nanoseconds)
        if let operation = method.operation {
            metrics.record(operation, failure?.outcome ?? .ok, nanoseconds: nanoseconds)
        }
        let isStream = method == .watch || method == .pipeline || method == .scan || method == .reflection
        let isSlow = !isStream && settings.slowNanoseconds > 0 && nanoseconds >= settings.slowNanoseconds
        let isBroken = failure.map { $0.code == .internalError || $0.code == .dataLoss } ?? false
        guard isSlow || isBroken || logger.logLevel <= .debug else { return }
        var metadata = Logger.Metadata.keys([.requestID: requestID])
        metadata["endpoint"] = "\(method.path)"
        metadata["status"] = "\(failure.map { "\($0.code)" } ?? "ok")"
        metadata["total_us"] = "\(nanoseconds / 1_000)"
        if isBroken {
            logger.error("call failed", metadata: metadata)
        } else if isSlow {
            logger.notice("slow gRPC call", metadata: metadata)
        } else {
            logger.debug("call", metadata: metadata)
        }
    }

    private static var newRequestID: String {
        let digits = String(UInt64.random(in: 0 ... .max), radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }

    private static func echo(_ given: String?) -> Metadata { given.map { ["x-request-id": .string($0)] } ?? [:] }
}
