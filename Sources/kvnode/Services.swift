import KVConfiguration
import KVGRPC
import KVHTTP
import KVNode
import KVPeer
import KVRESP
import KVTelemetry
import Logging
import NIOCore
import ServiceLifecycle

// What the process runs, each stopped on its own: the node with its connections to others, and the two listeners for clients.

/// The node and its transport.
struct ConsensusService: Service {
    private let configuration: NodeConfiguration
    private let node: Node
    private let metrics: NodeMetrics
    private let watch: HostWatch
    private let home: any EventLoop
    private let transport: NIOPeerTransport

    init(
        _ configuration: NodeConfiguration,
        _ settings: NodeSettings,
        _ node: Node,
        _ metrics: NodeMetrics,
        _ watch: HostWatch,
        security: Security,
        home: any EventLoop,
        log: Logger
    ) {
        self.configuration = configuration
        self.node = node
        self.metrics = metrics
        self.watch = watch
        self.home = home
        transport = NIOPeerTransport(
            node: configuration.node.id,
            peers: settings.peerAddresses,
            loop: home,
            settings: configuration.peerSettings(security.contexts),
            logger: log
        )
    }

    /// Listens for other nodes and takes part from then on.
    /// - Throws: `StartError` where it cannot listen; the node is closed again then.
    func start() async throws {
        let address = configuration.peer.listen
        do {
            // On the home loop at once: no peer may be heard before the node has started.
            _ = try await transport.start(listen: PeerAddress(host: address.host, port: address.port), receiver: node)
                .map { [node, transport] port in
                    node.start(transport)
                    return port
                }.get()
        } catch {
            await stop()
            throw StartError("peer", address, error)
        }
        // On the home loop, which is the transport's too: a scrape then reads what is there and waits for nobody.
        let refresh = { @Sendable [node, metrics, transport] in
            node.measure { metrics.update($0, transport.statistics) }
        }
        home.scheduleRepeatedTask(initialDelay: .zero, delay: .seconds(1)) { _ in refresh() }
        home.scheduleRepeatedTask(initialDelay: .zero, delay: HostWatch.interval) { [watch] _ in watch.look() }
    }

    func run() async throws {
        try? await gracefulShutdown()
        await stop()
    }

    /// Answers what waits, closes the data directory, then the connections.
    func stop() async {
        await withCheckedContinuation { continuation in
            node.stop { continuation.resume() }
        }
        // It only reports that all is closed.
        try? await transport.stop().get()
    }
}

/// The listener for the Redis protocol.
struct RESPService: Service {
    private let address: HostPort
    private let server: RESPServer

    init(_ address: HostPort, _ server: RESPServer) {
        self.address = address
        self.server = server
    }

    /// Changes how many clients may be connected at once.
    func limitConnections(to count: Int) { server.limitConnections(to: count) }

    /// - Throws: `StartError` where it cannot listen.
    func start(on group: any EventLoopGroup) async throws {
        do {
            try await server.start(on: group, host: address.host, port: address.port)
        } catch {
            throw StartError("resp", address, error)
        }
    }

    func run() async throws {
        try? await gracefulShutdown()
        await server.stop()
    }
}

/// The listener for HTTP.
struct HTTPService: Service {
    private let address: HostPort
    private let server: HTTPServer

    init(_ configuration: NodeConfiguration, _ server: HTTPServer) {
        address = configuration.http.listen
        self.server = server
    }

    func run() async throws {
        do {
            try await server.run()
        } catch is CancellationError {
            return
        } catch {
            throw StartError("http", address, error)
        }
    }
}

/// The listener for gRPC.
struct GRPCService: Service {
    private let address: HostPort
    private let listener: GRPCListener
    private let stopDeadline: Duration

    init(
        _ configuration: NodeConfiguration,
        _ node: Node,
        _ security: Security,
        _ metrics: MetricRegistry,
        on loop: any EventLoop,
        _ log: Logger
    ) {
        address = configuration.grpc.listen
        let settings = configuration.grpcSettings(security)
        stopDeadline = settings.stopDeadline
        listener = GRPCListener(
            service: node,
            authenticator: security.authenticator,
            settings: settings,
            metrics: metrics,
            on: loop,
            host: address.host,
            port: address.port,
            logger: log
        )
    }

    /// Changes how many connections may be open at once.
    func limitConnections(to count: Int) { listener.limitConnections(to: count) }

    func run() async throws {
        do {
            try await withThrowingTaskGroup(of: Bool.self) { group in
                group.addTask {
                    try await listener.run()
                    return true
                }
                group.addTask {
                    try await gracefulShutdown()
                    listener.stop()
                    // Streams that a client keeps open would keep the process.
                    try await Task.sleep(for: stopDeadline)
                    return false
                }
                defer { group.cancelAll() }
                // Whichever ends first: all calls, or the time that they have.
                _ = try await group.next()
            }
        } catch is CancellationError {
            return
        } catch {
            throw StartError("grpc", address, error)
        }
    }
}
