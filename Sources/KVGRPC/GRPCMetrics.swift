import GRPCCore
import KVService
import KVTelemetry
import Synchronization

/// The instruments of answered calls.
final class GRPCMetrics: Sendable {
    /// What kv_operations_total counts.
    enum Operation: String, CaseIterable {
        case get
        case put
        case delete
        case increment
        case append
        case expire
        case batch
        case scan
    }

    private struct Key: Hashable {
        var method: GRPCMethod
        var code: Int
    }

    private struct Instruments {
        var total: Counter
        var seconds: Histogram
    }

    private let registry: MetricRegistry
    private let cache = Mutex<[Key: Instruments]>([:])
    private let operations: [Operation: OperationMetrics]
    /// By the error's reason.
    private let rejects: [String: Counter]

    init(_ registry: MetricRegistry) {
        self.registry = registry
        rejects = Dictionary(
            uniqueKeysWithValues: ServiceError.Code.all.map {
                ($0.rawValue.uppercased(), registry.counter(.rejectedTotal, "grpc", $0.rawValue))
            }
        )
        operations = Dictionary(
            uniqueKeysWithValues: Operation.allCases.map {
                ($0, OperationMetrics(registry, transport: "grpc", operation: $0.rawValue))
            }
        )
    }

    /// Counts a call; `failure` is nil where it went well.
    func record(_ method: GRPCMethod, _ failure: GRPCFailure?, nanoseconds: UInt64) {
        guard registry.countsRequests else { return }
        let code = failure.map { Status.Code($0.code) } ?? .ok
        let key = Key(method: method, code: code.rawValue)
        let instruments = cache.withLock { cache in
            if let found = cache[key] { return found }
            let label = Self.label(code)
            let made = Instruments(
                total: registry.counter(.requestsTotal, "grpc", method.rawValue, method.path, label),
                seconds: registry.histogram(.requestsSeconds, "grpc", method.rawValue, method.path, label)
            )
            cache[key] = made
            return made
        }
        instruments.total.add()
        instruments.seconds.observe(nanoseconds)
        if let failure { reject(failure) }
    }

    /// `invalidArgument` as gRPC writes it: INVALID_ARGUMENT.
    private static func label(_ code: Status.Code) -> String {
        "\(code)".reduce(into: "") { text, character in
            if character.isUppercase { text.append("_") }
            text.append(character.uppercased())
        }
    }

    /// Counts an operation, of a call of its own or of a pipeline.
    func record(_ operation: Operation, _ outcome: OperationOutcome, nanoseconds: UInt64) {
        guard registry.countsRequests else { return }
        operations[operation]?.record(outcome, nanoseconds: nanoseconds)
    }

    /// Counts an error of the service.
    func reject(_ failure: GRPCFailure) { rejects[failure.reason]?.add() }
}

extension GRPCFailure {
    /// How kv_operations_total calls it.
    var outcome: OperationOutcome {
        switch reason {
        case "CONDITION_FAILED": .conditionFailed
        case "UNKNOWN_OUTCOME": .unknown
        default: code == .notFound ? .notFound : .failed
        }
    }
}

/// The calls that are served, as metrics and logs know them.
enum GRPCMethod: String, CaseIterable {
    case get = "Get"
    case put = "Put"
    case delete = "Delete"
    case increment = "Increment"
    case batch = "Batch"
    case scan = "Scan"
    case pipeline = "Pipeline"
    case openSession = "OpenSession"
    case keepSession = "KeepSession"
    case endSession = "EndSession"
    case check = "Check"
    case watch = "Watch"
    case reflection = "ServerReflectionInfo"

    /// The path that clients ask for.
    var path: String {
        switch self {
        case .check, .watch: "/grpc.health.v1.Health/\(rawValue)"
        case .reflection: "/grpc.reflection.v1.ServerReflection/\(rawValue)"
        default: "/kv.v1.KV/\(rawValue)"
        }
    }

    /// What one call of it is, where it is one operation.
    var operation: GRPCMetrics.Operation? {
        switch self {
        case .get: .get
        case .put: .put
        case .delete: .delete
        case .increment: .increment
        case .batch: .batch
        case .scan: .scan
        default: nil
        }
    }

    /// Whether everybody may call it, as with `/readyz`.
    var isOpen: Bool { self == .check || self == .watch }

    /// Whether it may change something.
    var isWrite: Bool {
        switch self {
        case .put, .delete, .increment, .batch, .pipeline, .openSession, .keepSession, .endSession: true
        default: false
        }
    }
}
