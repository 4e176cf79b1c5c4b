/// How an operation ended, as the `outcome` label says it.
package enum OperationOutcome: Int, Sendable, CaseIterable {
    /// It did what was asked.
    case ok
    /// There was no such key.
    case notFound
    /// The condition did not hold.
    case conditionFailed
    /// It was refused or failed and had no effect.
    case failed
    /// It may or may not have taken effect.
    case unknown

    /// The label's value.
    package var label: String {
        switch self {
        case .ok: "ok"
        case .notFound: "not_found"
        case .conditionFailed: "condition_failed"
        case .failed: "failed"
        case .unknown: "unknown"
        }
    }
}

/// The instruments of one operation of one edge, looked up once and kept: `kv_operations_total` and
/// `kv_operations_latency_seconds`.
package struct OperationMetrics: Sendable {
    private let totals: [Counter]
    /// The latency of all outcomes together.
    package let latency: Histogram

    /// The instruments for this operation of this edge.
    package init(_ registry: MetricRegistry, transport: String, operation: String) {
        totals = OperationOutcome.allCases.map { registry.counter(.operationsTotal, transport, operation, $0.label) }
        latency = registry.histogram(.operationsLatency, transport, operation)
    }

    /// Counts operations that ended in this way.
    package func count(_ outcome: OperationOutcome, _ times: UInt64 = 1) {
        totals[outcome.rawValue].add(times)
    }

    /// How many ended in this way.
    package func total(_ outcome: OperationOutcome) -> UInt64 { totals[outcome.rawValue].value }

    /// Counts one operation and its latency in nanoseconds.
    package func record(_ outcome: OperationOutcome, nanoseconds: UInt64) {
        count(outcome)
        latency.observe(nanoseconds)
    }
}
