/// Why a request was not served.
///
/// What matters most to a caller of a write is `isOutcomeUnknown`: every other error says that the write did not take
/// effect.
public enum ClientError: Error, Equatable, Sendable {
    /// No endpoint took a connection; nothing was sent. The text names each endpoint and why.
    case cannotConnect(String)
    /// Nodes answer, but none could serve the request before the deadline (no leader, moving, overloaded); it had no effect.
    case unavailable(String)
    /// A node refused the request; it had no effect. `code` is the first word of the answer, such as `ERR` or `WRONGTYPE`.
    case rejected(code: String, message: String)
    /// The write was sent and no answer tells whether it took effect.
    case unknownOutcome(String)
    /// A read was not answered in time.
    case timedOut(String)
    /// The connection ended before the answer to a read.
    case connectionLost(String)
    /// A node sent what the protocol does not allow.
    case protocolViolation(String)
    /// A node answered HTTP with this status, which the request does not expect.
    case httpStatus(Int, message: String)
    /// The arguments make no sense; nothing was sent.
    case invalidArgument(String)
    /// More requests are in flight than the connection's bound; nothing was sent.
    case tooManyInFlight(Int)
    /// The client was shut down, or the task cancelled, before anything was sent.
    case closed

    /// Whether a write that failed so may have taken effect, or still may.
    public var isOutcomeUnknown: Bool {
        if case .unknownOutcome = self { true } else { false }
    }
}

extension ClientError: CustomStringConvertible {
    /// One sentence for people.
    public var description: String {
        switch self {
        case .cannotConnect(let text): "cannot connect: \(text)"
        case .unavailable(let text): "no node could serve the request: \(text)"
        case .rejected(let code, let message): message.isEmpty ? code : "\(code) \(message)"
        case .unknownOutcome(let text): "outcome unknown, the write may or may not have taken effect: \(text)"
        case .timedOut(let text): "timed out: \(text)"
        case .connectionLost(let text): "connection lost: \(text)"
        case .protocolViolation(let text): "the node broke the protocol: \(text)"
        case .httpStatus(let status, let message): message.isEmpty ? "HTTP \(status)" : "HTTP \(status): \(message)"
        case .invalidArgument(let text): text
        case .tooManyInFlight(let bound): "\(bound) requests are already in flight on this connection"
        case .closed: "the client is closed"
        }
    }
}
