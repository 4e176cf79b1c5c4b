import FoundationEssentials
import KVBase
import KVService

/// What was asked, as far as the answer depends on it.
enum Asked: Sendable {
    case get
    case put
    case delete
    case increment
    case append
    case expire
    case batch(BatchPlan)

    /// How metrics call it.
    var operation: GRPCMetrics.Operation {
        switch self {
        case .get: .get
        case .put: .put
        case .delete: .delete
        case .increment: .increment
        case .append: .append
        case .expire: .expire
        case .batch: .batch
        }
    }

    /// Whether it may change something.
    var isWrite: Bool { if case .get = self { false } else { true } }
}

/// From messages to requests of the service, checked against the limits.
struct RequestReader: Sendable {
    let limits: RequestLimits

    func add(_ message: Kv_V1_GetRequest, to batch: inout RequestBatch, tag: UInt64) throws(GRPCFailure) -> Asked {
        try check(key: message.key)
        let consistency = try consistency(message.consistency)
        message.key.withUnsafeBytes { key in
            if message.withoutValue {
                batch.head(key, tag: tag, consistency: consistency)
            } else {
                batch.get(key, tag: tag, consistency: consistency)
            }
        }
        return .get
    }

    func add(_ message: Kv_V1_PutRequest, to batch: inout RequestBatch, tag: UInt64) throws(GRPCFailure) -> Asked {
        try check(key: message.key)
        try check(value: message.value)
        let condition = message.hasCondition ? try condition(message.condition) : .none
        let expiry = message.hasExpiry ? try expiry(message.expiry) : .none
        let flags: RequestFlags = message.returnPrevious ? .returnPrevious : []
        message.key.withUnsafeBytes { key in
            message.value.withUnsafeBytes { value in
                batch.put(key, value, tag: tag, condition: condition, expiry: expiry, flags: flags)
            }
        }
        return .put
    }

    func add(_ message: Kv_V1_DeleteRequest, to batch: inout RequestBatch, tag: UInt64) throws(GRPCFailure) -> Asked {
        try check(key: message.key)
        let condition = message.hasCondition ? try condition(message.condition) : .none
        guard condition != .absent else { throw .badRequest("'absent' makes no sense for a delete") }
        let flags: RequestFlags = message.returnPrevious ? .returnPrevious : []
        message.key.withUnsafeBytes { batch.delete($0, tag: tag, condition: condition, flags: flags) }
        return .delete
    }

    func add(_ message: Kv_V1_IncrementRequest, to batch: inout RequestBatch, tag: UInt64) throws(GRPCFailure) -> Asked
    {
        try check(key: message.key)
        let amount = message.hasBy ? message.by : 1
        message.key.withUnsafeBytes { batch.increment($0, by: amount, tag: tag) }
        return .increment
    }

    func add(_ message: Kv_V1_AppendRequest, to batch: inout RequestBatch, tag: UInt64) throws(GRPCFailure) -> Asked {
        try check(key: message.key)
        try check(value: message.suffix)
        message.key.withUnsafeBytes { key in
            message.suffix.withUnsafeBytes { batch.append(key, $0, tag: tag) }
        }
        return .append
    }

    func add(_ message: Kv_V1_ExpireRequest, to batch: inout RequestBatch, tag: UInt64) throws(GRPCFailure) -> Asked {
        try check(key: message.key)
        let expiry = message.hasExpiry ? try expiry(message.expiry) : .none
        guard expiry != .keep else { throw .badRequest("'keep' makes no sense for an expire") }
        message.key.withUnsafeBytes { batch.expire($0, expiry, tag: tag) }
        return .expire
    }

    /// Adds a batch as one request: conditions and operations on keys of one slot, all of it or nothing.
    func add(_ message: Kv_V1_BatchRequest, to batch: inout RequestBatch, tag: UInt64) throws(GRPCFailure) -> Asked {
        let count = message.conditions.count + message.operations.count
        guard (1...SessionLimits.transactionRequestsMax).contains(count) else {
            throw .badRequest("a batch has 1 to \(SessionLimits.transactionRequestsMax) conditions and operations")
        }
        let first = batch.items.count
        do throws(GRPCFailure) {
            for check in message.conditions { try add(check, to: &batch, tag: tag) }
            var asked: [Asked] = []
            asked.reserveCapacity(message.operations.count)
            for operation in message.operations { asked.append(try add(operation, to: &batch, tag: tag)) }
            guard batch.joinAsTransaction(from: first, flags: .allOrNothing, tag: tag) else {
                throw .badRequest("the keys of a batch must share one slot: give them the same {tag}")
            }
            return .batch(BatchPlan(conditionCount: message.conditions.count, operations: asked))
        } catch {
            batch.removeItems(from: first)
            throw error
        }
    }

    private func add(
        _ message: Kv_V1_BatchRequest.Check,
        to batch: inout RequestBatch,
        tag: UInt64
    ) throws(GRPCFailure) {
        try check(key: message.key)
        let condition = try condition(message.condition)
        message.key.withUnsafeBytes { batch.check($0, condition, tag: tag) }
    }

