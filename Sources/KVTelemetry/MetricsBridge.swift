package import CoreMetrics

extension MetricRegistry {
    /// What swift-metrics hands out to libraries that measure themselves; their numbers land in this registry.
    package var factory: any MetricsFactory { RegistryFactory(registry: self) }
}

/// swift-metrics on top of the registry.
///
/// Names become Prometheus names (`a.b-c` is `a_b_c`), dimensions become labels. Timers are histograms of seconds,
/// recorders histograms of whole numbers.
private struct RegistryFactory: MetricsFactory {
    let registry: MetricRegistry

    func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        let name = sanitized(label)
        let (metric, values) = metric(name.hasSuffix("_total") ? name : name + "_total", .counter, dimensions)
        guard case .counter(let counter) = registry.instrument(metric, values) else {
            return NOOPMetricsHandler.instance
        }
        return CounterBridge(counter: counter)
    }

    func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        let (metric, values) = metric(sanitized(label), .gauge, dimensions)
        guard case .gauge(let gauge) = registry.instrument(metric, values) else { return NOOPMetricsHandler.instance }
        return MeterBridge(gauge: gauge)
    }

    func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        guard aggregate else {
            let (metric, values) = metric(sanitized(label), .gauge, dimensions)
            guard case .gauge(let gauge) = registry.instrument(metric, values) else {
                return NOOPMetricsHandler.instance
            }
            return MeterBridge(gauge: gauge)
        }
        let (metric, values) = metric(sanitized(label), .histogram(bounds: Metric.countBounds), dimensions)
        guard case .histogram(let histogram) = registry.instrument(metric, values) else {
            return NOOPMetricsHandler.instance
        }
        return RecorderBridge(histogram: histogram)
    }

    func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        let name = sanitized(label)
        let (metric, values) = metric(
            name.hasSuffix("_seconds") ? name : name + "_seconds",
            .histogram(bounds: Metric.latencyBounds),
            dimensions,
            .seconds
        )
        guard case .histogram(let histogram) = registry.instrument(metric, values) else {
            return NOOPMetricsHandler.instance
        }
        return TimerBridge(histogram: histogram)
    }

    // Instruments stay: what was counted is exposed until the process ends.
    func destroyCounter(_ handler: any CounterHandler) {}
    func destroyMeter(_ handler: any MeterHandler) {}
    func destroyRecorder(_ handler: any RecorderHandler) {}
    func destroyTimer(_ handler: any TimerHandler) {}

    private func metric(
        _ name: String,
        _ kind: Metric.Kind,
        _ dimensions: [(String, String)],
        _ unit: Metric.Unit = .none
    ) -> (Metric, [String]) {
        let sorted = dimensions.sorted { $0.0 < $1.0 }
        let metric = Metric(
            name,
            kind,
            unit,
            labels: sorted.map { LabelName(sanitized($0.0)) },
            help: "Measured by a library."
        )
        return (metric, sorted.map(\.1))
    }

    /// A name that Prometheus takes: letters, digits and underscores, no digit first.
    private func sanitized(_ label: String) -> String {
        var name = ""
        for scalar in label.unicodeScalars {
            let isPlain = scalar.isASCII && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar))
            name.unicodeScalars.append(isPlain ? scalar : "_")
        }
        return name.first.map { $0.isNumber } ?? true ? "_" + name : name
    }
}

private final class CounterBridge: CounterHandler {
    private let counter: Counter
    init(counter: Counter) { self.counter = counter }
    func increment(by amount: Int64) { counter.add(UInt64(max(0, amount))) }
    func reset() { counter.set(0) }
}

private final class MeterBridge: MeterHandler, RecorderHandler {
    private let gauge: Gauge
    init(gauge: Gauge) { self.gauge = gauge }
    func set(_ value: Int64) { gauge.set(Double(value)) }
    func set(_ value: Double) { gauge.set(value) }
    func increment(by amount: Double) { gauge.add(amount) }
    func decrement(by amount: Double) { gauge.add(-amount) }
    func record(_ value: Int64) { gauge.set(Double(value)) }
    func record(_ value: Double) { gauge.set(value) }
}

private final class RecorderBridge: RecorderHandler {
    private let histogram: Histogram
    init(histogram: Histogram) { self.histogram = histogram }
    func record(_ value: Int64) { histogram.observe(UInt64(max(0, value))) }
    func record(_ value: Double) { histogram.observe(value > 0 && value < 1e18 ? UInt64(value.rounded()) : 0) }
}

private final class TimerBridge: TimerHandler {
    private let histogram: Histogram
    init(histogram: Histogram) { self.histogram = histogram }
    func recordNanoseconds(_ duration: Int64) { histogram.observe(UInt64(max(0, duration))) }
}
