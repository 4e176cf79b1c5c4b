import KVService
import Testing

@testable import KVRESP

/// The one table from the service's errors to RESP, row by row.
@Suite struct ErrorTableTests {
    static let rows: [ServiceError.Code: String] = [
        .badRequest: "ERR why",
        .tooLarge: "ERR why",
        .notAnInteger: "ERR value is not an integer or out of range",
        .notANumber: "ERR value is not a valid float",
        .outOfRange: "ERR increment or decrement would overflow",
        .noLeader: "CLUSTERDOWN why",
        .notLeader: "TRYAGAIN why",
        .moving: "TRYAGAIN why",
        .timeout: "TRYAGAIN why",
        .unavailable: "LOADING why",
        .overloaded: "OVERLOADED why",
        .diskFull: "DISKFULL why",
        .unknownOutcome: "UNKNOWN why",
        .corruption: "ERR stored data is damaged: why",
        .notFound: "ERR why",
        .conflict: "ERR why",
        .cursorExpired: "ERR cursor expired, start again at 0",
        .internalError: "ERR internal: why",
    ]

    @Test(arguments: ServiceError.Code.all)
    func `an error of the service has its line`(code: ServiceError.Code) throws {
        #expect(ServiceError(code, "why").respLine == (try #require(Self.rows[code], "no row for \(code.rawValue)")))
    }

    @Test func `an error that this version does not know keeps its name`() {
        #expect(ServiceError(ServiceError.Code(rawValue: "new"), "why").respLine == "ERR new: why")
    }
}
