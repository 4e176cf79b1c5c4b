package import KVBase
package import KVReplication
package import Logging
package import NIOCore
import NIOPosix

/// The node's connections to all others over TCP, on one event loop: the node's home loop.
///
/// Each node dials every other and sends on the connection that it dialled, so two streams stand between two nodes, and nobody
/// has to decide who dials. Snapshot chunks take a third, dialled on demand. A lost link is dialled again after a growing wait,
/// the address resolved anew each time.
///
/// It answers for bytes and connections only: who may talk to this node is the receiver's decision, and a message that was
/// dropped is sent again by whoever needs it.
package final class NIOPeerTransport: PeerTransport, @unchecked Sendable {
    // SENDABLE: all state is touched on `loop` only; `start` and `stop` hop to it, and the rest checks.
    private let loop: any EventLoop
    private let settings: PeerSettings
    private let logger: Logger
    private let ownNode: NodeID
    private(set) var links: [NodeID: PeerLink] = [:]
    private var receiver: (any PeerReceiver)?
    private var server: (any Channel)?
    /// Accepted connections whose handshake is not done.
    private var strangers: [ObjectIdentifier: PeerConnection] = [:]
    private var ticker: RepeatedTask?
    private var lastTick = NIODeadline.now()

    /// How many accepted connections may be in their handshake; one more is closed.
    private static let strangersMax = 256

    /// A transport that is not started.
    ///
    /// `peers` may name this node too; it is skipped.
    package init(
        node: NodeID,
        peers: [NodeID: PeerAddress],
        loop: any EventLoop,
        settings: PeerSettings = PeerSettings(),
        logger: Logger
    ) {
        self.ownNode = node
        self.loop = loop
        self.settings = settings
        self.logger = logger
        for (peer, address) in peers where peer != node { links[peer] = makeLink(peer, address) }
    }

    // MARK: Life

    /// Listens, dials every peer and hands back the port.
    ///
    /// Any thread.
    ///
    /// The future fails where the address cannot be listened at; nothing was started then.
    package func start(listen: PeerAddress, receiver: any PeerReceiver) -> EventLoopFuture<Int> {
        loop.flatSubmit { [self] in
            self.receiver = receiver
            return ServerBootstrap(group: loop, childGroup: loop)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                .childChannelOption(.maxMessagesPerRead, value: 16)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture { try self.accept(channel) }
                }
                .bind(host: listen.host, port: listen.port)
                .map { channel in
                    self.server = channel
                    self.startTicking()
                    for link in self.links.values { self.dial(link) }
                    return channel.localAddress?.port ?? listen.port
                }
                .flatMapErrorThrowing { error in
                    self.receiver = nil
                    throw error
                }
        }
    }

    /// Says goodbye to every peer, closes everything and lets the receiver go; it hears nothing more.
    ///
    /// Any thread.
    package func stop() -> EventLoopFuture<Void> {
        loop.flatSubmit { [self] in
            receiver = nil
            ticker?.cancel()
            var ends: [EventLoopFuture<Void>] = []
            for link in links.values {
                link.cancelRedial()
                let open = [link.dialing, link.outgoing, link.incoming, link.incomingBulk, link.bulk.connection]
                ends += open.compactMap { $0?.channel?.closeFuture }
                link.isUp = false
                link.closeAll("the node stops", isStopping: true)
            }
            for stranger in strangers.values { stranger.abandon("the node stops", isStopping: true) }
            strangers = [:]
            if let server {
                ends.append(server.closeFuture)
                server.close(promise: nil)
            }
            server = nil
            return EventLoopFuture.andAllComplete(ends, on: loop)
        }
    }

    // MARK: Peers

    /// Adds a node, or changes where it is dialled from the next attempt on.
    ///
    /// On the loop.
    package func setPeer(_ node: NodeID, address: PeerAddress) {
        loop.preconditionInEventLoop()
        guard node != ownNode else { return }
        if let link = links[node] {
            link.address = address
        } else {
            let link = makeLink(node, address)
            links[node] = link
            if server != nil { dial(link) }
        }
    }

    package func setPeer(_ node: NodeID, address: String) {
        guard let parsed = PeerAddress(address) else {
            return logger.error("node \(node) cannot be dialled: '\(address)' is no address")
        }
        setPeer(node, address: parsed)
    }

    package var peers: [NodeID] {
        loop.preconditionInEventLoop()
        return links.keys.sorted()
    }

    /// Closes every connection to a node and forgets it.
    ///
    /// On the loop.
    package func removePeer(_ node: NodeID) {
        loop.preconditionInEventLoop()
        guard let link = links.removeValue(forKey: node) else { return }
        link.cancelRedial()
        let wasUp = link.isUp
        link.isUp = false
        link.closeAll("this node is no longer a peer")
        if wasUp { receiver?.peerDisconnected(node, closedByPeer: false) }
    }

    /// Why the node cannot be reached, where it cannot: the last failure or refusal.
    ///
    /// On the loop.
    package func lastProblem(of node: NodeID) -> String? {
        loop.preconditionInEventLoop()
        guard let link = links[node], !link.isUp else { return nil }
        return link.lastProblem
    }

    // MARK: PeerTransport

    package func isConnected(_ node: NodeID) -> Bool {
        loop.preconditionInEventLoop()
        return links[node]?.isUp == true
    }

    @discardableResult
    package func send(_ messages: [PeerMessage], to node: NodeID) -> Bool {
        loop.preconditionInEventLoop()
        guard let link = links[node], link.isUp, let outgoing = link.outgoing else { return false }
        guard !messages.isEmpty else { return true }
        guard messages.contains(where: \.isBulk) else { return send(messages, link, outgoing) }
        let rest = messages.filter { !$0.isBulk }
        var areQueued = rest.isEmpty || send(rest, link, outgoing)
        for message in messages where message.isBulk { areQueued = link.bulk.send(message) && areQueued }
        return areQueued
    }

    /// Encodes everything into one buffer, as few frames as the limit allows, and hands it to the channel at once.
    private func send(_ messages: [PeerMessage], _ link: PeerLink, _ outgoing: PeerConnection) -> Bool {
        let sizes = messages.map(\.wireBytesMax)
        guard sizes.allSatisfy({ $0 <= settings.frameBytesMax }) else {
            // Whoever makes messages keeps below that; the others of this turn are not to suffer.
            logger.error("a message of \(sizes.max() ?? 0) bytes to node \(link.node) outgrows a frame and is dropped")
            let others = messages.filter { $0.wireBytesMax <= settings.frameBytesMax }
            return !others.isEmpty && send(others, link, outgoing)
        }
        let total = sizes.reduce(0, +)
        guard link.queuedBytes + total <= settings.queueBytesMax else { return false }
        var buffer = ByteBufferAllocator().buffer(capacity: total)
        var start = 0
        while start < messages.count {
            var end = start
            var frameBytes = 0
            while end < messages.count, frameBytes + sizes[end] <= settings.frameBytesMax {
                frameBytes += sizes[end]
                end += 1
            }
            var envelope = WireEnvelope()
            var payloads: [[UInt8]] = []
            envelope.messages.reserveCapacity(end - start)
            for message in messages[start..<end] { envelope.messages.append(message.wire(payloads: &payloads)) }
            do {
                try PeerFrameEncoder.encode(envelope, payloads: payloads, into: &buffer)
            } catch {
                logger.error("messages to node \(link.node) are dropped: \(error)")
                return false
            }
            start = end
        }
        let bytes = buffer.readableBytes
        guard let written = outgoing.send(buffer) else { return false }
        link.queuedBytes += bytes
        link.sentBytes += UInt64(bytes)
        written.whenComplete { [weak link] _ in
            if let link, link.outgoing === outgoing { link.queuedBytes -= bytes }
        }
        return true
    }

    // MARK: Opening

    private func makeLink(_ node: NodeID, _ address: PeerAddress) -> PeerLink {
        let bulk = BulkSender(loop: loop, settings: settings) { [weak self] _ in
            guard let self, let link = links[node] else { return nil }
            return connect(link, purpose: .bulk)
        }
        return PeerLink(node: node, address: address, bulk: bulk)
    }

    private func accept(_ channel: any Channel) throws {
        guard receiver != nil, strangers.count < Self.strangersMax else { throw ChannelError.operationUnsupported }
        try settings.secureAccepted?(channel)
        let connection = PeerConnection(.accepting, purpose: .stream, owner: self, settings: settings)
        try channel.pipeline.syncOperations.addHandler(connection)
        strangers[ObjectIdentifier(connection)] = connection
        channel.closeFuture.whenComplete { [weak self] _ in
            self?.strangers[ObjectIdentifier(connection)] = nil
        }
    }

    private func dial(_ link: PeerLink) {
        link.cancelRedial()
        guard receiver != nil, links[link.node] === link, link.dialing == nil, link.outgoing == nil else { return }
        link.dialing = connect(link, purpose: .stream)
    }

    private func connect(_ link: PeerLink, purpose: WirePurpose) -> PeerConnection {
        let connection = PeerConnection(.dialing(link.node), purpose: purpose, owner: self, settings: settings)
        ClientBootstrap(group: loop)
            .connectTimeout(settings.connectTimeout.timeAmount)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { [settings, host = link.address.host] channel in
                channel.eventLoop.makeCompletedFuture {
                    try settings.secureDialed?(channel, host)
                    try channel.pipeline.syncOperations.addHandler(connection)
                }
            }
            .connect(host: link.address.host, port: link.address.port)
            .whenComplete { [weak self] result in
                guard let self else { return }
                let isWanted = link.dialing === connection || link.bulk.connection === connection || connection.isReady
                switch result {
                case .success(let channel):
                    // The link was closed or the transport stopped while the connection opened.
                    if !isWanted || receiver == nil { channel.close(promise: nil) }
                case .failure(let error):
                    connectionClosed(connection, PeerClosure(closedByPeer: false, reason: "\(link.address): \(error)"))
                }
            }
        return connection
    }

    // MARK: Keeping

    private func startTicking() {
        let interval = TimeAmount.nanoseconds(max(1_000_000, settings.idleTimeout.timeAmount.nanoseconds / 4))
        lastTick = .now()
        ticker = loop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { [weak self] _ in
            self?.tick(interval)
        }
    }

    private func tick(_ interval: TimeAmount) {
        let now = NIODeadline.now()
        // After a pause of the whole process nothing can have arrived: let what waits in the sockets be read first.
        let isLate = now - lastTick > interval * 2
        lastTick = now
        guard !isLate else { return }
        for link in links.values {
            for connection in [link.outgoing, link.incoming, link.incomingBulk] { connection?.tick(now: now) }
            link.bulk.tick(now: now)
        }
    }

    /// Closes what is left of a link and dials again.
    private func takeDown(_ link: PeerLink, _ closure: PeerClosure) {
        let wasUp = link.isUp
        link.isUp = false
        link.lastProblem = closure.reason
        // Where the process is gone nobody is there to hear a goodbye.
        link.closeAll(closure.closedByPeer ? nil : closure.reason)
        link.scheduleRedial(on: loop, settings) { [weak self] in self?.dial(link) }
        guard wasUp else { return }
        logger.notice("connection to node \(link.node) lost: \(closure.reason)")
        receiver?.peerDisconnected(link.node, closedByPeer: closure.closedByPeer)
    }

    private func bringUp(_ link: PeerLink) {
        guard link.isWhole, !link.isUp, let hello = link.outgoing?.hello else { return }
        guard hello.incarnation == link.incoming?.hello?.incarnation else {
            takeDown(link, PeerClosure(closedByPeer: false, reason: "node \(link.node) shows two incarnations at once"))
            return
        }
        link.isUp = true
        link.lastProblem = nil
        link.resetBackOff()
        logger.info("connected to node \(link.node) at \(link.address)")
        receiver?.peerConnected(hello)
    }
}

