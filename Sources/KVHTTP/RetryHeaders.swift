import HTTPTypes
import KVService

extension RetrySafety {
    /// What the headers of a request ask for.
    /// - Throws: 400 for headers that are none, or both kinds at once.
    init(_ headers: HTTPFields) throws(HTTPFailure) {
        do throws(ServiceError) {
            self = try .init(
                session: headers[.kvSession],
                sequence: headers[.kvSequence],
                token: headers[.idempotencyKey]
            )
        } catch {
            throw HTTPFailure(error)
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
