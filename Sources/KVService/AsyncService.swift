import Synchronization

// What callers off the hot path use (HTTP, administration, tests): one request, one `await`, an owned answer. Each call costs
// an allocation or two and a hop between a thread and a task; edges that pipeline call `submit`.

/// The answer to one request, owned by whoever got it.
package struct OwnedReply: Sendable, Equatable {
    /// How it ended; never `failed`, which is thrown instead.
    package var outcome: Reply.Outcome
    /// The key's version after the request; 0 where it is absent.
    package var version: UInt64
    /// When the key expires, in milliseconds since 1970; 0 for never.
    package var expiresAt: UInt64
    /// A number where the outcome has one.
    package var integer: Int64
    /// Bytes where the outcome has some; nil is "no value", not "empty".
    package var value: [UInt8]?

    /// An answer with these parts.
    package init(
        _ outcome: Reply.Outcome,
        version: UInt64 = 0,
        expiresAt: UInt64 = 0,
        integer: Int64 = 0,
        value: [UInt8]? = nil
    ) {
        self.outcome = outcome
        self.version = version
        self.expiresAt = expiresAt
        self.integer = integer
        self.value = value
    }

    /// A copy of `reply`.
    package init(copying reply: borrowing Reply) {
        self.init(
            reply.outcome,
            version: reply.version,
            expiresAt: reply.expiresAt,
            integer: reply.integer,
            value: reply.value.map { [UInt8]($0) }
        )
    }
}

extension KeyValueService {
    /// Submits a batch and waits for all replies, in the order of the batch's items.
    ///
    /// The tags of the items must be 0, 1, 2, …. Not ended by cancellation: a request that was submitted is answered.
    package func replies(to batch: RequestBatch) async -> [Result<OwnedReply, ServiceError>] {
        guard !batch.items.isEmpty else { return [] }
        return await withCheckedContinuation { continuation in
            submit(batch, to: GatheringSink(count: batch.items.count, continuation))
        }
    }

    /// Reads a value.
    /// - Throws: what the service answered instead.
    package func get(_ key: [UInt8], consistency: Consistency = .linearizable) async throws(ServiceError) -> OwnedReply
    {
        try await one { batch in key.withUnsafeBytes { batch.get($0, tag: 0, consistency: consistency) } }
    }

    /// Reads length, version and expiry.
    /// - Throws: what the service answered instead.
    package func head(_ key: [UInt8], consistency: Consistency = .linearizable) async throws(ServiceError) -> OwnedReply
    {
        try await one { batch in key.withUnsafeBytes { batch.head($0, tag: 0, consistency: consistency) } }
    }

    /// Writes a value.
    /// - Throws: what the service answered instead.
    package func put(
        _ key: [UInt8],
        _ value: [UInt8],
        condition: Condition = .none,
        expiry: Expiry = .none,
        flags: RequestFlags = []
    ) async throws(ServiceError) -> OwnedReply {
        try await one { batch in
            key.withUnsafeBytes { key in
                value.withUnsafeBytes { value in
                    batch.put(key, value, tag: 0, condition: condition, expiry: expiry, flags: flags)
                }
            }
        }
    }

    /// Removes a key.
    /// - Throws: what the service answered instead.
    package func delete(
        _ key: [UInt8],
        condition: Condition = .none,
        flags: RequestFlags = []
    ) async throws(ServiceError) -> OwnedReply {
        try await one { batch in key.withUnsafeBytes { batch.delete($0, tag: 0, condition: condition, flags: flags) } }
    }

    /// Sets or removes an expiry.
    /// - Throws: what the service answered instead.
    package func expire(
        _ key: [UInt8],
        _ expiry: Expiry,
        rule: ExpireRule = .always
    ) async throws(ServiceError) -> OwnedReply {
        try await one { batch in key.withUnsafeBytes { batch.expire($0, expiry, rule: rule, tag: 0) } }
    }

    /// Adds to a decimal number.
    /// - Throws: what the service answered instead.
    package func increment(_ key: [UInt8], by amount: Int64) async throws(ServiceError) -> OwnedReply {
        try await one { batch in key.withUnsafeBytes { batch.increment($0, by: amount, tag: 0) } }
    }

    /// Adds bytes at the end of a value.
    /// - Throws: what the service answered instead.
    package func append(_ key: [UInt8], _ suffix: [UInt8]) async throws(ServiceError) -> OwnedReply {
        try await one { batch in
            key.withUnsafeBytes { key in suffix.withUnsafeBytes { batch.append(key, $0, tag: 0) } }
        }
    }

    /// Reads a page of keys.
    /// - Throws: what the service answered instead.
    package func scan(_ request: ScanRequest) async throws(ServiceError) -> ScanPage {
        try await withCheckedContinuation { continuation in
            scan(request) { continuation.resume(returning: $0) }
        }.get()
    }

    /// Counts the keys of all shards.
    /// - Throws: what the service answered instead.
    package func count(_ consistency: Consistency = .linearizable) async throws(ServiceError) -> UInt64 {
        try await withCheckedContinuation { continuation in
            count(consistency) { continuation.resume(returning: $0) }
        }.get()
    }

    /// Sends a request to every shard; whether all of them said "done" rather than "absent".
    /// - Throws: what the service answered instead.
    package func submit(_ request: ShardRequest) async throws(ServiceError) -> Bool {
        try await withCheckedContinuation { continuation in
            submit(request) { continuation.resume(returning: $0) }
        }.get()
    }

    /// How this node stands.
    package func status() async -> NodeStatus {
        await withCheckedContinuation { continuation in
            status { continuation.resume(returning: $0) }
        }
    }

    /// Counts and hashes this node's own tablets.
    /// - Throws: what the service answered instead.
    package func digest() async throws(ServiceError) -> [ShardDigest] {
        try await withCheckedContinuation { continuation in
            digest { continuation.resume(returning: $0) }
        }.get()
    }

    private func one(_ fill: (inout RequestBatch) -> Void) async throws(ServiceError) -> OwnedReply {
        var batch = RequestBatch()
        fill(&batch)
        guard let reply = await replies(to: batch).first else {
            throw ServiceError(.internalError, "a request was submitted and no reply came")
        }
        return try reply.get()
    }
}

/// Collects the replies to one batch and resumes whoever waits when the last is there.
private final class GatheringSink: ReplySink {
    private struct State {
        var replies: [Result<OwnedReply, ServiceError>?]
        var missing: Int
    }

    private let state: Mutex<State>
    private let continuation: CheckedContinuation<[Result<OwnedReply, ServiceError>], Never>

    init(count: Int, _ continuation: CheckedContinuation<[Result<OwnedReply, ServiceError>], Never>) {
        state = Mutex(State(replies: Array(repeating: nil, count: count), missing: count))
        self.continuation = continuation
    }

    func complete(_ tag: UInt64, _ reply: borrowing Reply) {
        let result: Result<OwnedReply, ServiceError>
        if reply.outcome == .failed {
            result = .failure(reply.error ?? ServiceError(.internalError, "a request failed without a reason"))
        } else {
            result = .success(OwnedReply(copying: reply))
        }
        let all = state.withLock { state -> [Result<OwnedReply, ServiceError>]? in
            precondition(tag < UInt64(state.replies.count), "tag \(tag) of \(state.replies.count) requests")
            precondition(state.replies[Int(tag)] == nil, "a second reply for tag \(tag)")
            state.replies[Int(tag)] = result
            state.missing -= 1
            return state.missing == 0 ? state.replies.compactMap { $0 } : nil
        }
        // Outside the lock: resuming may run the waiter.
        if let all { continuation.resume(returning: all) }
    }
}
