import FoundationEssentials
import KVBase
import KVService

// From the service's replies to messages. Values are copied once, out of the reply's view.

extension Kv_V1_GetResponse {
    init(_ reply: borrowing Reply) throws(GRPCFailure) {
        self.init()
        try reply.expectNoFailure()
        guard reply.outcome == .found else { return }
        found = true
        version = reply.version
        expiresAtMilliseconds = reply.expiresAt
        length = UInt64(clamping: reply.integer)
        if let bytes = reply.value {
            value = Data(bytes)
            length = UInt64(bytes.count)
        }
    }
}

extension Kv_V1_PutResponse {
    init(_ reply: borrowing Reply) throws(GRPCFailure) {
        self.init()
        try reply.expectNoFailure()
        version = reply.version
        expiresAtMilliseconds = reply.expiresAt
        if let bytes = reply.value { previous = Data(bytes) }
    }
}

extension Kv_V1_DeleteResponse {
    init(_ reply: borrowing Reply) throws(GRPCFailure) {
        self.init()
        try reply.expectNoFailure()
        existed = reply.outcome == .done
        if let bytes = reply.value { previous = Data(bytes) }
    }
}

extension Kv_V1_IncrementResponse {
    init(_ reply: borrowing Reply) throws(GRPCFailure) {
        self.init()
        try reply.expectNoFailure()
        value = reply.integer
        version = reply.version
    }
}

extension Kv_V1_AppendResponse {
    init(_ reply: borrowing Reply) throws(GRPCFailure) {
        self.init()
        try reply.expectNoFailure()
        length = UInt64(clamping: reply.integer)
        version = reply.version
    }
}

extension Kv_V1_ExpireResponse {
    init(_ reply: borrowing Reply) throws(GRPCFailure) {
        self.init()
        try reply.expectNoFailure()
        existed = reply.outcome == .number
        version = reply.version
    }
}

/// A batch that was sent: how its one reply becomes results.
struct BatchPlan: Sendable {
    let conditionCount: Int
    let operations: [Asked]

    func response(_ reply: borrowing Reply) throws(GRPCFailure) -> Kv_V1_BatchResponse {
        if reply.outcome == .conditionFailed { throw failure(reply) }
        try reply.expectNoFailure()
        var response = Kv_V1_BatchResponse()
        response.results.reserveCapacity(operations.count)
        if let bytes = reply.value {
            // What the service encoded can be read; a result that is missing would show in the count.
            try? ReplyFormat.decode(bytes) { tag, reply in
                let place = Int(clamping: tag) - conditionCount
                guard operations.indices.contains(place) else { return }
                if let result = try? Self.result(of: operations[place], reply) { response.results.append(result) }
            }
        }
        guard response.results.count == operations.count else {
            throw GRPCFailure(ServiceError(.internalError, "the batch was done, but its results cannot be read"))
        }
        return response
    }

    private static func result(
        of asked: Asked,
        _ reply: borrowing Reply
    ) throws(GRPCFailure) -> Kv_V1_BatchResponse.Result {
        var result = Kv_V1_BatchResponse.Result()
        switch asked {
        case .get: result.get = try .init(reply)
        case .put: result.put = try .init(reply)
        case .delete: result.delete = try .init(reply)
        case .increment: result.increment = try .init(reply)
        case .append: result.append = try .init(reply)
        case .expire: result.expire = try .init(reply)
        case .batch: throw GRPCFailure(ServiceError(.internalError, "a batch in a batch"))
        }
        return result
    }

    private func failure(_ reply: borrowing Reply) -> GRPCFailure {
        let place = Int(clamping: reply.integer)
        let isCondition = place < conditionCount
        let (name, number) =
            isCondition ? ("condition", place) : ("operation", place - conditionCount)
        var failure = GRPCFailure(conditionFailed: reply.version, "\(name) \(number) does not hold, ")
        failure.metadata[name] = String(number)
        return failure
    }
}

extension Asked {
    /// Puts the answer into a pipeline's message.
    func fill(_ answer: inout Kv_V1_PipelineResponse.Answer, _ reply: borrowing Reply) throws(GRPCFailure) {
        switch self {
        case .get: answer.get = try .init(reply)
        case .put: answer.put = try .init(reply)
        case .delete: answer.delete = try .init(reply)
        case .increment: answer.increment = try .init(reply)
        case .append: answer.append = try .init(reply)
        case .expire: answer.expire = try .init(reply)
        case .batch(let plan): answer.batch = try plan.response(reply)
        }
    }
}

extension Reply {
    /// - Throws: what a reply that is a failure says.
    fileprivate func expectNoFailure() throws(GRPCFailure) {
        switch outcome {
        case .failed:
            throw GRPCFailure(error ?? ServiceError(.internalError, "a request failed without a reason"))
        case .conditionFailed: throw GRPCFailure(conditionFailed: version)
        default: return
        }
    }
}
