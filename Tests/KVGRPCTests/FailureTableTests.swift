import GRPCCore
import GRPCProtobuf
import KVBase
import KVService
import Testing

@testable import KVGRPC

/// The one table from the service's errors to gRPC, row by row.
@Suite struct FailureTableTests {
    struct Row: Sendable {
        let code: RPCError.Code
        var waits = false
        var isRetryable = false
    }

    static let rows: [ServiceError.Code: Row] = [
        .badRequest: Row(code: .invalidArgument),
        .tooLarge: Row(code: .invalidArgument),
        .notAnInteger: Row(code: .failedPrecondition),
        .notANumber: Row(code: .failedPrecondition),
        .outOfRange: Row(code: .outOfRange),
        .noLeader: Row(code: .unavailable, waits: true, isRetryable: true),
        .notLeader: Row(code: .unavailable, waits: true, isRetryable: true),
        .moving: Row(code: .unavailable, waits: true, isRetryable: true),
        .unavailable: Row(code: .unavailable, waits: true, isRetryable: true),
        .overloaded: Row(code: .resourceExhausted, waits: true, isRetryable: true),
        .diskFull: Row(code: .resourceExhausted, isRetryable: true),
        .unknownOutcome: Row(code: .unknown),
        .timeout: Row(code: .deadlineExceeded, isRetryable: true),
        .corruption: Row(code: .dataLoss),
        .cursorExpired: Row(code: .invalidArgument),
        .notFound: Row(code: .notFound),
        .conflict: Row(code: .failedPrecondition),
        .internalError: Row(code: .internalError),
        .unauthenticated: Row(code: .unauthenticated),
        .permissionDenied: Row(code: .permissionDenied),
        .accessConflict: Row(code: .failedPrecondition),
        .accessNotFound: Row(code: .notFound),
    ]

    @Test(arguments: ServiceError.Code.all)
    func `an error of the service has its status and its details`(code: ServiceError.Code) throws {
        let row = try #require(Self.rows[code], "no row for \(code.rawValue)")
        var failure = GRPCFailure(ServiceError(code, "why", leader: NodeID(3)))
        failure.leaderAddress = "10.0.0.3:9080"
        let error = failure.rpcError(requestID: "r")
        #expect(error.code == row.code)
        #expect(error.message == "why")
        let status = try #require(try error.unpackGoogleRPCStatus())
        #expect(status.code == row.code)
        let info = try #require(status.details.compactMap(\.errorInfo).first)
        #expect(info.reason == code.rawValue.uppercased())
        #expect(info.domain == "kv")
        #expect(info.metadata == ["retryable": row.isRetryable ? "true" : "false", "leader": "3"])
        #expect(status.details.compactMap(\.requestInfo).map(\.requestID) == ["r"])
        #expect(status.details.compactMap(\.retryInfo).map(\.delay) == (row.waits ? [.seconds(1)] : []))
        let packed = try #require(status.details.compactMap(\.any).first)
        let hint = try Kv_V1_LeaderHint(unpackingAny: packed)
        #expect(hint.node == 3)
        #expect(hint.address == "10.0.0.3:9080")
    }

    @Test(arguments: ServiceError.Code.all)
    func `a pipeline says the same of an error`(code: ServiceError.Code) throws {
        let row = try #require(Self.rows[code])
        let error = GRPCFailure(ServiceError(code, "why", leader: NodeID(3))).inPipeline
        #expect(error.code == Int32(row.code.rawValue))
        #expect(error.reason == code.rawValue.uppercased())
        #expect(error.message == "why")
        #expect(error.retryable == row.isRetryable)
        #expect(error.retryAfterMilliseconds == (row.waits ? 1_000 : 0))
        #expect(error.leader.node == 3)
    }

    @Test func `an error that this version does not know is one of the server`() {
        #expect(GRPCFailure(ServiceError(ServiceError.Code(rawValue: "new"), "why")).code == .internalError)
    }

    /// Clients that try again by themselves do so at `UNAVAILABLE`.
    @Test func `what may have taken effect is never called unavailable`() {
        #expect(GRPCFailure(ServiceError(.unknownOutcome, "")).code != .unavailable)
        #expect(GRPCFailure.deadline(isWrite: true).code == .deadlineExceeded)
        #expect(GRPCFailure.deadline(isWrite: true).reason == "UNKNOWN_OUTCOME")
        #expect(GRPCFailure.deadline(isWrite: false).reason == "TIMEOUT")
    }
}
