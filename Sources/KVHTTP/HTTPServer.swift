import Hummingbird
import HummingbirdCore
package import KVService
package import KVTelemetry
package import Logging
package import NIOCore
import ServiceLifecycle
import Synchronization

/// Serves the HTTP interface on one address: keys, listings, status, health, metrics.
///
/// A `Service`: `run` listens and returns after a graceful shutdown, when open requests are answered. It decodes, calls the service
/// and encodes; it holds no data.
package struct HTTPServer: Service {
    private let edge: HTTPEdge
    private let settings: HTTPSettings
    private let group: any EventLoopGroup
    private let host: String
    private let port: Int
    private let logger: Logger
    private let onListening: @Sendable (SocketAddress) -> Void
    private let connectionsMax: ConnectionBound.Maximum

    /// A server that is not listening yet; `onListening` hears the address (the port is the system's choice where `port` is 0).
    package init(
        service: any KeyValueService,
        admin: (any AdminService)? = nil,
        authenticator: Authenticator? = nil,
        users: (any AccessAdministration)? = nil,
        backup: (any BackupService)? = nil,
        operations: (any OperationsService)? = nil,
        settings: HTTPSettings = HTTPSettings(),
        metrics: MetricRegistry,
        on group: any EventLoopGroup,
        host: String,
        port: Int,
        logger: Logger,
        onListening: @escaping @Sendable (SocketAddress) -> Void = { _ in }
    ) {
        edge = HTTPEdge(
            service,
            admin: admin,
            authenticator: authenticator,
            users: users,
            backup: backup,
            operations: operations,
            settings,
            metrics,
            logger
        )
        self.settings = settings
        self.group = group
        self.host = host
        self.port = port
        self.logger = logger
        self.onListening = onListening
        connectionsMax = ConnectionBound.Maximum(settings.connectionsMax)
    }

    /// Changes how many connections may be open at once; those that are stay.
    package func limitConnections(to count: Int) { connectionsMax.count.store(count, ordering: .relaxed) }

    /// Listens and serves until a graceful shutdown or cancellation.
    /// - Throws: what the system says where it cannot listen.
    package func run() async throws {
        try await application.run()
    }

    /// The server as Hummingbird's tests take it.
    var application: Application<HTTPEdge> {
        let idle = TimeAmount.nanoseconds(Int64(settings.idleTimeout / .nanoseconds(1)))
        let writeTimeout = TimeAmount.nanoseconds(Int64(settings.writeTimeout / .nanoseconds(1)))
        let bytesMax = edge.service.requestLimits.valueBytesMax
        return Application(
            responder: edge,
            server: HTTPServerBuilder { [edge, settings] responder in
                SecuredChannel(
                    HTTP1Channel(
                        responder: responder,
                        configuration: .init(
                            additionalChannelHandlers: [
                                ContinueHandler(bytesMax: bytesMax), ConnectionCounter(edge.registry),
                                StalledReader(timeout: writeTimeout), MalformedRequest(edge.metrics),
                            ],
                            idleTimeout: idle
                        )
                    ),
                    secure: settings.secure
                )
            },
            configuration: ApplicationConfiguration(
                address: .hostname(host, port: port),
                backlog: 1_024,
                availableConnectionsDelegate: ConnectionBound(connectionsMax)
            ),
            onServerRunning: { [onListening, logger] channel in
                guard let address = channel.localAddress else { return }
                logger.info("serving HTTP", metadata: .keys([.address: "\(address)"]))
                onListening(address)
            },
            eventLoopGroupProvider: .shared(group),
            logger: logger
        )
    }
}
