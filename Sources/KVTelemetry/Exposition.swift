/// How metrics are written down.
package enum ExpositionFormat: Sendable {
    /// Prometheus text, version 0.0.4.
    case prometheus
    /// OpenMetrics text, version 1.0.0.
    case openMetrics

    /// The format that an `Accept` header asks for: OpenMetrics where it is named, Prometheus otherwise.
    package init(accept: String) {
        self = accept.lowercased().contains("application/openmetrics-text") ? .openMetrics : .prometheus
    }

    /// The `Content-Type` to answer with.
    package var contentType: String {
        switch self {
        case .prometheus: "text/plain; version=0.0.4; charset=utf-8"
        case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
        }
    }
}

extension MetricRegistry {
    /// All metrics as text, families by name, instruments by label values.
    package func exposition(_ format: ExpositionFormat = .prometheus) -> String {
        var text = ""
        for family in families() { Self.write(family, format, to: &text) }
        let droppedCount = dropped.value
        if droppedCount > 0 {
            Self.write(Family(metric: .droppedTotal, instruments: [[]: .counter(dropped)]), format, to: &text)
        }
        if format == .openMetrics { text += "# EOF\n" }
        return text
    }

    private static func write(_ family: Family, _ format: ExpositionFormat, to text: inout String) {
        let metric = family.metric
        let kind =
            switch metric.kind {
            case .counter: "counter"
            case .gauge: "gauge"
            case .histogram: "histogram"
            }
        // OpenMetrics names a counter's family without `_total`, and asks that a unit end the family's name.
        var name = metric.name
        if format == .openMetrics, metric.kind == .counter, name.hasSuffix("_total") { name.removeLast(6) }
        text += "# HELP \(name) \(escapedHelp(metric.help))\n# TYPE \(name) \(kind)\n"
        if format == .openMetrics, metric.unit != .none, name.hasSuffix("_" + metric.unit.rawValue) {
            text += "# UNIT \(name) \(metric.unit.rawValue)\n"
        }
        for (values, instrument) in family.instruments.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
            write(instrument, metric, values, name, format, to: &text)
        }
    }

    private static func write(
        _ instrument: Instrument,
        _ metric: Metric,
        _ values: [String],
        _ family: String,
        _ format: ExpositionFormat,
        to text: inout String
    ) {
        let pairs = zip(metric.labels, values).map { "\($0.rawValue)=\"\(escapedLabel($1))\"" }
        switch instrument {
        case .counter(let counter):
            let name = format == .openMetrics ? family + "_total" : metric.name
            text += "\(name)\(braced(pairs)) \(scaled(counter.value, metric))\n"
        case .gauge(let gauge):
            text += "\(metric.name)\(braced(pairs)) \(number(gauge.value))\n"
        case .histogram(let histogram):
            let (counts, sum) = histogram.read()
            var total: UInt64 = 0
            for (index, count) in counts.enumerated() {
                total += count
                let bound = index < histogram.bounds.count ? number(histogram.bounds[index]) : "+Inf"
                text += "\(metric.name)_bucket\(braced(pairs + ["le=\"\(bound)\""])) \(total)\n"
            }
            text += "\(metric.name)_sum\(braced(pairs)) \(number(sum))\n"
            text += "\(metric.name)_count\(braced(pairs)) \(total)\n"
        }
    }

    /// Counters of seconds count nanoseconds.
    private static func scaled(_ value: UInt64, _ metric: Metric) -> String {
        metric.unit == .seconds ? number(Double(value) / 1e9) : String(value)
    }

    private static func braced(_ pairs: [String]) -> String {
        pairs.isEmpty ? "" : "{" + pairs.joined(separator: ",") + "}"
    }

    private static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        if value == value.rounded(), abs(value) < 1e15 { return String(Int64(value)) }
        return String(value)
    }

    private static func escapedLabel(_ text: String) -> String {
        escaped(text, quotes: true)
    }

    private static func escapedHelp(_ text: String) -> String {
        escaped(text, quotes: false)
    }

    private static func escaped(_ text: String, quotes: Bool) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\"" where quotes: result += "\\\""
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
