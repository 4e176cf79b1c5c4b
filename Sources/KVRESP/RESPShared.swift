import KVBase
import KVService
import KVTelemetry
import Logging
import NIOCore
import Synchronization

/// A client as CLIENT LIST shows it.
final class ClientInfo: Sendable {
    struct Names: Sendable {
        var name = ""
        var user = "default"
        var libraryName = ""
        var libraryVersion = ""
        var isRESP3 = false
        var isReadOnly = false
    }

    let id: UInt64
    let remoteAddress: String
    let localAddress: String
    /// When it connected, in milliseconds since 1970.
    let connectedAt: UInt64
    let names = Mutex(Names())

    init(id: UInt64, remoteAddress: String, localAddress: String, connectedAt: UInt64) {
        self.id = id
        self.remoteAddress = remoteAddress
        self.localAddress = localAddress
        self.connectedAt = connectedAt
    }
}

/// What all connections of a listener share.
final class RESPShared: Sendable {
    struct Member: Sendable {
        var info: ClientInfo
        var connection: RESPConnection?
    }

    private struct State {
        var members: [UInt64: Member] = [:]
        var lastID: UInt64 = 0
        var isStopping = false
        var whenEmpty: [@Sendable () -> Void] = []
        /// Where Cluster clients reach each node, as last heard.
        var addresses: [NodeID: String] = [:]
    }

    let service: any KeyValueService
    /// Who finds out whether clients are who they say; nil where nobody is asked.
    let authenticator: Authenticator?
    let settings: RESPSettings
    let limits: RequestLimits
    let logger: Logger
    let table: CommandTable
    let slowLog: SlowLog
    /// How many clients may be connected at once: CONFIG SET maxclients changes it.
    let connectionsMax: Atomic<Int>
    let startedAt: UInt64
    /// By the command's place in the table; the last is for what is no command.
    let operations: [OperationMetrics]
    /// Whether operations are counted.
    let isCounting: Bool
    let receivedBytes: Counter
    let sentBytes: Counter
    let protocolErrors: Counter
    /// Clients that spoke HTTP.
    let foreignProtocols: Counter
    let outputOverflows: Counter
    /// Bytes of replies that wait for clients who do not read.
    let unreadBytes = Atomic<Int>(0)
    /// Clients that were let go since they took too long, by why.
    let patienceEnds: [String: Counter]
    /// By the error's code.
    private let rejects: [ServiceError.Code: Counter]
    private let connectionGauge: Gauge
    private let connectionTotal: Counter
    private let connectionRejects: Counter
    private let state = Mutex(State())

    init(
        _ service: any KeyValueService,
        _ authenticator: Authenticator?,
        _ settings: RESPSettings,
        _ registry: MetricRegistry,
        _ logger: Logger
    ) {
        self.service = service
        self.authenticator = authenticator
        self.settings = settings
        self.logger = logger
        limits = service.requestLimits
        table = commandTable
        startedAt = settings.now()
        slowLog = SlowLog(lengthMax: settings.slowLogLengthDefault, microseconds: settings.slowLogMicrosecondsDefault)
        connectionsMax = Atomic(settings.connectionsMax)
        operations = (table.commands.map(\.name) + ["other"]).map {
            OperationMetrics(registry, transport: "resp", operation: $0)
        }
        isCounting = registry.countsRequests
        receivedBytes = registry.counter(.receivedBytesTotal, "resp")
        sentBytes = registry.counter(.sentBytesTotal, "resp")
        protocolErrors = registry.counter(.rejectedTotal, "resp", "protocol_error")
        foreignProtocols = registry.counter(.rejectedTotal, "resp", "cross_protocol")
        outputOverflows = registry.counter(.rejectedTotal, "resp", "output_bound")
        patienceEnds = Dictionary(
            uniqueKeysWithValues: ["idle", "slow_command", "slow_reader"].map {
                ($0, registry.counter(.rejectedTotal, "resp", $0))
            }
        )
        rejects = Dictionary(
            uniqueKeysWithValues: ServiceError.Code.all.map {
                ($0, registry.counter(.rejectedTotal, "resp", $0.rawValue))
            }
        )
        connectionGauge = registry.gauge(.connections, "resp")
        connectionTotal = registry.counter(.connectionsTotal, "resp")
        connectionRejects = registry.counter(.rejectedTotal, "resp", "too_many_connections")
    }

