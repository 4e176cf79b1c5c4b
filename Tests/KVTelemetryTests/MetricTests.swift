import KVBase
import KVTelemetry
import Logging
import Testing

@Suite struct MetricTests {
    @Test func `every name is defined once and fits what Prometheus takes`() {
        let names = Metric.all.map(\.name)
        #expect(Set(names).count == names.count)
        for metric in Metric.all {
            #expect(metric.name.allSatisfy { $0.isASCII && ($0.isLowercase || $0.isNumber || $0 == "_") })
            #expect(metric.help.hasSuffix("."))
            #expect((metric.kind == .counter) == metric.name.hasSuffix("_total"))
            if metric.unit != .none {
                let base = metric.kind == .counter ? String(metric.name.dropLast(6)) : metric.name
                #expect(base.hasSuffix(metric.unit.rawValue), "\(metric.name)")
            }
        }
    }

    @Test func `a histogram shows what a module counted`() {
        let registry = MetricRegistry()
        var times = Distribution.latency
        times.observe(60_000)
        times.observe(20_000_000_000)
        let metric = Metric("x_seconds", .histogram(bounds: Metric.latencyBounds), .seconds, help: "Time.")
        registry.histogram(metric).set(times)
        let (counts, sum) = registry.histogram(metric).read()
        #expect(counts == times.counts)
        #expect(sum == 20.00006)
        var batches = Distribution.count
        batches.observe(3, times: 2)
        let count = Metric("x_requests", .histogram(bounds: Metric.countBounds), help: "Requests.")
        registry.histogram(count).set(batches)
        #expect(registry.histogram(count).read().counts == batches.counts)
    }

    @Test func `the log's level changes while the process runs`() {
        let control = LogLevelControl()
        #expect(control.level == .info)
        for level in Logger.Level.allCases {
            control.level = level
            #expect(control.level == level)
        }
    }
}
