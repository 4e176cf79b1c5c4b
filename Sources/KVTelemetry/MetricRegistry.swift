import Synchronization

/// All metrics of a process: hands out the instruments that hot code keeps, and writes them down when asked.
///
/// 1. Whoever measures asks once for an instrument, by metric and label values, and keeps it.
/// 2. What is cheaper to ask than to track (a node's status, the process) is registered with `collect` and set at each scrape.
/// 3. `exposition` runs those callbacks and writes every instrument as text.
///
/// The number of instruments is bounded (`instrumentsMax`): past it, new label values fall into one instrument that is not shown,
/// counted by `kv_metrics_dropped_total`.
package final class MetricRegistry: Sendable {
    private struct State {
        var families: [String: MetricFamily] = [:]
        var collectors: [@Sendable (MetricRegistry) -> Void] = []
        var count = 0
    }

    /// How many instruments there may be in all.
    package let instrumentsMax: Int
    /// Whether edges count and time requests; a registry that does not still shows what they counted: nothing.
    package let countsRequests: Bool
    private let state = Mutex(State())
    private let scrape = Mutex(())
    /// What was asked for past the bound.
    let dropped = Counter()

    /// A registry of nothing.
    package init(instrumentsMax: Int = 20_000, countsRequests: Bool = true) {
        self.instrumentsMax = instrumentsMax
        self.countsRequests = countsRequests
    }

    /// The counter with these label values, made when first asked for.
    /// - Precondition: the metric is a counter and `values` fits its labels.
    package func counter(_ metric: Metric, _ values: String...) -> Counter {
        guard case .counter(let counter) = instrument(metric, values) else {
            preconditionFailure("\(metric.name) is no counter")
        }
        return counter
    }

    /// The gauge with these label values, made when first asked for.
    /// - Precondition: the metric is a gauge and `values` fits its labels.
    package func gauge(_ metric: Metric, _ values: String...) -> Gauge {
        guard case .gauge(let gauge) = instrument(metric, values) else {
            preconditionFailure("\(metric.name) is no gauge")
        }
        return gauge
    }

    /// The histogram with these label values, made when first asked for.
    /// - Precondition: the metric is a histogram and `values` fits its labels.
    package func histogram(_ metric: Metric, _ values: String...) -> Histogram {
        guard case .histogram(let histogram) = instrument(metric, values) else {
            preconditionFailure("\(metric.name) is no histogram")
        }
        return histogram
    }

    /// Runs `body` at the start of every scrape, to set what nobody tracks.
    ///
    /// Any thread; it must not scrape itself.
    package func collect(_ body: @escaping @Sendable (MetricRegistry) -> Void) {
        state.withLock { $0.collectors.append(body) }
    }

    /// Forgets all instruments of a metric, so that labels that are gone (a removed peer) do not stay.
    package func removeAll(_ metric: Metric) {
        state.withLock { state in
            state.count -= state.families[metric.name]?.series.count ?? 0
            state.families[metric.name] = nil
        }
    }

    /// The instrument, made when first asked for.
    func instrument(_ metric: Metric, _ values: [String]) -> Instrument {
        precondition(
            values.count == metric.labels.count,
            "\(metric.name) has \(metric.labels.count) labels, not \(values.count)"
        )
        return state.withLock { state in
            if let known = state.families[metric.name]?.instrument(values) { return known }
            let made: Instrument =
                switch metric.kind {
                case .counter: .counter(Counter())
                case .gauge: .gauge(Gauge())
                case .histogram(let bounds):
                    .histogram(Histogram(bounds: bounds, scale: metric.unit == .seconds ? 1e9 : 1))
                }
            guard state.count < instrumentsMax else {
                dropped.add()
                return made
            }
            state.count += 1
            state.families[metric.name, default: MetricFamily(metric)].add(made, values)
            return made
        }
    }

    /// Runs the collectors, then hands out all families by name.
    func families() -> [MetricFamily] {
        // One after the other: a collector may take instruments away to put them back, which no other scrape must see. Lock order: this
        // one, then the state's.
        scrape.withLock { _ in
            for collector in state.withLock({ $0.collectors }) { collector(self) }
            return state.withLock { $0.families.values.sorted { $0.metric.name < $1.metric.name } }
        }
    }
}