    /// Counts a request that the service did not serve.
    func reject(_ error: ServiceError?) {
        if let error { rejects[error.code]?.add() }
    }

    /// A new client, or nil where there are too many or the listener stops.
    func admit(remoteAddress: String, localAddress: String) -> ClientInfo? {
        let info = state.withLock { state -> ClientInfo? in
            guard !state.isStopping, state.members.count < connectionsMax.load(ordering: .relaxed) else { return nil }
            state.lastID += 1
            let info = ClientInfo(
                id: state.lastID,
                remoteAddress: remoteAddress,
                localAddress: localAddress,
                connectedAt: settings.now()
            )
            state.members[info.id] = Member(info: info)
            return info
        }
        if info == nil {
            connectionRejects.add()
        } else {
            connectionTotal.add()
            connectionGauge.add(1)
        }
        return info
    }

    /// The client's connection, so that `stop` finds it.
    func attach(_ connection: RESPConnection) {
        let isStopping = state.withLock { state in
            state.members[connection.info.id]?.connection = connection
            return state.isStopping
        }
        if isStopping { connection.loop.eventLoop.execute { connection.drain() } }
    }

    /// Forgets a client that is gone.
    func remove(_ info: ClientInfo) {
        let actions = state.withLock { state -> [@Sendable () -> Void]? in
            guard state.members.removeValue(forKey: info.id) != nil else { return nil }
            guard state.members.isEmpty else { return [] }
            defer { state.whenEmpty = [] }
            return state.whenEmpty
        }
        guard let actions else { return }
        connectionGauge.add(-1)
        for action in actions { action() }
    }

    /// All clients by id.
    var clients: [ClientInfo] {
        state.withLock { $0.members.values.map(\.info).sorted { $0.id < $1.id } }
    }

    /// Changes how many clients may be connected at once.
    var connectionsMaxChange: @Sendable (Int) -> Void {
        { [self] count in connectionsMax.store(count, ordering: .relaxed) }
    }

    /// All connections by id.
    var connections: [RESPConnection] {
        state.withLock { $0.members.values.compactMap(\.connection).sorted { $0.info.id < $1.info.id } }
    }

    /// Remembers where nodes are reached.
    func note(_ status: NodeStatus) {
        var addresses: [NodeID: String] = [:]
        addresses[status.node] = ClusterMap.address(status.addresses)
        for peer in status.peers { addresses[peer.id] = ClusterMap.address(peer.addresses) }
        let found = addresses
        state.withLock { state in state.addresses.merge(found) { _, new in new } }
    }

    /// Where Cluster clients reach a node.
    func address(of node: NodeID) -> String? { state.withLock { $0.addresses[node] } }

    var clientCount: Int { state.withLock { $0.members.count } }

    /// Whether there is a user of this name; who has not said who it is counts as `default`.
    func isUser(_ name: String) -> Bool { name == "default" || authenticator?.control.user(name) != nil }

    /// How many clients were turned away.
    var rejectedTotal: UInt64 { connectionRejects.value }

    /// How often each command was called.
    var commandTotals: [(name: String, count: UInt64, failed: UInt64, microseconds: Double)] {
        zip(table.commands, operations).map { command, metrics in
            let counts = OperationOutcome.allCases.map { metrics.total($0) }
            return (
                command.name, counts.reduce(0, +), metrics.total(.failed) + metrics.total(.unknown),
                metrics.latency.read().sum * 1_000_000
            )
        }
    }

    /// How many clients there were since the start.
    var clientTotal: UInt64 { connectionTotal.value }

    /// Admits nobody from now on.
    /// - Returns: the connections that are open.
    func beginStop(whenEmpty: @escaping @Sendable () -> Void) -> [RESPConnection] {
        let (connections, isEmpty) = state.withLock { state in
            state.isStopping = true
            if !state.members.isEmpty { state.whenEmpty.append(whenEmpty) }
            return (state.members.values.compactMap(\.connection), state.members.isEmpty)
        }
        if isEmpty { whenEmpty() }
        return connections
    }

    /// Whether `beginStop` was called.
    var isStopping: Bool { state.withLock { $0.isStopping } }
}
