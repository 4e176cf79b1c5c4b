import HTTPTypes
import KVService

/// Why a request is answered with an error: one shape for all, `{"code":…,"message":…,"retryable":…,"leader":…,"requestId":…}`.
struct HTTPFailure: Error {
    var status: HTTPResponse.Status
    var code: String
    var message: String
    var isRetryable = false
    /// The leader's node, where known.
    var leader: String?
    /// Headers beside the usual ones.
    var headers: [(HTTPField.Name, String)] = []
    /// Numbers beside the usual members.
    var details: [(name: String, value: Int)] = []
    /// Whether what is left of the body is not worth reading.
    var closesConnection = false

    init(_ status: HTTPResponse.Status, _ code: String, _ message: String) {
        self.status = status
        self.code = code
        self.message = message
    }

    static func badRequest(_ message: String) -> HTTPFailure { HTTPFailure(.badRequest, "bad_request", message) }

    /// The failure for what the service answered: the one table from codes to HTTP.
    init(_ error: ServiceError) {
        self.init(Self.status(of: error.code), error.code.rawValue, error.message)
        isRetryable = error.isRetryable
        leader = error.leader.map(\.description)
        if status == .serviceUnavailable || status == .tooManyRequests { headers.append((.retryAfter, "1")) }
    }

    private static func status(of code: ServiceError.Code) -> HTTPResponse.Status {
        switch code {
        case .badRequest, .cursorExpired: .badRequest
        case .tooLarge: .contentTooLarge
        case .notFound: .notFound
        case .notAnInteger, .notANumber, .outOfRange, .conflict: .conflict
        case .noLeader, .notLeader, .moving, .unavailable: .serviceUnavailable
        case .overloaded: .tooManyRequests
        case .diskFull: HTTPResponse.Status(code: 507, reasonPhrase: "Insufficient Storage")
        case .unknownOutcome, .timeout: .gatewayTimeout
        default: .internalServerError
        }
    }

    /// The error as JSON.
    func json(requestID: String) -> String {
        var json = JSONText()
        json.object {
            $0.field("code", code)
            $0.field("message", message)
            $0.field("retryable", isRetryable)
            if let leader {
                $0.key("leader")
                $0.object { $0.field("id", leader) }
            }
            for detail in details { $0.field(detail.name, detail.value) }
            $0.field("requestId", requestID)
        }
        return json.text
    }
}
