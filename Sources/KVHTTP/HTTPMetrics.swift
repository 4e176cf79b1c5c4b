import HTTPTypes
import KVService
import KVTelemetry
import Synchronization

/// The routes as metrics know them; keys are never labels.
enum Endpoint: String, CaseIterable {
    case key = "/v1/kv/{key}"
    case increment = "/v1/kv/{key}/increment"
    case scan = "/v1/kv"
    case batch = "/v1/batch"
    case session = "/v1/session"
    case openapi = "/openapi.json"
    case query = "/query"
    case status = "/status"
    case digest = "/admin/v1/digest"
    case members = "/admin/v1/members"
    case member = "/admin/v1/members/{id}"
    case leadership = "/admin/v1/leadership"
    case stop = "/admin/v1/stop"
    case snapshots = "/admin/v1/snapshots"
    case snapshot = "/admin/v1/snapshots/{id}"
    case log = "/admin/v1/log"
    case livez = "/livez"
    case readyz = "/readyz"
    case healthz = "/healthz"
    case metrics = "/metrics"
    case logLevel = "/admin/v1/log-level"
    case slowRequests = "/admin/v1/slow-requests"
    case config = "/admin/v1/config"
    case compact = "/admin/v1/compact"
    case users = "/admin/v1/users"
    case user = "/admin/v1/users/{name}"
    case authentication = "/admin/v1/auth"
    case unknown
}

/// The instruments of answered requests, kept by route, method and status.
final class HTTPMetrics: Sendable {
    private struct Key: Hashable {
        var endpoint: Endpoint
        var method: String
        var code: Int
    }

    private struct Instruments {
        var total: Counter
        var seconds: Histogram
        var duration: Histogram
    }

    private let registry: MetricRegistry
    private let cache = Mutex<[Key: Instruments]>([:])
    private let operations: [String: OperationMetrics]
    /// By the error's code.
    private let rejects: [String: Counter]

    init(_ registry: MetricRegistry) {
        self.registry = registry
        rejects = Dictionary(
            uniqueKeysWithValues: ServiceError.Code.all.map {
                ($0.rawValue, registry.counter(.rejectedTotal, "http", $0.rawValue))
            }
        )
        operations = Dictionary(
            uniqueKeysWithValues: ["get", "put", "delete", "increment", "scan", "batch"].map {
                ($0, OperationMetrics(registry, transport: "http", operation: $0))
            }
        )
    }

    /// Counts a request that was answered with an error of the service; the edge's own (404, 405, …) are seen by their status.
    func reject(_ code: String) { rejects[code]?.add() }

    /// Counts a request.
    ///
    /// Methods that no route knows are one label, so that clients cannot make new ones.
    func record(_ endpoint: Endpoint, _ method: HTTPRequest.Method, _ status: HTTPResponse.Status, nanoseconds: UInt64)
    {
        guard registry.countsRequests else { return }
        let known: [HTTPRequest.Method] = [.get, .head, .put, .post, .delete, .options, .patch]
        let key = Key(endpoint: endpoint, method: known.contains(method) ? method.rawValue : "other", code: status.code)
        let instruments = cache.withLock { cache in
            if let found = cache[key] { return found }
            let code = String(key.code)
            let made = Instruments(
                total: registry.counter(.requestsTotal, "http", key.method, endpoint.rawValue, code),
                seconds: registry.histogram(.requestsSeconds, "http", key.method, endpoint.rawValue, code),
                duration: registry.histogram(.httpRequestDuration, key.method, endpoint.rawValue, code)
            )
            cache[key] = made
            return made
        }
        instruments.total.add()
        instruments.seconds.observe(nanoseconds)
        instruments.duration.observe(nanoseconds)
        guard let operation = operation(endpoint, method) else { return }
        operations[operation]?.record(outcome(status), nanoseconds: nanoseconds)
    }

    private func operation(_ endpoint: Endpoint, _ method: HTTPRequest.Method) -> String? {
        switch (endpoint, method) {
        case (.key, .get), (.key, .head): "get"
        case (.key, .put): "put"
        case (.key, .delete): "delete"
        case (.increment, .post): "increment"
        case (.scan, .get): "scan"
        case (.batch, .post): "batch"
        default: nil
        }
    }

    private func outcome(_ status: HTTPResponse.Status) -> OperationOutcome {
        switch status.code {
        case 200..<400: .ok
        case 404: .notFound
        case 412: .conditionFailed
        case 504: .unknown
        default: .failed
        }
    }
}