    private func add(
        _ message: Kv_V1_BatchRequest.Operation,
        to batch: inout RequestBatch,
        tag: UInt64
    ) throws(GRPCFailure) -> Asked {
        switch message.kind {
        case .get(let get):
            guard get.consistency == .unspecified || get.consistency == .linearizable else {
                throw .badRequest("a get of a batch is linearizable")
            }
            return try add(get, to: &batch, tag: tag)
        case .put(let put): return try add(put, to: &batch, tag: tag)
        case .delete(let delete): return try add(delete, to: &batch, tag: tag)
        case .increment(let increment): return try add(increment, to: &batch, tag: tag)
        case .append(let append): return try add(append, to: &batch, tag: tag)
        case .expire(let expire): return try add(expire, to: &batch, tag: tag)
        case nil: throw .badRequest("an operation of a batch has no kind")
        }
    }

    /// Adds a call of a pipeline.
    func add(_ call: Kv_V1_PipelineRequest.Call, to batch: inout RequestBatch, tag: UInt64) throws(GRPCFailure) -> Asked
    {
        let safety = try safety(call)
        let asked: Asked
        switch call.kind {
        case .get(let get): asked = try add(get, to: &batch, tag: tag)
        case .put(let put): asked = try add(put, to: &batch, tag: tag)
        case .delete(let delete): asked = try add(delete, to: &batch, tag: tag)
        case .increment(let increment): asked = try add(increment, to: &batch, tag: tag)
        case .append(let append): asked = try add(append, to: &batch, tag: tag)
        case .expire(let expire): asked = try add(expire, to: &batch, tag: tag)
        case .batch(let inner): asked = try add(inner, to: &batch, tag: tag)
        case nil: throw .badRequest("a call of a pipeline has no kind")
        }
        if safety != .none {
            guard asked.isWrite else {
                batch.removeItems(from: batch.items.count - 1)
                throw .badRequest("'once' is for writes")
            }
            safety.apply(to: &batch)
        }
        return asked
    }

    private func safety(_ call: Kv_V1_PipelineRequest.Call) throws(GRPCFailure) -> RetrySafety {
        guard call.hasOnce else { return .none }
        switch call.once.kind {
        case .session(let stamp):
            guard stamp.sequence > 0, stamp.lowestOutstanding <= stamp.sequence else {
                throw .badRequest("a session's sequence is a number from 1 on, and lowest_outstanding not above it")
            }
            return .session(
                SessionStamp(
                    session: stamp.session,
                    sequence: stamp.sequence,
                    lowestOutstanding: stamp.lowestOutstanding
                )
            )
        case .token(let token):
            do throws(ServiceError) {
                return try RetrySafety(token: [UInt8](token))
            } catch {
                throw GRPCFailure(error)
            }
        case nil: throw .badRequest("'once' is a session or a token")
        }
    }

    // MARK: Parts

    func consistency(_ value: Kv_V1_Consistency) throws(GRPCFailure) -> Consistency {
        switch value {
        case .unspecified, .linearizable: .linearizable
        case .lease: .lease
        case .stale: .stale
        case .UNRECOGNIZED(let number): throw .badRequest("there is no consistency \(number)")
        }
    }

    private func check(key: Data) throws(GRPCFailure) {
        guard !key.isEmpty else { throw .badRequest("the key is empty") }
        guard key.count <= limits.keyBytesMax else {
            throw GRPCFailure(
                ServiceError(.tooLarge, "the key has \(key.count) bytes; the limit is \(limits.keyBytesMax)")
            )
        }
    }

    private func check(value: Data) throws(GRPCFailure) {
        guard value.count <= limits.valueBytesMax else {
            throw GRPCFailure(
                ServiceError(.tooLarge, "the value has \(value.count) bytes; the limit is \(limits.valueBytesMax)")
            )
        }
    }

    private func condition(_ message: Kv_V1_Condition) throws(GRPCFailure) -> Condition {
        switch message.kind {
        case .version(let version): .version(version)
        case .absent(true): .absent
        case .present(true): .present
        case .absent(false), .present(false): throw .badRequest("'absent' and 'present' are true where they are given")
        case nil: throw .badRequest("a condition is one of version, absent and present")
        }
    }

    private func expiry(_ message: Kv_V1_Expiry) throws(GRPCFailure) -> Expiry {
        // A thousand years: what is added to the present time must stay far from 64 bits.
        let millisecondsMax: UInt64 = 31_557_600_000_000
        switch message.kind {
        case .afterMilliseconds(let milliseconds):
            guard (1...millisecondsMax).contains(milliseconds) else {
                throw .badRequest("'after_milliseconds' is \(milliseconds); it is 1 to \(millisecondsMax)")
            }
            return .after(milliseconds: milliseconds)
        case .atMilliseconds(let milliseconds):
            guard (1...2 * millisecondsMax).contains(milliseconds) else {
                throw .badRequest("'at_milliseconds' is \(milliseconds); it is 1 to \(2 * millisecondsMax)")
            }
            return .at(milliseconds: milliseconds)
        case .keep(true): return .keep
        case .keep(false): throw .badRequest("'keep' is true where it is given")
        case nil: throw .badRequest("an expiry is one of after_milliseconds, at_milliseconds and keep")
        }
    }
}
