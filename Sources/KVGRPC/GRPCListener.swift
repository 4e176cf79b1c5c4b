import GRPCCore
import GRPCNIOTransportHTTP2Posix
package import KVService
package import KVTelemetry
package import Logging
package import NIOCore
import NIOHTTP2
import NIOPosix
import Synchronization

/// Serves kv.v1.KV, the standard health service and reflection over gRPC on one address.
///
/// `run` listens and returns after a graceful shutdown. It decodes, calls the service and encodes; it holds no data. All of it, the
/// tasks of calls included, runs on one event loop, so that a call costs no change of threads.
package final class GRPCListener: Sendable {
    private let edge: GRPCEdge
    private let server: GRPCServer<HTTP2ServerTransport.Custom<LoopListenerFactory>>
    private let executor: LoopExecutor
    private let stopDeadline: Duration
    private let gate: ConnectionGate

    /// A server that is not listening yet; `onListening` hears the address (the port is the system's choice where `port` is 0).
    package init(
        service: any KeyValueService,
        authenticator: Authenticator? = nil,
        settings: GRPCSettings = GRPCSettings(),
        metrics: MetricRegistry,
        on loop: any EventLoop,
        host: String,
        port: Int,
        logger: Logger,
        onListening: @escaping @Sendable (NIOCore.SocketAddress) -> Void = { _ in }
    ) {
        edge = GRPCEdge(service, authenticator, settings, metrics, logger)
        executor = LoopExecutor(loop)
        stopDeadline = settings.stopDeadline
        gate = ConnectionGate(settings, on: loop, metrics, logger)
        let sweeper = StreamSweeper()
        sweeper.start(on: loop)
        let factory = LoopListenerFactory(
            loop: loop,
            host: host,
            port: port,
            settings: settings,
            gate: gate,
            sweeper: sweeper,
            logger: logger,
            onListening: onListening
        )
        let bytesMax = max(
            4 << 20,
            service.requestLimits.valueBytesMax + service.requestLimits.keyBytesMax + (64 << 10)
        )
        server = GRPCServer(
            transport: HTTP2ServerTransport.Custom(
                listenerFactory: factory,
                config: Self.config(settings, messageBytesMax: bytesMax, sweeper)
            ),
            services: [edge, HealthService(edge), ReflectionService(edge)],
            interceptors: authenticator == nil ? [] : [Gatekeeper(edge: edge)]
        )
    }

    /// Listens and serves until `stop`, or until the task is cancelled.
    /// - Throws: what the system says where it cannot listen.
    package func run() async throws {
        do {
            try await withTaskExecutorPreference(executor) { [server] in try await server.serve() }
        } catch let error as RuntimeError {
            throw error.cause ?? error
        }
    }

    /// Changes how many connections may be open at once; those that are stay.
    package func limitConnections(to count: Int) { gate.limit(to: count) }

    /// Takes no more calls; what is not answered after the settings' deadline is cut off by whoever cancels `run`.
    package func stop() { server.beginGracefulShutdown() }

    private static func config(
        _ settings: GRPCSettings,
        messageBytesMax: Int,
        _ sweeper: StreamSweeper
    ) -> HTTP2ServerTransport.Custom<LoopListenerFactory>.Config {
        var config = HTTP2ServerTransport.Custom<LoopListenerFactory>.Config.defaults
        config.rpc.maxRequestPayloadSize = messageBytesMax
        config.http2.maxConcurrentStreams = settings.streamsMax
        config.http2.targetWindowSize = settings.windowBytes
        config.connection.maxIdleTime = settings.idleTimeout
        // A connection that is to end and does not answer ends by this.
        config.connection.maxGraceTime = settings.stopDeadline
        config.connection.keepalive.time = settings.keepaliveInterval
        config.connection.keepalive.timeout = settings.keepaliveTimeout
        config.connection.keepalive.clientBehavior.allowWithoutCalls = true
        config.connection.keepalive.clientBehavior.minPingIntervalWithoutCalls = .seconds(10)
        config.channelDebuggingCallbacks.onAcceptHTTP2Stream = { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandler(
                    StreamWatch(sweeper, settings, messageBytesMax: messageBytesMax),
                    position: .first
                )
            }
        }
        return config
    }
}

/// Makes the listening channel: our own limits and TLS, gRPC's protocol.
struct LoopListenerFactory: HTTP2ServerTransport.ListenerFactory {
    let loop: any EventLoop
    let host: String
    let port: Int
    let settings: GRPCSettings
    let gate: ConnectionGate
    let sweeper: StreamSweeper
    let logger: Logger
    let onListening: @Sendable (NIOCore.SocketAddress) -> Void

    var eventLoopGroup: any EventLoopGroup { loop }

    func makeListeningChannel(
        listenerConfigurator: HTTP2ServerTransport.ListenerConfigurator,
        connectionConfigurator: HTTP2ServerTransport.ConnectionConfigurator
    ) async throws -> NIOAsyncChannel<HTTP2ServerTransport.ConnectionConfigurator.ConnectionChannel, Never> {
        let channel = try await ServerBootstrap(group: loop)
            .serverChannelOption(.backlog, value: 1_024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelInitializer { [gate] channel in
                listenerConfigurator.configure(channel: channel).flatMapThrowing {
                    try channel.pipeline.syncOperations.addHandler(gate, position: .first)
                }
            }
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .bind(host: host, port: port) { [self] channel in adopt(channel, connectionConfigurator) }
        if let address = channel.channel.localAddress {
            logger.info("serving gRPC", metadata: .keys([.address: "\(address)"]))
            onListening(address)
        }
        return channel
    }

    /// Puts TLS, where it is on, and gRPC on a connection.
    private func adopt(
        _ channel: any Channel,
        _ configurator: HTTP2ServerTransport.ConnectionConfigurator
    ) -> EventLoopFuture<HTTP2ServerTransport.ConnectionConfigurator.ConnectionChannel> {
        gate.admit(channel)
        do {
            try channel.pipeline.syncOperations.addHandler(ConnectionWatch(sweeper, settings))
            try settings.secure?(channel)
            try channel.pipeline.syncOperations.addHandler(PrefaceCheck(gate.foreign))
        } catch {
            channel.close(promise: nil)
            return channel.eventLoop.makeFailedFuture(error)
        }
        return configurator.configure(
            channel: channel,
            tls: settings.secure == nil ? .none : .configured(requireALPN: false)
        )
    }
}
