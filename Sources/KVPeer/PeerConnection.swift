import KVBase
import KVReplication
import NIOCore

/// How a connection ended.
struct PeerClosure {
    /// The peer's end was closed because its process died or stopped.
    let closedByPeer: Bool
    /// For the log.
    let reason: String
    /// Whether it was refused by one of the two sides, which trying again at once will not change.
    var isRefusal = false
}

/// Who keeps connections.
///
/// All calls come on the loop.
protocol PeerConnectionOwner: AnyObject {
    /// What this node says of itself, or nil where it has stopped.
    var ownHello: PeerHello? { get }
    /// Whether the node at the other end may talk to us; `completion` is called on the loop.
    func admit(_ hello: PeerHello, on connection: PeerConnection, completion: @escaping @Sendable (PeerVerdict) -> Void)
    /// What a node that wants to join must know; `completion` is called on the loop.
    func join(_ hello: PeerHello, completion: @escaping @Sendable (JoinAnswer) -> Void)
    /// The peer says that this node was removed from the cluster.
    func peerSaysRemoved(_ connection: PeerConnection, reason: String)
    /// Both sides admitted each other.
    func connectionIsReady(_ connection: PeerConnection)
    /// Messages arrived, in order.
    func connection(_ connection: PeerConnection, received messages: [PeerMessage])
    /// It is over, for a reason that is not the owner's; called once, and never after `abandon`.
    func connectionClosed(_ connection: PeerConnection, _ closure: PeerClosure)
}

/// One TCP connection to another node, from its first byte to its last.
///
/// 1. The dialling side sends magic and hello. The accepting side asks its owner for a verdict and answers with magic, its own
///    hello and the verdict; where it refuses, it closes.
/// 2. The dialling side asks its owner about the other's hello and sends its verdict. Both have admitted: the connection is
///    ready. The dialling side knows first, so its messages always reach a connection that is ready.
/// 3. Messages go from the dialling to the accepting side only; pings go there and their answers come back.
/// 4. Whoever closes on purpose says goodbye first, so that the end of a connection without one means that the process died.
///
/// | stage | hello | verdict | ping | messages | goodbye |
/// |---|---|---|---|---|---|
/// | opening | admitting | – | – | – | closed |
/// | admitting | – | – | – | – | closed |
/// | awaitingVerdict (accepting side) | – | ready or closed | – | – | closed |
/// | ready | – | – | answered | delivered (accepting side) | closed |
///
/// "–" is a broken contract of the peer: goodbye and closed.
final class PeerConnection: ChannelInboundHandler, @unchecked Sendable {
    // SENDABLE: every method runs on the channel's event loop; closures carry it only back to that loop.
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    enum Role: Equatable {
        case dialing(NodeID)
        case accepting
    }

    private enum Stage {
        case opening
        case admitting
        case awaitingVerdict
        case ready
        case closed
    }

    /// ECONNRESET and EPIPE of Linux (errno(3)): the module imports no C library for two numbers.
    private static let connectionResetNumber: CInt = 104
    private static let brokenPipeNumber: CInt = 32

    let role: Role
    /// What it is for; the accepting side learns it from the hello.
    private(set) var purpose: WirePurpose
    /// What the peer said of itself, once it has.
    private(set) var hello: PeerHello?
    private(set) var channel: (any Channel)?
    private weak var owner: (any PeerConnectionOwner)?
    private let settings: PeerSettings
    private var stage = Stage.opening
    private var decoder = PeerFrameDecoder()
    private var arrived = ByteBuffer()
    private var lastArrival = NIODeadline.now()
    private var handshakeTimer: Scheduled<Void>?

    /// A connection for a channel that is about to open.
    init(_ role: Role, purpose: WirePurpose, owner: any PeerConnectionOwner, settings: PeerSettings) {
        self.role = role
        self.purpose = purpose
        self.owner = owner
        self.settings = settings
    }

    /// Whether both sides admitted each other and neither closed.
    var isReady: Bool { stage == .ready }

    // MARK: What the owner does

    /// Sends encoded frames; the future completes when the system has taken them.
    func send(_ frames: ByteBuffer) -> EventLoopFuture<Void>? {
        guard stage == .ready, let channel else { return nil }
        return channel.writeAndFlush(frames)
    }

    /// Says goodbye and closes, or only closes where there is no reason to tell; the owner hears no more of it.
    func abandon(_ reason: String?, isStopping: Bool = false) {
        owner = nil
        close(saying: reason.map { .goodbye($0, isStopping: isStopping) })
    }

