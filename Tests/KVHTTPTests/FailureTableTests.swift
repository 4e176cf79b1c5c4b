import HTTPTypes
import KVBase
import KVService
import Testing

@testable import KVHTTP

/// The one table from the service's errors to HTTP, row by row.
@Suite struct FailureTableTests {
    struct Row: Sendable {
        let status: Int
        var waits = false
        var isRetryable = false
    }

    static let rows: [ServiceError.Code: Row] = [
        .badRequest: Row(status: 400),
        .tooLarge: Row(status: 413),
        .notAnInteger: Row(status: 409),
        .notANumber: Row(status: 409),
        .outOfRange: Row(status: 409),
        .noLeader: Row(status: 503, waits: true, isRetryable: true),
        .notLeader: Row(status: 503, waits: true, isRetryable: true),
        .moving: Row(status: 503, waits: true, isRetryable: true),
        .unavailable: Row(status: 503, waits: true, isRetryable: true),
        .overloaded: Row(status: 429, waits: true, isRetryable: true),
        .diskFull: Row(status: 507, isRetryable: true),
        .unknownOutcome: Row(status: 504),
        .timeout: Row(status: 504, isRetryable: true),
        .corruption: Row(status: 500),
        .cursorExpired: Row(status: 400),
        .notFound: Row(status: 404),
        .conflict: Row(status: 409),
        .internalError: Row(status: 500),
    ]

    @Test(arguments: ServiceError.Code.all)
    func `an error of the service has its status`(code: ServiceError.Code) throws {
        let row = try #require(Self.rows[code], "no row for \(code.rawValue)")
        let failure = HTTPFailure(ServiceError(code, "why", leader: NodeID(3)))
        #expect(failure.status.code == row.status)
        #expect(failure.isRetryable == row.isRetryable)
        #expect(failure.headers.contains { $0.0 == .retryAfter && $0.1 == "1" } == row.waits)
        #expect(
            failure.json(requestID: "r")
                == #"{"code":"\#(code.rawValue)","message":"why","retryable":\#(row.isRetryable),"#
                + #""leader":{"id":"3"},"requestId":"r"}"#
        )
    }

    @Test func `an error that this version does not know is one of the server`() {
        #expect(HTTPFailure(ServiceError(ServiceError.Code(rawValue: "new"), "why")).status.code == 500)
    }
}
