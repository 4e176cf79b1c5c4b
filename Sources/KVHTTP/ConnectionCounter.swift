import KVTelemetry
import NIOCore

/// Counts the HTTP connections that are open and that were accepted.
///
/// SENDABLE: it holds constants that any thread may use.
final class ConnectionCounter: ChannelInboundHandler, RemovableChannelHandler, Sendable {
    typealias InboundIn = NIOAny

    private let open: Gauge
    private let total: Counter

    init(_ registry: MetricRegistry) {
        open = registry.gauge(.connections, "http")
        total = registry.counter(.connectionsTotal, "http")
    }

    func handlerAdded(context: ChannelHandlerContext) {
        open.add(1)
        total.add()
    }

    func handlerRemoved(context: ChannelHandlerContext) { open.add(-1) }
}
