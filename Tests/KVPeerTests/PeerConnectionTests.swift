import KVBase
import KVReplication
import NIOCore
import NIOEmbedded
import Testing

@testable import KVPeer

/// One connection's ends, on a loop that is cranked by hand.
struct PeerConnectionTests {
    private final class Owner: PeerConnectionOwner {
        var ownHello: PeerHello?
        var ready = 0
        var received: [PeerMessage] = []
        var closures: [PeerClosure] = []
        /// Verdicts that are still to be given.
        var admissions: [@Sendable (PeerVerdict) -> Void] = []

        init(_ node: UInt64) {
            ownHello = PeerHello(
                cluster: TestNode.cluster,
                node: NodeID(node),
                incarnation: Incarnation(1),
                protocolRange: 1...1,
                featureLevel: 0,
                addresses: [:],
                isBlank: false
            )
        }

        func admit(
            _ hello: PeerHello,
            on connection: PeerConnection,
            completion: @escaping @Sendable (PeerVerdict) -> Void
        ) { admissions.append(completion) }
        func join(_ hello: PeerHello, completion: @escaping @Sendable (JoinAnswer) -> Void) {
            completion(JoinAnswer(cluster: TestNode.cluster, shardCount: 1, state: .unknown, text: ""))
        }
        func peerSaysRemoved(_ connection: PeerConnection, reason: String) {}
        func connectionIsReady(_ connection: PeerConnection) { ready += 1 }
        func connection(_ connection: PeerConnection, received messages: [PeerMessage]) { received += messages }
        func connectionClosed(_ connection: PeerConnection, _ closure: PeerClosure) { closures.append(closure) }
    }

    private struct Ends {
        let loop = EmbeddedEventLoop()
        let dialler = Owner(1)
        let acceptor = Owner(2)
        let out: PeerConnection
        let into: PeerConnection
        let outChannel: EmbeddedChannel
        let inChannel: EmbeddedChannel

        init(_ settings: PeerSettings = PeerSettings()) throws {
            out = PeerConnection(.dialing(NodeID(2)), purpose: .stream, owner: dialler, settings: settings)
            into = PeerConnection(.accepting, purpose: .stream, owner: acceptor, settings: settings)
            outChannel = EmbeddedChannel(handler: out, loop: loop)
            inChannel = EmbeddedChannel(handler: into, loop: loop)
            try outChannel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
            try inChannel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 2)).wait()
        }

        /// Carries what was written to the other end until nothing moves.
        func carry() throws {
            var moved = true
            while moved {
                moved = false
                while let bytes = try outChannel.readOutbound(as: ByteBuffer.self) {
                    moved = true
                    if inChannel.isActive { try inChannel.writeInbound(bytes) }
                }
                while let bytes = try inChannel.readOutbound(as: ByteBuffer.self) {
                    moved = true
                    if outChannel.isActive { try outChannel.writeInbound(bytes) }
                }
                loop.run()
            }
        }

        func shakeHands() throws {
            try carry()
            acceptor.admissions.removeFirst()(.admitted)
            try carry()
            dialler.admissions.removeFirst()(.admitted)
            try carry()
        }
    }

    @Test func `both sides are ready after both verdicts, the dialling one first`() throws {
        let ends = try Ends()
        try ends.carry()
        #expect(ends.acceptor.admissions.count == 1)
        #expect(ends.dialler.admissions.isEmpty)
        ends.acceptor.admissions.removeFirst()(.admitted)
        try ends.carry()
        #expect(ends.dialler.ready == 0)
        ends.dialler.admissions.removeFirst()(.admitted)
        #expect(ends.dialler.ready == 1)
        #expect(ends.acceptor.ready == 0)
        try ends.carry()
        #expect(ends.acceptor.ready == 1)
        #expect(ends.into.hello == ends.dialler.ownHello)
        #expect(ends.out.hello == ends.acceptor.ownHello)
    }

    @Test func `the dialling side's refusal reaches the accepting side`() throws {
        let ends = try Ends()
        try ends.carry()
        ends.acceptor.admissions.removeFirst()(.admitted)
        try ends.carry()
        ends.dialler.admissions.removeFirst()(.refused("another incarnation"))
        try ends.carry()
        #expect(ends.acceptor.closures.map(\.reason) == ["refused by the peer: another incarnation"])
        #expect(ends.dialler.closures.map(\.reason) == ["refused here: another incarnation"])
        #expect(ends.acceptor.ready + ends.dialler.ready == 0)
        #expect(!ends.inChannel.isActive && !ends.outChannel.isActive)
    }

    @Test func `a handshake that takes too long ends`() throws {
        let ends = try Ends()
        ends.loop.advanceTime(by: .seconds(2))
        #expect(ends.dialler.closures.map(\.closedByPeer) == [false])
        #expect(ends.acceptor.closures.map(\.closedByPeer) == [false])
        #expect(!ends.inChannel.isActive && !ends.outChannel.isActive)
    }

    @Test func `pings are answered, and silence ends the connection on both sides as nobody's death`() throws {
        let ends = try Ends()
        try ends.shakeHands()
        ends.out.tick(now: .now())
        try ends.carry()
        #expect(ends.dialler.closures.isEmpty && ends.acceptor.closures.isEmpty)
        ends.into.tick(now: .now() + .seconds(3))
        try ends.carry()
        #expect(ends.acceptor.closures.map(\.closedByPeer) == [false])
        #expect(ends.dialler.closures.map(\.closedByPeer) == [false])
        #expect(ends.dialler.closures[0].reason.hasPrefix("the peer said: nothing arrived for"))
    }

    @Test func `an end without goodbye is the peer's death, one with it what it says`() throws {
        let dead = try Ends()
        try dead.shakeHands()
        _ = try dead.inChannel.finish(acceptAlreadyClosed: true)
        try dead.outChannel.close().wait()
        #expect(dead.dialler.closures.map(\.closedByPeer) == [true])

        let stopped = try Ends()
        try stopped.shakeHands()
        stopped.into.abandon("the node stops", isStopping: true)
        try stopped.carry()
        #expect(stopped.dialler.closures.map(\.closedByPeer) == [true])

        let abandoned = try Ends()
        try abandoned.shakeHands()
        abandoned.into.abandon("no longer needed")
        try abandoned.carry()
        #expect(abandoned.dialler.closures.map(\.closedByPeer) == [false])
        #expect(abandoned.acceptor.closures.isEmpty)
    }

    @Test func `great frames are taken only after the handshake`() throws {
        let ends = try Ends()
        try ends.inChannel.writeInbound(ByteBuffer(bytes: PeerFrameFormat.magic + [0, 0, 2, 0]))
        #expect(ends.acceptor.closures.map(\.reason) == ["a frame of 131076 bytes; at most 65536 are taken"])
    }

    @Test func `messages before the handshake and from the accepting side are refused`() throws {
        var envelope = WireEnvelope()
        var payloads: [[UInt8]] = []
        envelope.messages = [Samples.messages[0].wire(payloads: &payloads)]
        var frame = ByteBuffer()
        try PeerFrameEncoder.encode(envelope, payloads: payloads, into: &frame)

        let early = try Ends()
        try early.inChannel.writeInbound(ByteBuffer(bytes: PeerFrameFormat.magic))
        try early.inChannel.writeInbound(frame)
        #expect(early.acceptor.closures.map(\.reason) == ["a frame with no hello at the beginning"])

        let late = try Ends()
        try late.shakeHands()
        try late.outChannel.writeInbound(frame)
        #expect(late.dialler.closures.map(\.reason) == ["a frame with nothing that belongs there"])
        #expect(late.dialler.received.isEmpty)
    }
}