extension NIOPeerTransport: PeerConnectionOwner {
    var ownHello: PeerHello? { receiver?.hello }

    func admit(
        _ hello: PeerHello,
        on connection: PeerConnection,
        completion: @escaping @Sendable (PeerVerdict) -> Void
    ) {
        let isKnown = links[hello.node] != nil
        receiver?.admit(hello) { [ownNode] verdict in
            // The receiver knows best why not.
            guard verdict == .admitted, !isKnown else { return completion(verdict) }
            completion(.refused("node \(hello.node) is no peer of node \(ownNode): add it with kvctl member add"))
        }
    }

    func join(_ hello: PeerHello, completion: @escaping @Sendable (JoinAnswer) -> Void) {
        receiver?.join(hello, completion: completion)
    }

    func peerSaysRemoved(_ connection: PeerConnection, reason: String) {
        let node: NodeID? = if case .dialing(let node) = connection.role { node } else { connection.hello?.node }
        if let node { receiver?.peerSaysRemoved(node, reason: reason) }
    }

    func connectionIsReady(_ connection: PeerConnection) {
        strangers[ObjectIdentifier(connection)] = nil
        guard let node = connection.hello?.node, let link = links[node] else {
            return connection.abandon("this node is no longer a peer")
        }
        switch (connection.role, connection.purpose) {
        case (.dialing, .bulk):
            link.bulk.connectionIsReady()
        case (.dialing, _):
            guard link.dialing === connection else { return connection.abandon("no longer needed") }
            link.dialing = nil
            link.outgoing = connection
            bringUp(link)
        case (.accepting, .bulk):
            link.incomingBulk?.abandon("replaced by a newer connection")
            link.incomingBulk = connection
        case (.accepting, _):
            if link.incoming != nil {
                takeDown(link, PeerClosure(closedByPeer: false, reason: "node \(node) has opened a new connection"))
            }
            link.incoming = connection
            // It is reachable again: no need to wait for the next attempt.
            dial(link)
            bringUp(link)
        }
    }

