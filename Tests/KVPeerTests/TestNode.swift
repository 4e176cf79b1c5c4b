import KVBase
import KVPeer
import KVReplication
import Logging
import NIOCore
import NIOPosix
import Synchronization

/// Everything that a node heard, with waiting for it.
final class Journal: Sendable {
    enum Event: Equatable, Sendable {
        case connected(NodeID, Incarnation)
        case disconnected(NodeID, closedByPeer: Bool)
        case received([PeerMessage], NodeID)
        case logged(String)
        case saidRemoved(NodeID, String)
    }

    private struct State {
        var events: [Event] = []
        var waiters: [(isDone: @Sendable ([Event]) -> Bool, resume: CheckedContinuation<Void, Never>)] = []
    }
    private let state = Mutex(State())

    var events: [Event] { state.withLock { $0.events } }

    func add(_ event: Event) {
        let done = state.withLock { state in
            state.events.append(event)
            let split = state.waiters.partition { $0.isDone(state.events) }
            let done = Array(state.waiters[split...])
            state.waiters.removeSubrange(split...)
            return done.map(\.resume)
        }
        for continuation in done { continuation.resume() }
    }

    /// Returns once what was heard so far satisfies `isDone`.
    func wait(until isDone: @escaping @Sendable ([Event]) -> Bool) async {
        await withCheckedContinuation { continuation in
            let isAlready = state.withLock { state in
                if isDone(state.events) { return true }
                state.waiters.append((isDone, continuation))
                return false
            }
            if isAlready { continuation.resume() }
        }
    }

    /// Returns once an event was heard.
    func wait(for event: Event) async { await wait { $0.contains(event) } }

    /// Returns once a log line with this text was written.
    func waitForLog(_ text: String) async {
        await wait { $0.contains { if case .logged(let line) = $0 { line.contains(text) } else { false } } }
    }

    /// Messages from a node, in order.
    static func messages(_ events: [Event], from node: NodeID) -> [PeerMessage] {
        events.flatMap { event in if case .received(let messages, node) = event { messages } else { [PeerMessage]() } }
    }
}

private struct JournalLog: LogHandler {
    let journal: Journal
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.debug

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { journal.add(.logged("\(event.message)")) }
}

/// Admits whoever is of the same cluster, one turn of the loop later, and notes what it hears.
final class TestReceiver: PeerReceiver {
    let hello: PeerHello
    let journal: Journal
    let loop: any EventLoop
    let refusal: String?

    init(_ hello: PeerHello, _ journal: Journal, _ loop: any EventLoop, refusal: String?) {
        self.hello = hello
        self.journal = journal
        self.loop = loop
        self.refusal = refusal
    }

    func admit(_ hello: PeerHello, completion: @escaping @Sendable (PeerVerdict) -> Void) {
        loop.execute { [self] in
            if let refusal { return completion(.refused(refusal)) }
            guard hello.cluster == self.hello.cluster else {
                return completion(
                    .refused("node \(hello.node) is of cluster \(hello.cluster), this is \(self.hello.cluster)")
                )
            }
            completion(.admitted)
        }
    }

    func join(_ hello: PeerHello, completion: @escaping @Sendable (JoinAnswer) -> Void) {
        completion(
            JoinAnswer(cluster: self.hello.cluster, shardCount: 4, state: .unknown, text: "hello, node \(hello.node)")
        )
    }

    func peerSaysRemoved(_ node: NodeID, reason: String) { journal.add(.saidRemoved(node, reason)) }

    func peerConnected(_ hello: PeerHello) { journal.add(.connected(hello.node, hello.incarnation)) }

    func peerDisconnected(_ node: NodeID, closedByPeer: Bool) {
        journal.add(.disconnected(node, closedByPeer: closedByPeer))
    }

    func receive(_ messages: [PeerMessage], from node: NodeID) { journal.add(.received(messages, node)) }
}

/// A transport with its own loop, listening at a port of the system's choice.
final class TestNode: Sendable {
    let id: NodeID
    let group: MultiThreadedEventLoopGroup
    let loop: any EventLoop
    let journal = Journal()
    let transport: NIOPeerTransport
    let receiver: TestReceiver
    let port: Int

    static let cluster = ClusterID(high: 1, low: 2)

    init(
        _ id: UInt64,
        incarnation: UInt64 = 1,
        cluster: ClusterID = TestNode.cluster,
        protocols: ClosedRange<UInt32> = 1...1,
        refusal: String? = nil,
        settings: PeerSettings = .forTests
    ) async throws {
        self.id = NodeID(id)
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        loop = group.next()
        let journal = journal
        let logger = Logger(label: "node \(id)") { _ in JournalLog(journal: journal) }
        transport = NIOPeerTransport(node: self.id, peers: [:], loop: loop, settings: settings, logger: logger)
        let hello = PeerHello(
            cluster: cluster,
            node: self.id,
            incarnation: Incarnation(incarnation),
            protocolRange: protocols,
            featureLevel: 3,
            addresses: ["resp": "127.0.0.1:6400", "peer": "[::1]:7400"],
            isBlank: true
        )
        receiver = TestReceiver(hello, journal, loop, refusal: refusal)
        port = try await transport.start(listen: PeerAddress(host: "127.0.0.1", port: 0), receiver: receiver).get()
    }

    /// Tells this node where another listens.
    func knows(_ other: TestNode) async throws { try await knows(other.id, port: other.port) }

    func knows(_ node: NodeID, port: Int) async throws {
        try await loop.submit { self.transport.setPeer(node, address: PeerAddress(host: "127.0.0.1", port: port)) }
            .get()
    }

    @discardableResult
    func send(_ messages: [PeerMessage], to node: NodeID) async throws -> Bool {
        try await loop.submit { self.transport.send(messages, to: node) }.get()
    }

    func isConnected(_ node: NodeID) async throws -> Bool {
        try await loop.submit { self.transport.isConnected(node) }.get()
    }

    /// Stops in order, saying goodbye.
    func stop() async throws {
        try await transport.stop().get()
        try await group.shutdownGracefully()
    }

    /// Goes away as a killed process does: the sockets close and nothing is said.
    func die() async throws { try await group.shutdownGracefully() }
}

extension PeerSettings {
    /// Quick attempts; a loaded machine may still take its time to answer.
    static var forTests: PeerSettings {
        var settings = PeerSettings()
        settings.backOffMin = .milliseconds(5)
        settings.backOffMax = .milliseconds(20)
        settings.connectTimeout = .seconds(20)
        settings.idleTimeout = .seconds(60)
        return settings
    }
}