    /// Sends a ping from the dialling side, and closes the connection where nothing arrived for too long.
    func tick(now: NIODeadline) {
        guard stage == .ready else { return }
        guard now - lastArrival <= settings.idleTimeout.timeAmount else {
            fail("nothing arrived for \((now - lastArrival).nanoseconds / 1_000_000) ms")
            return
        }
        if case .dialing = role { write(.ping(isAnswer: false)) }
    }

    // MARK: The channel

    func channelActive(context: ChannelHandlerContext) {
        let channel = context.channel
        self.channel = channel
        lastArrival = .now()
        handshakeTimer = channel.eventLoop.scheduleTask(in: settings.connectTimeout.timeAmount) { [self] in
            if stage != .ready { fail("the handshake took longer than \(settings.connectTimeout)") }
        }
        guard case .dialing(let node) = role else { return }
        guard let own = owner?.ownHello else { return close(saying: nil) }
        var envelope = WireEnvelope()
        envelope.hello = own.wire(purpose: purpose, wanted: node)
        write(envelope, withMagic: true)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        guard stage != .closed else { return }
        lastArrival = .now()
        if arrived.readableBytes == 0 {
            arrived = bytes
        } else {
            arrived.writeBuffer(&bytes)
        }
        do {
            while stage != .closed, let frame = try decoder.next(&arrived) { try take(frame) }
        } catch let error {
            fail(error.description)
        }
        if arrived.readableBytes == 0 || stage == .closed { arrived = ByteBuffer() }
    }

    func channelInactive(context: ChannelHandlerContext) {
        finish(PeerClosure(closedByPeer: true, reason: "the peer closed the connection"))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        let code = (error as? IOError)?.errnoCode
        let isReset = code == Self.connectionResetNumber || code == Self.brokenPipeNumber
        finish(PeerClosure(closedByPeer: isReset, reason: "\(error)"))
        context.close(promise: nil)
    }

    // MARK: Frames

    private func take(_ frame: PeerFrame) throws(PeerFrameError) {
        let envelope = frame.envelope
        if envelope.hasGoodbye {
            finish(
                PeerClosure(
                    closedByPeer: envelope.goodbye.isStopping,
                    reason: "the peer said: \(envelope.goodbye.reason)"
                )
            )
            channel?.close(promise: nil)
            return
        }
        switch stage {
        case .opening:
            guard envelope.hasHello else { throw .invalid("no hello at the beginning") }
            try takeHello(envelope)
        case .awaitingVerdict:
            guard envelope.hasVerdict else { throw .invalid("no verdict after the hello") }
            if try isAdmitted(envelope.verdict) { becomeReady() }
        case .ready:
            if envelope.hasPing {
                if !envelope.ping.isAnswer { write(.ping(isAnswer: true)) }
            } else {
                guard role == .accepting, !envelope.messages.isEmpty else {
                    throw .invalid("nothing that belongs there")
                }
                owner?.connection(self, received: try PeerMessage.decode(frame))
            }
        case .admitting:
            throw .invalid("something said before a verdict")
        case .closed:
            return
        }
    }

    private func takeHello(_ envelope: WireEnvelope) throws(PeerFrameError) {
        let theirs = try PeerHello(envelope.hello)
        hello = theirs
        if role != .accepting {
            guard envelope.hasVerdict else { throw .invalid("a hello without a verdict") }
            guard try isAdmitted(envelope.verdict) else { return }
        } else {
            purpose = envelope.hello.purpose
            guard purpose == .stream || purpose == .bulk || purpose == .join else {
                throw .invalid("connection purpose \(purpose.rawValue)")
            }
        }
        if purpose == .join {
            if let reason = foreignCertificate(theirs) { return fail(reason) }
            return answerJoin(theirs)
        }
        guard let own = owner?.ownHello else { return close(saying: nil) }
        stage = .admitting
        if let reason = mismatch(own, theirs, wanted: envelope.hello.wantedNode) {
            return answer(.refused(reason), own)
        }
        owner?.admit(theirs, on: self) { [self] verdict in
            guard let loop = channel?.eventLoop else { return }
            if loop.inEventLoop {
                answer(verdict, own)
            } else {
                loop.execute { self.answer(verdict, own) }
            }
        }
    }

    /// Tells a node that wants to join what it must know, and closes.
    private func answerJoin(_ theirs: PeerHello) {
        stage = .admitting
        owner?.join(theirs) { [self] answer in
            guard let loop = channel?.eventLoop else { return }
            if loop.inEventLoop { answerJoin(answer) } else { loop.execute { self.answerJoin(answer) } }
        }
    }

