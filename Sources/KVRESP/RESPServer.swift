package import KVService
package import KVTelemetry
package import Logging
package import NIOCore
import NIOPosix
import Synchronization

/// Serves the Redis protocol on one address: RESP2 and RESP3, pipelined or not, commands on strings.
///
/// It decodes, calls the service and encodes; it holds no data. A connection stays on the event loop that accepted it. Bounds are in
/// `RESPSettings`. Any thread may call it.
package final class RESPServer: Sendable {
    private struct State {
        var listeners: [any Channel] = []
        var loops: [ObjectIdentifier: LoopContext] = [:]
    }

    private let shared: RESPShared
    private let state = Mutex(State())

    /// A server that is not listening yet.
    package init(
        service: any KeyValueService,
        authenticator: Authenticator? = nil,
        settings: RESPSettings,
        metrics: MetricRegistry,
        logger: Logger
    ) {
        shared = RESPShared(service, authenticator, settings, metrics, logger)
    }

    /// Listens.
    ///
    /// May be called for several addresses.
    /// - Returns: the address it listens on; the port is the system's choice where `port` is 0.
    /// - Throws: what the system says where it cannot listen.
    @discardableResult
    package func start(on group: any EventLoopGroup, host: String, port: Int) async throws -> SocketAddress {
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1_024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            // A host that vanished is noticed, however long its client may be idle.
            .childChannelOption(.socketOption(.so_keepalive), value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(
                .writeBufferWaterMark,
                value: ChannelOptions.Types.WriteBufferWaterMark(low: 256 << 10, high: 1 << 20)
            )
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try self.adopt(channel) }
            }
        let channel = try await bootstrap.bind(host: host, port: port).get()
        state.withLock { $0.listeners.append(channel) }
        let limits = PatienceLimits(shared.settings)
        if let interval = limits.interval {
            // Ends with the listener's loop.
            channel.eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { [shared] task in
                if shared.isStopping { task.cancel() } else { shared.letGoOfTheSlow(limits) }
            }
        }
        if shared.settings.isRedirecting {
            // Ends with the listener's loop.
            let refresh = { @Sendable [shared] in shared.service.status { shared.note($0) } }
            channel.eventLoop.scheduleRepeatedTask(initialDelay: .zero, delay: .seconds(1)) { [shared] task in
                if shared.isStopping { task.cancel() } else { refresh() }
            }
        }
        guard let address = channel.localAddress else { throw ChannelError.unknownLocalAddress }
        shared.logger.info("serving the Redis protocol", metadata: .keys([.address: "\(address)"]))
        return address
    }

    /// Takes no more connections and commands, answers what was taken, and closes; what is not done after the settings'
    /// deadline is cut off.
    ///
    /// Returns when all connections are closed.
    package func stop() async {
        let listeners = state.withLock { state in
            defer { state.listeners = [] }
            return state.listeners
        }
        for listener in listeners {
            // It may be closed already; there is nothing else to do about a listener.
            try? await listener.close()
        }
        let deadline = shared.settings.stopDeadline
        let amount = TimeAmount.nanoseconds(Int64(deadline / .nanoseconds(1)))
        await withCheckedContinuation { continuation in
            let connections = shared.beginStop { continuation.resume() }
            for connection in connections {
                let loop = connection.loop.eventLoop
                loop.execute { connection.drain() }
                loop.scheduleTask(in: amount) { connection.closeNow() }
            }
        }
    }

    /// Puts the protocol on a channel.
    ///
    /// On the channel's event loop.
    package func adopt(_ channel: any Channel) throws {
        try shared.settings.secure?(channel)
        let remote = channel.remoteAddress.map(Self.text) ?? "?"
        let local = channel.localAddress.map(Self.text) ?? "?"
        guard let info = shared.admit(remoteAddress: remote, localAddress: local) else {
            let line = ByteBuffer(string: "-ERR max number of clients reached\r\n")
            channel.writeAndFlush(line).assumeIsolated().whenComplete { _ in channel.close(promise: nil) }
            return
        }
        let connection = RESPConnection(shared, loop(of: channel.eventLoop), info)
        try channel.pipeline.syncOperations.addHandler(connection)
        connection.activity.commandAt = NIODeadline.now().uptimeNanoseconds
        shared.attach(connection)
        connection.limitStranger()
    }

    /// How many clients are connected.
    package var connectionCount: Int { shared.clientCount }

    /// Changes how many clients may be connected at once; those that are stay.
    package func limitConnections(to count: Int) { shared.connectionsMax.store(count, ordering: .relaxed) }

    /// Whether `stop` was called.
    var isStopping: Bool { shared.isStopping }

    private func loop(of eventLoop: any EventLoop) -> LoopContext {
        state.withLock { state in
            if let known = state.loops[ObjectIdentifier(eventLoop)] { return known }
            let made = LoopContext(eventLoop, shared)
            state.loops[ObjectIdentifier(eventLoop)] = made
            return made
        }
    }

    private static func text(_ address: SocketAddress) -> String {
        guard let host = address.ipAddress, let port = address.port else { return "\(address)" }
        return host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}
