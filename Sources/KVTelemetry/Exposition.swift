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
    ///
    /// What does not change from scrape to scrape (names, labels, bounds) was written once, when the instrument was made: a
    /// scrape copies it and writes numbers.
    package func exposition(_ format: ExpositionFormat = .prometheus) -> String {
        var text = ExpositionText()
        for family in families() { family.write(format, to: &text) }
        if dropped.value > 0 {
            var family = MetricFamily(.droppedTotal)
            family.add(.counter(dropped), [])
            family.write(format, to: &text)
        }
        if format == .openMetrics { text.append("# EOF\n") }
        return String(decoding: text.bytes, as: UTF8.self)
    }
}

extension MetricFamily {
    func write(_ format: ExpositionFormat, to text: inout ExpositionText) {
        // OpenMetrics names a counter's family without `_total` and its numbers with it, and asks that a unit end the family's name.
        var name = metric.name
        var sample = name
        if format == .openMetrics, metric.kind == .counter {
            if name.hasSuffix("_total") { name.removeLast("_total".count) }
            sample = name + "_total"
        }
        text.append("# HELP \(name) \(escaped(metric.help, quotes: false))\n# TYPE \(name) \(metric.kind.name)\n")
        if format == .openMetrics, metric.unit != .none, name.hasSuffix("_" + metric.unit.rawValue) {
            text.append("# UNIT \(name) \(metric.unit.rawValue)\n")
        }
        let sampleBytes = Array(sample.utf8)
        for one in series {
            switch one.instrument {
            case .counter(let counter):
                text.append(sampleBytes, one.labels)
                // Counters of seconds count nanoseconds.
                if metric.unit == .seconds {
                    text.append(Double(counter.value) / 1e9)
                } else {
                    text.append(counter.value)
                }
                text.endLine()
            case .gauge(let gauge):
                text.append(sampleBytes, one.labels)
                text.append(gauge.value)
                text.endLine()
            case .histogram(let histogram):
                write(histogram, one.labels, to: &text)
            }
        }
    }

    private func write(_ histogram: Histogram, _ labels: [UInt8], to text: inout ExpositionText) {
        let (counts, sum) = histogram.read()
        var total: UInt64 = 0
        for (count, bound) in zip(counts, bounds) {
            total += count
            text.append(bucketName, labels, and: bound)
            text.append(total)
            text.endLine()
        }
        text.append(sumName, labels)
        text.append(sum)
        text.endLine()
        text.append(countName, labels)
        text.append(total)
        text.endLine()
    }
}

/// The text of a scrape as it grows.
struct ExpositionText {
    private(set) var bytes: [UInt8] = []

    init() { bytes.reserveCapacity(256 << 10) }

    mutating func append(_ text: String) { bytes.append(contentsOf: text.utf8) }

    /// A sample's name and labels, and the space before its number.
    mutating func append(_ name: [UInt8], _ labels: [UInt8], and last: [UInt8] = []) {
        bytes.append(contentsOf: name)
        if !labels.isEmpty || !last.isEmpty {
            bytes.append(UInt8(ascii: "{"))
            bytes.append(contentsOf: labels)
            if !labels.isEmpty && !last.isEmpty { bytes.append(UInt8(ascii: ",")) }
            bytes.append(contentsOf: last)
            bytes.append(UInt8(ascii: "}"))
        }
        bytes.append(UInt8(ascii: " "))
    }

    mutating func append(_ number: UInt64) {
        var rest = number
        let start = bytes.count
        repeat {
            bytes.append(UInt8(ascii: "0") + UInt8(rest % 10))
            rest /= 10
        } while rest > 0
        bytes[start...].reverse()
    }

    mutating func append(_ number: Double) {
        if number >= 0, number < 1e15, number == number.rounded() {
            append(UInt64(number))
        } else {
            append(number.exposed)
        }
    }

    mutating func endLine() { bytes.append(UInt8(ascii: "\n")) }
}

extension Double {
    /// As Prometheus reads it.
    var exposed: String {
        if isNaN { return "NaN" }
        if isInfinite { return self < 0 ? "-Inf" : "+Inf" }
        if self == rounded(), abs(self) < 1e15 { return String(Int64(self)) }
        return String(self)
    }
}

extension Metric.Kind {
    fileprivate var name: String {
        switch self {
        case .counter: "counter"
        case .gauge: "gauge"
        case .histogram: "histogram"
        }
    }
}
