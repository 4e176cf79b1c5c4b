/// What counts: one of the three kinds.
enum Instrument {
    case counter(Counter)
    case gauge(Gauge)
    case histogram(Histogram)
}

/// A metric with its instruments, one for each set of label values, and those parts of their text that never change.
struct MetricFamily {
    /// An instrument and its labels as they are exposed: `a="1",b="2"`.
    struct Series {
        let instrument: Instrument
        let values: [String]
        let labels: [UInt8]
    }

    let metric: Metric
    /// By label values, ascending.
    private(set) var series: [Series] = []
    private var places: [[String]: Instrument] = [:]
    /// `le="…"` of each bucket, the one without a bound last; empty where the metric is no histogram.
    let bounds: [[UInt8]]
    let bucketName: [UInt8]
    let sumName: [UInt8]
    let countName: [UInt8]

    init(_ metric: Metric) {
        self.metric = metric
        if case .histogram(let bounds) = metric.kind {
            self.bounds = (bounds + [.infinity]).map { Array("le=\"\($0.exposed)\"".utf8) }
        } else {
            bounds = []
        }
        bucketName = Array("\(metric.name)_bucket".utf8)
        sumName = Array("\(metric.name)_sum".utf8)
        countName = Array("\(metric.name)_count".utf8)
    }

    /// The instrument with these label values, if there is one.
    func instrument(_ values: [String]) -> Instrument? { places[values] }

    /// Adds an instrument whose label values are new.
    mutating func add(_ instrument: Instrument, _ values: [String]) {
        let labels = zip(metric.labels, values).map { "\($0.rawValue)=\"\(escaped($1, quotes: true))\"" }
        let one = Series(instrument: instrument, values: values, labels: Array(labels.joined(separator: ",").utf8))
        var place = 0
        var end = series.count
        while place < end {
            let middle = (place + end) / 2
            if series[middle].values.lexicographicallyPrecedes(values) { place = middle + 1 } else { end = middle }
        }
        series.insert(one, at: place)
        places[values] = instrument
    }
}

/// As text of help (`quotes` false) and label values stands in an exposition.
func escaped(_ text: String, quotes: Bool) -> String {
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
