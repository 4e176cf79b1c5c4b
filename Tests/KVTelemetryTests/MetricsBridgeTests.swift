import KVTelemetry
import Metrics
import Testing

@Suite struct MetricsBridgeTests {
    @Test func `what libraries measure through swift-metrics is exposed`() {
        let registry = MetricRegistry()
        let factory = registry.factory
        factory.makeCounter(label: "lib.calls", dimensions: [("b", "2"), ("a", "1")]).increment(by: 3)
        factory.makeMeter(label: "lib-level", dimensions: []).set(2.5)
        factory.makeTimer(label: "lib.wait", dimensions: []).recordNanoseconds(60_000)
        factory.makeRecorder(label: "lib.size", dimensions: [], aggregate: true).record(Int64(3))
        factory.makeRecorder(label: "lib.last", dimensions: [], aggregate: false).record(Int64(4))
        let text = registry.exposition()
        for line in [
            "lib_calls_total{a=\"1\",b=\"2\"} 3\n", "lib_level 2.5\n", "lib_wait_seconds_count 1\n",
            "lib_wait_seconds_sum 6e-05\n",
            "lib_size_bucket{le=\"4\"} 1\n", "lib_size_sum 3\n", "lib_last 4\n",
        ] { #expect(text.contains(line), "\(line)") }
    }

    @Test func `a name used for two kinds does not end the process`() {
        let factory = MetricRegistry().factory
        factory.makeMeter(label: "x_total", dimensions: []).set(1.0)
        factory.makeCounter(label: "x", dimensions: []).increment(by: 1)
    }
}
