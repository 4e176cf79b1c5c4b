import KVTelemetry
import Testing

@Suite struct ExpositionTests {
    private let requests = Metric("x_total", .counter, labels: [.operation], help: "Line\nbreak \\ here.")
    private let level = Metric("y_bytes", .gauge, .bytes, help: "Bytes.")
    private let latency = Metric("z_seconds", .histogram(bounds: [0.001, 0.01]), .seconds, help: "Time.")

    @Test func `Prometheus text has help, type and every instrument in order`() {
        let registry = MetricRegistry()
        registry.counter(requests, "set").add(2)
        registry.counter(requests, "a\"b\\c\nd").add()
        registry.gauge(level).set(1.5)
        let histogram = registry.histogram(latency)
        histogram.observe(1_000_000)
        histogram.observe(1_000_001)
        histogram.observe(20_000_000, times: 2)
        #expect(
            registry.exposition() == """
                # HELP x_total Line\\nbreak \\\\ here.
                # TYPE x_total counter
                x_total{operation="a\\"b\\\\c\\nd"} 1
                x_total{operation="set"} 2
                # HELP y_bytes Bytes.
                # TYPE y_bytes gauge
                y_bytes 1.5
                # HELP z_seconds Time.
                # TYPE z_seconds histogram
                z_seconds_bucket{le="0.001"} 1
                z_seconds_bucket{le="0.01"} 2
                z_seconds_bucket{le="+Inf"} 4
                z_seconds_sum 0.042000001
                z_seconds_count 4

                """
        )
    }

    @Test func `OpenMetrics names a counter's family without its suffix, has units and ends with EOF`() {
        let registry = MetricRegistry()
        registry.counter(requests, "set").add(2)
        registry.gauge(level).set(3)
        #expect(
            registry.exposition(.openMetrics) == """
                # HELP x Line\\nbreak \\\\ here.
                # TYPE x counter
                x_total{operation="set"} 2
                # HELP y_bytes Bytes.
                # TYPE y_bytes gauge
                # UNIT y_bytes bytes
                y_bytes 3
                # EOF

                """
        )
        #expect(ExpositionFormat(accept: "application/openmetrics-text;version=1.0.0,*/*") == .openMetrics)
        #expect(ExpositionFormat(accept: "*/*") == .prometheus)
    }

    @Test func `collectors run at each scrape`() {
        let registry = MetricRegistry()
        registry.collect { [level] in $0.gauge(level).add(1) }
        #expect(registry.exposition().contains("y_bytes 1\n"))
        #expect(registry.exposition().contains("y_bytes 2\n"))
    }

    @Test func `an instrument is made once and can be forgotten`() {
        let registry = MetricRegistry()
        #expect(registry.counter(requests, "a") === registry.counter(requests, "a"))
        registry.removeAll(requests)
        #expect(registry.exposition() == "")
    }

    @Test func `past the bound instruments are counted, not kept`() {
        let registry = MetricRegistry(instrumentsMax: 2)
        for name in ["a", "b", "c", "d"] { registry.counter(requests, name).add() }
        let text = registry.exposition()
        #expect(text.contains("x_total{operation=\"b\"} 1"))
        #expect(!text.contains("operation=\"c\""))
        #expect(text.contains("kv_metrics_dropped_total 2\n"))
    }

    @Test func `an operation counts by outcome and its latency once`() {
        let registry = MetricRegistry()
        let metrics = OperationMetrics(registry, transport: "resp", operation: "get")
        metrics.record(.ok, nanoseconds: 60_000)
        metrics.record(.notFound, nanoseconds: 60_000)
        let text = registry.exposition()
        #expect(text.contains("kv_operations_total{transport=\"resp\",operation=\"get\",outcome=\"not_found\"} 1\n"))
        #expect(text.contains("kv_operations_latency_seconds_count{transport=\"resp\",operation=\"get\"} 2\n"))
        #expect(
            text.contains(
                "kv_operations_latency_seconds_bucket{transport=\"resp\",operation=\"get\",le=\"0.0001\"} 2\n"
            )
        )
    }
}
