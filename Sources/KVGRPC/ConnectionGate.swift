import KVTelemetry
import Logging
import NIOCore
import Synchronization

/// Takes no more connections than may be open; those beyond wait in the listen queue.
///
/// It stands first on the listening channel. What goes wrong with one connection there (no descriptors left) is waited for: passed on,
/// it would end the listener. SENDABLE: everything but the count is touched on the listening channel's event loop only.
final class ConnectionGate: ChannelDuplexHandler, @unchecked Sendable {
    typealias InboundIn = any Channel
    typealias OutboundIn = Never
    typealias OutboundOut = Never

    private static let pause = TimeAmount.seconds(1)

    private let connectionsMax: Atomic<Int>
    private let open: Gauge
    private let total: Counter
    private let rejected: Counter
    /// Connections that spoke something else than HTTP/2.
    let foreign: Counter
    private let logger: Logger
    private let loop: any EventLoop
    private let count = Atomic(0)
    private var context: ChannelHandlerContext?
    private var isHeld = false
    private var isPausing = false

    init(_ settings: GRPCSettings, on loop: any EventLoop, _ registry: MetricRegistry, _ logger: Logger) {
        self.loop = loop
        connectionsMax = Atomic(settings.connectionsMax)
        open = registry.gauge(.connections, "grpc")
        total = registry.counter(.connectionsTotal, "grpc")
        rejected = registry.counter(.rejectedTotal, "grpc", "accept")
        foreign = registry.counter(.rejectedTotal, "grpc", "protocol_error")
        self.logger = logger
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    /// Changes how many connections may be open; those that are stay.
    ///
    /// Any thread.
    func limit(to connections: Int) {
        connectionsMax.store(connections, ordering: .relaxed)
        // Who waits in the listen queue may come in now.
        loop.execute { [self] in readOn() }
    }

    /// A connection came; on its own loop.
    func admit(_ channel: any Channel) {
        count.add(1, ordering: .relaxed)
        open.add(1)
        total.add()
        channel.closeFuture.whenComplete { [self] _ in
            count.subtract(1, ordering: .relaxed)
            open.add(-1)
            context?.eventLoop.execute { [self] in readOn() }
        }
    }

    func read(context: ChannelHandlerContext) {
        if isPausing || count.load(ordering: .relaxed) >= connectionsMax.load(ordering: .relaxed) {
            isHeld = true
        } else {
            context.read()
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        rejected.add()
        logger.warning("a connection was not accepted", metadata: .keys([.error: "\(error)"]))
        guard !isPausing else { return }
        isPausing = true
        context.eventLoop.assumeIsolated().scheduleTask(in: Self.pause) { [self] in
            isPausing = false
            readOn()
        }
    }

    private func readOn() {
        guard isHeld, !isPausing, let context,
            count.load(ordering: .relaxed) < connectionsMax.load(ordering: .relaxed)
        else { return }
        isHeld = false
        context.read()
    }
}
