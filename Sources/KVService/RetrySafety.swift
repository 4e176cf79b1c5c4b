/// What makes a write take effect once however often it is sent, as fields of HTTP and gRPC say it.
package enum RetrySafety: Equatable, Sendable {
    case none
    /// `Kv-Session: 42` and `Kv-Sequence: 7`, or `7/5` where 5 is the lowest that the client still waits for.
    case session(SessionStamp)
    /// `Idempotency-Key: …`, for a day.
    case token([UInt8])

    /// Reads the fields.
    /// - Throws: `badRequest` for fields that are none, or both kinds at once.
    package init(session: String?, sequence: String?, token: String?) throws(ServiceError) {
        if let token {
            guard session == nil, sequence == nil else {
                throw ServiceError(.badRequest, "Idempotency-Key and Kv-Session exclude each other")
            }
            self = try .init(token: Array(token.utf8))
        } else if session != nil || sequence != nil {
            guard let number = session.flatMap({ UInt64($0) }), let sequence else {
                throw ServiceError(.badRequest, "Kv-Session and Kv-Sequence are numbers and come together")
            }
            let parts = sequence.split(separator: "/", omittingEmptySubsequences: false).map { UInt64($0) }
            guard parts.count <= 2, let own = parts[0], own > 0, let lowest = parts.count == 2 ? parts[1] : 0,
                lowest <= own
            else {
                throw ServiceError(
                    .badRequest,
                    "Kv-Sequence is '\(sequence)'; it is a number from 1 on, or two such as 7/5, own and lowest"
                )
            }
            self = .session(SessionStamp(session: number, sequence: own, lowestOutstanding: lowest))
        } else {
            self = .none
        }
    }

    /// By a token.
    /// - Throws: `badRequest` where it is empty or too long.
    package init(token bytes: [UInt8]) throws(ServiceError) {
        guard (1...SessionLimits.tokenBytesMax).contains(bytes.count) else {
            throw ServiceError(.badRequest, "Idempotency-Key has 1 to \(SessionLimits.tokenBytesMax) bytes")
        }
        self = .token(bytes)
    }

    /// Makes the batch's last request safe to retry.
    package func apply(to batch: inout RequestBatch) {
        switch self {
        case .none: break
        case .session(let stamp): batch.putLastInSession(stamp)
        case .token(let token):
            batch.doLastOnce(token: token, keepMilliseconds: SessionLimits.tokenMillisecondsDefault)
        }
    }
}
