import GRPCCore
import GRPCProtobuf
import KVBase
import KVService
import SwiftProtobuf

/// Why a call is answered with an error: a status, a reason for programs, a message for people.
struct GRPCFailure: Error, Equatable {
    /// How long who may try again is told to wait.
    static let retryMilliseconds: UInt64 = 1_000
    /// Whose reasons they are, as `ErrorInfo` says it.
    static let domain = "kv"

    var code: RPCError.Code
    /// The service's code in capitals, `NO_LEADER`.
    var reason: String
    var message: String
    var isRetryable = false
    /// Whether waiting helps.
    var waits = false
    /// The leader's node, where known.
    var leader: NodeID?
    /// Where that node listens for gRPC, where known.
    var leaderAddress: String?
    /// What else `ErrorInfo` says.
    var metadata: [String: String] = [:]

    init(_ code: RPCError.Code, _ reason: String, _ message: String) {
        self.code = code
        self.reason = reason
        self.message = message
    }

    static func badRequest(_ message: String) -> GRPCFailure {
        GRPCFailure(ServiceError(.badRequest, message))
    }

    /// The failure for what the service answered: the one table from codes to gRPC.
    init(_ error: ServiceError) {
        self.init(Self.status(of: error.code), error.code.rawValue.uppercased(), error.message)
        isRetryable = error.isRetryable
        leader = error.leader
        switch error.code {
        case .noLeader, .notLeader, .moving, .unavailable, .overloaded: waits = true
        default: break
        }
    }

    /// A condition did not hold; `version` is the key's, 0 for absent.
    init(conditionFailed version: UInt64, _ what: String = "") {
        let now = version == 0 ? "the key is absent" : "the key has version \(version)"
        self.init(.failedPrecondition, "CONDITION_FAILED", "nothing was changed: \(what)\(now)")
        metadata["version"] = String(version)
    }

    /// The client's own deadline passed.
    ///
    /// A write that was under way may still take effect.
    static func deadline(isWrite: Bool) -> GRPCFailure {
        let code: ServiceError.Code = isWrite ? .unknownOutcome : .timeout
        let message = isWrite ? "the deadline passed; the write may still take effect" : "the deadline passed"
        return GRPCFailure(.deadlineExceeded, code.rawValue.uppercased(), message)
    }

    /// Nothing that clients try again by themselves is ever a write that may have taken effect: that is `UNKNOWN`.
    private static func status(of code: ServiceError.Code) -> RPCError.Code {
        switch code {
        case .badRequest, .tooLarge, .cursorExpired: .invalidArgument
        case .unauthenticated: .unauthenticated
        case .permissionDenied: .permissionDenied
        case .notFound, .accessNotFound: .notFound
        case .notAnInteger, .notANumber, .conflict, .accessConflict: .failedPrecondition
        case .outOfRange: .outOfRange
        case .noLeader, .notLeader, .moving, .unavailable: .unavailable
        case .overloaded, .diskFull: .resourceExhausted
        case .unknownOutcome: .unknown
        case .timeout: .deadlineExceeded
        case .corruption: .dataLoss
        default: .internalError
        }
    }

    // MARK: What is sent

    /// The error with its details.
    func rpcError(requestID: String) -> RPCError {
        var metadata = metadata
        metadata["retryable"] = isRetryable ? "true" : "false"
        if let leader { metadata["leader"] = leader.description }
        var details: [ErrorDetails] = [
            .errorInfo(reason: reason, domain: Self.domain, metadata: metadata),
            .requestInfo(requestID: requestID, servingData: ""),
        ]
        if waits { details.append(.retryInfo(delay: .milliseconds(Int(Self.retryMilliseconds)))) }
        // A message without required fields can always be packed.
        if let hint, let packed = try? Google_Protobuf_Any(message: hint) { details.append(.any(packed)) }
        return RPCError(GoogleRPCStatus(code: code, message: message, details: details))
    }

    /// The error as a pipeline's answer has it.
    var inPipeline: Kv_V1_Error {
        var error = Kv_V1_Error()
        error.code = Int32(code.rawValue)
        error.reason = reason
        error.message = message
        error.retryable = isRetryable
        if waits { error.retryAfterMilliseconds = Self.retryMilliseconds }
        if let hint { error.leader = hint }
        if let version = metadata["version"].flatMap({ UInt64($0) }) { error.version = version }
        return error
    }

    private var hint: Kv_V1_LeaderHint? {
        guard let leader else { return nil }
        var hint = Kv_V1_LeaderHint()
        hint.node = UInt64(leader.rawValue)
        hint.address = leaderAddress ?? ""
        return hint
    }
}