    private func answerJoin(_ answer: JoinAnswer) {
        guard stage == .admitting else { return }
        let bytes = answer.encoded
        var envelope = WireEnvelope()
        envelope.joinBytes = UInt32(clamping: bytes.count)
        owner = nil
        close(saying: envelope, withMagic: true, payload: bytes)
    }

    /// Why the other's certificate is not that of the node that it says it is; nil where it is, or names no node.
    private func foreignCertificate(_ theirs: PeerHello) -> String? {
        guard let channel, let named = settings.certifiedNodes?(channel), !named.isEmpty, !named.contains(theirs.node)
        else { return nil }
        let ids = named.map(\.description).joined(separator: ", ")
        return "node \(theirs.node) shows a certificate of node \(ids)"
    }

    /// What no receiver need be asked about.
    private func mismatch(_ own: PeerHello, _ theirs: PeerHello, wanted: UInt64) -> String? {
        if !own.protocolRange.overlaps(theirs.protocolRange) {
            return
                "node \(own.node) speaks peer protocols \(own.protocolRange), node \(theirs.node) \(theirs.protocolRange): "
                + "upgrade the older one"
        }
        if let reason = foreignCertificate(theirs) { return reason }
        switch role {
        case .dialing(let node) where node != theirs.node:
            return "node \(node) was expected at this address, node \(theirs.node) answered: check cluster.nodes"
        case .accepting where wanted != own.node.rawValue:
            return "this is node \(own.node), node \(wanted) was wanted: check cluster.nodes of node \(theirs.node)"
        case .accepting where theirs.node == own.node:
            return "this is node \(own.node) too: every node needs an id of its own"
        case .dialing, .accepting:
            return nil
        }
    }

    private func answer(_ verdict: PeerVerdict, _ own: PeerHello) {
        guard stage == .admitting else { return }
        var envelope = WireEnvelope.verdict(verdict)
        if role == .accepting { envelope.hello = own.wire(purpose: purpose, wanted: nil) }
        switch verdict {
        case .admitted: break
        case .refused(let reason), .removed(let reason):
            finish(PeerClosure(closedByPeer: false, reason: "refused here: \(reason)", isRefusal: true))
            close(saying: envelope, withMagic: role == .accepting)
            return
        }
        write(envelope, withMagic: role == .accepting)
        if role == .accepting {
            stage = .awaitingVerdict
        } else {
            becomeReady()
        }
    }

    /// Whether the peer admits us; where not, this connection is over.
    private func isAdmitted(_ verdict: WireVerdict) throws(PeerFrameError) -> Bool {
        guard !verdict.isAdmitted else { return true }
        if verdict.isRemoved { owner?.peerSaysRemoved(self, reason: verdict.reason) }
        finish(PeerClosure(closedByPeer: false, reason: "refused by the peer: \(verdict.reason)", isRefusal: true))
        channel?.close(promise: nil)
        return false
    }

    private func becomeReady() {
        stage = .ready
        decoder.frameBytesMax = settings.frameBytesMax
        handshakeTimer?.cancel()
        owner?.connectionIsReady(self)
    }

    // MARK: Ends

    private func fail(_ reason: String) {
        finish(PeerClosure(closedByPeer: false, reason: reason))
        close(saying: .goodbye(reason, isStopping: false))
    }

    /// Tells the owner, once.
    private func finish(_ closure: PeerClosure) {
        guard stage != .closed else { return }
        stage = .closed
        handshakeTimer?.cancel()
        let last = owner
        owner = nil
        last?.connectionClosed(self, closure)
    }

    private func close(saying envelope: WireEnvelope?, withMagic: Bool = false, payload: [UInt8] = []) {
        stage = .closed
        handshakeTimer?.cancel()
        guard let channel else { return }
        guard let envelope, channel.isActive else { return channel.close(promise: nil) }
        // Nobody waits for the last words: the connection goes away whether they arrive or not.
        let written = write(envelope, withMagic: withMagic, payload: payload)
        guard let written else { return channel.close(promise: nil) }
        written.whenComplete { _ in channel.close(promise: nil) }
    }

    @discardableResult
    private func write(
        _ envelope: WireEnvelope,
        withMagic: Bool = false,
        payload: [UInt8] = []
    ) -> EventLoopFuture<Void>? {
        guard let channel else { return nil }
        var buffer = channel.allocator.buffer(capacity: 512)
        if withMagic { PeerFrameEncoder.encodeMagic(into: &buffer) }
        do {
            try PeerFrameEncoder.encode(envelope, payloads: [payload], into: &buffer)
        } catch {
            // Only an envelope of 4 GiB cannot be encoded, and these hold a few bounded texts.
            preconditionFailure("\(error)")
        }
        return channel.writeAndFlush(buffer)
    }
}
