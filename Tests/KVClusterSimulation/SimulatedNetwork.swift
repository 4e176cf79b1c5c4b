import KVBase
import KVEnvironment
import KVRaft
import KVReplication
import KVSimulation

/// The connections between the simulated nodes: each pair has a link that stands or not, with latency, and for Raft's own
/// messages (which must survive anything) also loss, duplicates and reordering. Proxied requests travel as on TCP: in order, once, or not at
/// all once the connection is lost.
///
// SENDABLE: the simulator runs in one thread.
final class SimulatedNetwork: @unchecked Sendable {
    /// What happened to messages.
    struct Totals {
        var delivered = 0
        var dropped = 0
        var duplicated = 0
        var reordered = 0
        var damaged = 0
        var cut = 0
    }

    private struct Direction: Hashable {
        let from: NodeID
        let to: NodeID
    }

    private final class Connection {
        var isOpen = true
        var lastArrival: UInt64 = 0
    }

    let world: SimulatedWorld
    private let randomness: SeededRandomness
    private struct End {
        let life: Int
        let receiver: any PeerReceiver
        let home: any Scheduler
    }

    private var receivers: [NodeID: End] = [:]
    private var connections: [Direction: Connection] = [:]
    private var cutDirections: Set<Direction> = []
    private(set) var totals = Totals()

    /// How likely a Raft message is lost, doubled, late enough to be overtaken, or has a bit flipped in an entry.
    var lossProbability = 0.0
    var duplicateProbability = 0.0
    var reorderProbability = 0.0
    var damageProbability = 0.0
    /// Whether appends with entries are lost, and nothing else.
    var losesEntries = false

    init(_ world: SimulatedWorld) {
        self.world = world
        randomness = world.randomness.split()
    }

    /// A node came up.
    func attach(_ node: NodeID, life: Int, receiver: any PeerReceiver, home: any Scheduler) {
        receivers[node] = End(life: life, receiver: receiver, home: home)
        for other in receivers.keys.sorted() where other != node { connectLater(node, other) }
    }

    /// A node went down: its peers see their connections closed.
    func detach(_ node: NodeID) {
        receivers[node] = nil
        for other in receivers.keys.sorted() { disconnect(node, other, closedByPeer: true) }
    }

    /// Nothing gets from one node to the other until healed; their connection times out later.
    func cut(_ from: NodeID, _ to: NodeID) {
        cutDirections.insert(Direction(from: from, to: to))
        totals.cut += 1
        world.after(400_000_000 + UInt64(randomness.below(400_000_000))) { [self] in
            guard isCut(from, to) else { return }
            disconnect(from, to, closedByPeer: false)
        }
    }

    /// Everything gets through again.
    func heal() {
        cutDirections = []
        let nodes = receivers.keys.sorted()
        for a in nodes {
            for b in nodes where a < b { connectLater(a, b) }
        }
    }

    /// The nodes that are up.
    var attached: [NodeID] { receivers.keys.sorted() }

    /// One end closes the connection; both dial again until they are refused no more.
    func drop(_ a: NodeID, _ b: NodeID) { disconnect(a, b, closedByPeer: false) }

    func isConnected(_ a: NodeID, _ b: NodeID) -> Bool {
        connections[Direction(from: a, to: b)]?.isOpen == true
    }

    private func isCut(_ from: NodeID, _ to: NodeID) -> Bool {
        cutDirections.contains(Direction(from: from, to: to))
    }

    // MARK: Connections

    private func connectLater(_ a: NodeID, _ b: NodeID) {
        world.after(1_000_000 + UInt64(randomness.below(20_000_000))) { [self] in connect(a, b) }
    }

    private func connect(_ a: NodeID, _ b: NodeID) {
        guard !isConnected(a, b), !isCut(a, b), !isCut(b, a), let one = receivers[a], let two = receivers[b] else {
            return
        }
        one.home.execute { [self] in
            one.receiver.admit(two.receiver.hello) { [self] verdict in
                guard verdict == .admitted else { return refused(b, two, by: a, one, verdict) }
                two.home.execute { [self] in
                    two.receiver.admit(one.receiver.hello) { [self] verdict in
                        guard verdict == .admitted else { return refused(a, one, by: b, two, verdict) }
                        world.after(500_000) { [self] in establish(a, one, b, two) }
                    }
                }
            }
        }
    }

    /// As the transport does: tells the other what it was told, and tries again, as the refusal may be of another moment.
    private func refused(_ a: NodeID, _ one: End, by b: NodeID, _ two: End, _ verdict: PeerVerdict) {
        world.after(500_000) { [self] in
            guard receivers[a]?.life == one.life, receivers[b]?.life == two.life else { return }
            if case .removed(let reason) = verdict {
                one.home.execute { one.receiver.peerSaysRemoved(b, reason: reason) }
                return
            }
            world.after(250_000_000) { [self] in
                guard receivers[a]?.life == one.life, receivers[b]?.life == two.life else { return }
                connect(a, b)
            }
        }
    }

