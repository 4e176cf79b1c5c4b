import Glibc
import KVConfiguration
import KVGRPC
import KVHTTP
import KVNode
import KVPeer
import KVPosix
import KVRESP
import KVTelemetry
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import Synchronization
import UnixSignals

/// Puts a node together from the bottom up, runs it until a signal, and takes it apart from the top down.
/// - Throws: what keeps it from running, in a line for a person.
func runNode(_ loaded: LoadedConfiguration, join: [String] = []) async throws {
    let configuration = loaded.configuration
    HostProcess.prepare()
    // Every logger of the process, those inside packages too.
    let format = configuration.logging.format
    LogLevelControl.shared.level = configuration.loggerLevel
    LoggingSystem.bootstrap { StandardErrorLogHandler(label: $0, format: format) }
    var log = Logger(label: "kvnode")
    log[metadataKey: "node"] = "\(configuration.node.id)"

    let clock = PosixClock()
    let group = MultiThreadedEventLoopGroup(numberOfThreads: configuration.loopCount)
    let machine = Machine(configuration, home: group.next(), clock: clock)
    var settings = configuration.nodeSettings
    let contexts = try Security.contexts(configuration, log)
    settings.join = try await Joining(configuration, settings, machine.environment, contexts, group, log)
        .plan(asking: join)
    let node = try Node.open(settings, environment: machine.environment, log: log)
    let metrics = MetricRegistry(countsRequests: configuration.metrics.countsRequests)
    let watch = HostWatch(configuration, node, workers: machine.environment.background, log: log)
    let nodeMetrics = NodeMetrics(metrics, watch, startMilliseconds: clock.wallMilliseconds)

    let security = try Security(configuration, contexts, node, clock, log)
    let consensus = ConsensusService(
        configuration,
        settings,
        node,
        nodeMetrics,
        watch,
        security: security,
        home: machine.home,
        log: log
    )
    try await consensus.start()
    security.start()
    let resp = makeRESPServices(configuration, node, security, metrics, clock, log)
    do {
        for service in resp { try await service.start(on: group) }
    } catch {
        await consensus.stop()
        throw error
    }
    let operations = Operations(loaded, node, log)
    let server = HTTPServer(
        service: node,
        admin: node,
        authenticator: security.authenticator,
        users: node,
        backup: node,
        operations: operations,
        settings: configuration.httpSettings(security),
        metrics: metrics,
        on: group,
        host: configuration.http.listen.host,
        port: configuration.http.listen.port,
        logger: log
    )
    operations.follow(\.alarms) { watch.follow($0) }
    operations.follow(\.limits.connections) { connections in
        for service in resp { service.limitConnections(to: connections) }
        server.limitConnections(to: connections)
    }
    let http = HTTPService(configuration, server)
    let grpc = GRPCService(configuration, node, security, metrics, on: group.next(), log)
    operations.follow(\.limits.connections) { grpc.limitConnections(to: $0) }
    log.info("started", metadata: ["version": "\(Version.text)", "data": "\(configuration.node.dataDirectory)"])

    // Stopped in the opposite order: clients first, then the node.
    var services = ServiceGroupConfiguration(
        services: (([security, consensus] as [any Service]) + resp + [http, grpc]).map {
            .init(service: $0, failureTerminationBehavior: .gracefullyShutdownGroup)
        },
        logger: log
    )
    services.maximumGracefulShutdownDuration = .seconds(20)
    let running = ServiceGroup(configuration: services)
    let stopper = GracefulStop(node, running, log)
    node.onStopRequested = { stopper.begin("an administrator") }
    let signals = Task { await stopAtSignal(stopper) }
    defer { signals.cancel() }
    try await running.run()
    log.info("stopped")
}

/// The listener for Redis clients, and the one for clients of Redis Cluster where it is configured.
private func makeRESPServices(
    _ configuration: NodeConfiguration,
    _ node: Node,
    _ security: Security,
    _ metrics: MetricRegistry,
    _ clock: PosixClock,
    _ log: Logger
) -> [RESPService] {
    var settings = configuration.respSettings(clock, security)
    let makeServer = { settings in
        RESPServer(
            service: node,
            authenticator: security.authenticator,
            settings: settings,
            metrics: metrics,
            logger: log
        )
    }
    let plain = makeServer(settings)
    var services = [RESPService(configuration.resp.listen, plain)]
    if let listener = configuration.respCluster.listener {
        settings.isRedirecting = true
        services.append(RESPService(listener.listen, makeServer(settings)))
    }
    return services
}

/// The first signal stops the node gracefully, the second ends the process.
private func stopAtSignal(_ stopper: GracefulStop) async {
    for await signal in await UnixSignalsSequence(trapping: .sigterm, .sigint) where !stopper.begin("signal \(signal)")
    {
        _exit(128 + signal.rawValue)
    }
}

/// Stops the process so that clients notice nothing: leadership goes first, then the listeners close, then the node.
final class GracefulStop: Sendable {
    private let node: Node
    private let services: ServiceGroup
    private let log: Logger
    private let hasBegun = Atomic(false)

    init(_ node: Node, _ services: ServiceGroup, _ log: Logger) {
        self.node = node
        self.services = services
        self.log = log
    }

    /// Begins once; false where it has begun before.
    @discardableResult
    func begin(_ reason: String) -> Bool {
        guard !hasBegun.exchange(true, ordering: .relaxed) else { return false }
        log.info("stopping", metadata: ["by": "\(reason)"])
        node.handOver { [self] in
            Task { await services.triggerGracefulShutdown() }
        }
        return true
    }
}
