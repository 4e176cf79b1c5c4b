import HTTPTypes
import KVService

/// What makes a write take effect once however often it is sent.
enum RetrySafety: Equatable {
    case none
    /// `Kv-Session: 42` and `Kv-Sequence: 7`, or `7/5` where 5 is the lowest that the client still waits for.
    case session(SessionStamp)
    /// `Idempotency-Key: …`, for a day.
    case token([UInt8])

    /// - Throws: 400 for headers that are none, or both kinds at once.
    init(_ headers: HTTPFields) throws(HTTPFailure) {
        let (session, sequence, token) = (headers[.kvSession], headers[.kvSequence], headers[.idempotencyKey])
        if let token {
            guard session == nil, sequence == nil else {
                throw .badRequest("Idempotency-Key and Kv-Session exclude each other")
            }
            let bytes = Array(token.utf8)
            guard (1...SessionLimits.tokenBytesMax).contains(bytes.count) else {
                throw .badRequest("Idempotency-Key has 1 to \(SessionLimits.tokenBytesMax) bytes")
            }
            self = .token(bytes)
        } else if session != nil || sequence != nil {
            guard let number = session.flatMap({ UInt64($0) }), let sequence else {
                throw .badRequest("Kv-Session and Kv-Sequence are numbers and come together")
            }
            let parts = sequence.split(separator: "/", omittingEmptySubsequences: false).map { UInt64($0) }
            guard parts.count <= 2, let own = parts[0], own > 0, let lowest = parts.count == 2 ? parts[1] : 0,
                lowest <= own
            else {
                throw .badRequest(
                    "Kv-Sequence is '\(sequence)'; it is a number from 1 on, or two such as 7/5, own and lowest"
                )
            }
            self = .session(SessionStamp(session: number, sequence: own, lowestOutstanding: lowest))
        } else {
            self = .none
        }
    }

    /// Makes the batch's last request safe to retry.
    func apply(to batch: inout RequestBatch) {
        switch self {
        case .none: break
        case .session(let stamp): batch.putLastInSession(stamp)
        case .token(let token):
            batch.doLastOnce(token: token, keepMilliseconds: SessionLimits.tokenMillisecondsDefault)
        }
    }
}

extension HTTPField.Name {
    /// `Kv-Session`.
    static let kvSession = field("kv-session")
    /// `Kv-Sequence`.
    static let kvSequence = field("kv-sequence")
    /// `Idempotency-Key`.
    static let idempotencyKey = field("idempotency-key")
    /// `Kv-Redirect`: the same as `?redirect=true`.
    static let kvRedirect = field("kv-redirect")
}
