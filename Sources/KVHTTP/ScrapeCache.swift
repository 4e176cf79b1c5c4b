import KVTelemetry
import NIOCore
import Synchronization

/// The text of the newest scrape, given again while it is fresh: a storm of scrapes costs as much as a few.
///
/// Any thread.
final class ScrapeCache: Sendable {
    private struct Scrape {
        var text: String
        var madeAt: NIODeadline
    }

    private let registry: MetricRegistry
    private let lifetime: TimeAmount
    private let newest = Mutex<[ExpositionFormat: Scrape]>([:])

    init(_ registry: MetricRegistry, lifetime: Duration) {
        self.registry = registry
        self.lifetime = .nanoseconds(Int64(lifetime / .nanoseconds(1)))
    }

    func text(_ format: ExpositionFormat) -> String {
        let now = NIODeadline.now()
        if let known = newest.withLock({ $0[format] }), now - known.madeAt < lifetime { return known.text }
        let text = registry.exposition(format)
        newest.withLock { $0[format] = Scrape(text: text, madeAt: now) }
        return text
    }
}