    func connection(_ connection: PeerConnection, received messages: [PeerMessage]) {
        guard let node = connection.hello?.node, let link = links[node] else { return }
        guard connection === link.incoming || connection === link.incomingBulk else { return }
        receiver?.receive(messages, from: node)
    }

    func connectionClosed(_ connection: PeerConnection, _ closure: PeerClosure) {
        strangers[ObjectIdentifier(connection)] = nil
        guard receiver != nil else { return }
        let node: NodeID? = if case .dialing(let node) = connection.role { node } else { connection.hello?.node }
        guard let node, let link = links[node] else {
            logger.warning("a connection was closed: \(closure.reason)")
            return
        }
        if connection === link.outgoing || connection === link.incoming {
            takeDown(link, closure)
        } else if connection === link.dialing {
            link.dialing = nil
            if link.lastProblem != closure.reason {
                logger.log(
                    level: closure.isRefusal ? .error : .info,
                    "node \(node) cannot be reached: \(closure.reason)"
                )
            }
            link.lastProblem = closure.reason
            link.scheduleRedial(on: loop, settings) { [weak self] in self?.dial(link) }
        } else if connection === link.bulk.connection {
            logger.info("bulk connection to node \(node) closed: \(closure.reason)")
            link.bulk.connectionClosed()
        } else if connection === link.incomingBulk {
            link.incomingBulk = nil
        } else if closure.isRefusal {
            logger.error("a connection from node \(node): \(closure.reason)")
        }
    }
}
