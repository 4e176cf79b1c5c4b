import KVBase

/// A label's name, with one definition for each.
package struct LabelName: Hashable, Sendable, RawRepresentable {
    /// The name as it is exposed.
    package let rawValue: String
    /// The label with this name.
    package init(rawValue: String) { self.rawValue = rawValue }
    /// The label with this name.
    package init(_ rawValue: String) { self.rawValue = rawValue }

    /// The edge: `resp`, `http`, `peer`.
    package static let transport = LabelName("transport")
    /// What was asked for: `get`, `set`, ….
    package static let operation = LabelName("operation")
    /// How it ended.
    package static let outcome = LabelName("outcome")
    /// An HTTP method.
    package static let method = LabelName("method")
    /// A route, never a key.
    package static let endpoint = LabelName("endpoint")
    /// A status code.
    package static let code = LabelName("code")
    /// A Raft group.
    package static let group = LabelName("group")
    /// A shard.
    package static let shard = LabelName("shard")
    /// Another node.
    package static let peer = LabelName("peer")
    /// A level of an LSM tree.
    package static let level = LabelName("level")
    /// A part of a longer way: `sync`, `commit`, ….
    package static let stage = LabelName("stage")
    /// Why something was refused.
    package static let reason = LabelName("reason")
    /// A queue.
    package static let queue = LabelName("queue")
    /// An alarm's name.
    package static let alarm = LabelName("alarm")
    /// What a disk holds: `data`, `log`.
    package static let place = LabelName("place")
    /// The program's version.
    package static let version = LabelName("version")
}

/// What is measured: the name that dashboards know, its kind, unit, labels and help.
package struct Metric: Hashable, Sendable {
    /// How a metric behaves.
    package enum Kind: Hashable, Sendable {
        /// Only grows.
        case counter
        /// Goes up and down.
        case gauge
        /// Counts observations by size; the upper bounds, ascending, in the metric's unit.
        case histogram(bounds: [Double])
    }

    /// What its numbers count; the exposition's `# UNIT`.
    package enum Unit: String, Sendable {
        case none = ""
        case seconds
        case bytes
    }

    /// The name as it is exposed, unit and `_total` included.
    package let name: String
    /// How it behaves.
    package let kind: Kind
    /// What its numbers count.
    package let unit: Unit
    /// One sentence for whoever reads the exposition.
    package let help: String
    /// The labels, in the order in which their values are given.
    package let labels: [LabelName]

    /// A metric with these parts.
    package init(_ name: String, _ kind: Kind, _ unit: Unit = .none, labels: [LabelName] = [], help: String) {
        self.name = name
        self.kind = kind
        self.unit = unit
        self.labels = labels
        self.help = help
    }

    /// Upper bounds of latency histograms in seconds, 50 µs … 10 s: those by which modules count.
    package static let latencyBounds: [Double] = Distribution.latencyBounds.map { Double($0) / 1e9 }
    /// Upper bounds for counts of things handled at once, 1 … 4,096.
    package static let countBounds: [Double] = Distribution.countBounds.map { Double($0) }
}