    private func establish(_ a: NodeID, _ one: End, _ b: NodeID, _ two: End) {
        guard receivers[a]?.life == one.life, receivers[b]?.life == two.life, !isConnected(a, b) else { return }
        connections[Direction(from: a, to: b)] = Connection()
        connections[Direction(from: b, to: a)] = Connection()
        one.home.execute { one.receiver.peerConnected(two.receiver.hello) }
        two.home.execute { two.receiver.peerConnected(one.receiver.hello) }
    }

    private func disconnect(_ a: NodeID, _ b: NodeID, closedByPeer: Bool) {
        guard isConnected(a, b) else { return }
        for direction in [Direction(from: a, to: b), Direction(from: b, to: a)] {
            connections.removeValue(forKey: direction)?.isOpen = false
        }
        let lives = (receivers[a]?.life, receivers[b]?.life)
        world.after(200_000 + UInt64(randomness.below(2_000_000))) { [self] in
            if let life = lives.0, let one = receivers[a], one.life == life {
                one.home.execute { one.receiver.peerDisconnected(b, closedByPeer: closedByPeer) }
            }
            if let life = lives.1, let two = receivers[b], two.life == life {
                two.home.execute { two.receiver.peerDisconnected(a, closedByPeer: closedByPeer) }
            }
            // As the transport does: dial again until it works.
            redialLater(a, b)
        }
    }

    private func redialLater(_ a: NodeID, _ b: NodeID) {
        world.after(50_000_000) { [self] in
            guard receivers[a] != nil, receivers[b] != nil, !isConnected(a, b) else { return }
            connect(a, b)
            if !isConnected(a, b) { redialLater(a, b) }
        }
    }

    // MARK: Messages

    func send(_ messages: [PeerMessage], from: NodeID, to: NodeID) -> Bool {
        guard let connection = connections[Direction(from: from, to: to)] else { return false }
        for message in messages { send(message, from, to, connection) }
        return true
    }

    private func send(_ message: PeerMessage, _ from: NodeID, _ to: NodeID, _ connection: Connection) {
        guard !isCut(from, to) else {
            totals.dropped += 1
            return
        }
        let latency = 50_000 + UInt64(randomness.below(150_000))
        guard case .raft(let group, let raft) = message else {
            connection.lastArrival = max(connection.lastArrival + 1, world.now + latency)
            deliver(message, from, to, connection, at: connection.lastArrival)
            return
        }
        if (losesEntries && !raft.entries.isEmpty) || randomness.chance(lossProbability) {
            totals.dropped += 1
            return
        }
        if randomness.chance(duplicateProbability) {
            totals.duplicated += 1
            deliver(message, from, to, connection, at: world.now + latency + UInt64(randomness.below(5_000_000)))
        }
        var late: UInt64 = 0
        if randomness.chance(reorderProbability) {
            totals.reordered += 1
            late = UInt64(randomness.below(30_000_000))
        }
        if !raft.entries.isEmpty, randomness.chance(damageProbability) {
            totals.damaged += 1
            deliver(.raft(group, damaged(raft)), from, to, connection, at: world.now + latency)
            return
        }
        deliver(message, from, to, connection, at: world.now + latency + late)
    }

    private func damaged(_ message: Message) -> Message {
        var message = message
        let place = randomness.below(message.entries.count)
        if message.entries[place].payload.isEmpty {
            message.entries[place].payload = [1]
        } else {
            let byte = randomness.below(message.entries[place].payload.count)
            message.entries[place].payload[byte] ^= UInt8(1 << randomness.below(8))
        }
        return message
    }

    private func deliver(
        _ message: PeerMessage,
        _ from: NodeID,
        _ to: NodeID,
        _ connection: Connection,
        at time: UInt64
    ) {
        let life = receivers[to]?.life
        world.after(time > world.now ? time - world.now : 0) { [self] in
            guard connection.isOpen, !isCut(from, to), let target = receivers[to], target.life == life else {
                totals.dropped += 1
                return
            }
            totals.delivered += 1
            target.home.execute { target.receiver.receive([message], from: from) }
        }
    }
}

/// One node's end of the simulated network.
///
// SENDABLE: the simulator runs in one thread.
final class SimulatedTransport: PeerTransport, @unchecked Sendable {
    private let network: SimulatedNetwork
    private let node: NodeID

    init(_ network: SimulatedNetwork, _ node: NodeID) {
        self.network = network
        self.node = node
    }

    func send(_ messages: [PeerMessage], to node: NodeID) -> Bool {
        network.send(messages, from: self.node, to: node)
    }

    func isConnected(_ node: NodeID) -> Bool {
        network.isConnected(self.node, node)
    }

    // Every node of the network dials every other; whom it admits is the node's own business.
    func setPeer(_ node: NodeID, address: String) {}

    func removePeer(_ node: NodeID) { network.drop(self.node, node) }

    var peers: [NodeID] { network.attached.filter { $0 != node } }
}
