import KVBase
import KVReplication
import NIOCore
import NIOPosix
import Testing

@testable import KVPeer

@Suite(.timeLimit(.minutes(1)))
struct PeerTransportTests {
    /// Two nodes that know each other and are connected.
    private func pair(_ settings: PeerSettings = .forTests) async throws -> (TestNode, TestNode) {
        let (one, two) = (try await TestNode(1, settings: settings), try await TestNode(2, settings: settings))
        try await one.knows(two)
        try await two.knows(one)
        await one.journal.wait(for: .connected(two.id, Incarnation(1)))
        await two.journal.wait(for: .connected(one.id, Incarnation(1)))
        return (one, two)
    }

    @Test func `two nodes exchange every kind of message, in order`() async throws {
        let (one, two) = try await pair()
        let stream = Samples.messages.filter { !$0.isBulk }
        #expect(try await one.send(stream, to: two.id))
        #expect(try await one.send([stream[0]], to: two.id))
        #expect(try await two.send(stream.reversed(), to: one.id))
        await two.journal.wait { Journal.messages($0, from: NodeID(1)).count == stream.count + 1 }
        await one.journal.wait { Journal.messages($0, from: NodeID(2)).count == stream.count }
        #expect(Journal.messages(two.journal.events, from: one.id) == stream + [stream[0]])
        #expect(Journal.messages(one.journal.events, from: two.id) == stream.reversed())
        try await one.stop()
        try await two.stop()
    }

    @Test func `a connection is said before the first message and not twice`() async throws {
        let (one, two) = try await pair()
        try await one.send([Samples.messages[0]], to: two.id)
        await two.journal.wait { !Journal.messages($0, from: NodeID(1)).isEmpty }
        let told = two.journal.events.filter { if case .logged = $0 { false } else { true } }
        #expect(told == [.connected(one.id, Incarnation(1)), .received([Samples.messages[0]], one.id)])
        try await one.stop()
        try await two.stop()
    }

    @Test func `a refusal's text reaches the peer`() async throws {
        let one = try await TestNode(1)
        let two = try await TestNode(2, refusal: "this host lost its data: use kvctl member replace")
        try await one.knows(two)
        try await two.knows(one)
        await one.journal.waitForLog("refused by the peer: this host lost its data: use kvctl member replace")
        await two.journal.waitForLog("refused here: this host lost its data")
        let problem = try await one.loop.submit { one.transport.lastProblem(of: NodeID(2)) }.get()
        #expect(problem?.contains("this host lost its data") == true)
        #expect(try await one.isConnected(two.id) == false)
        #expect(try await one.send([Samples.messages[0]], to: two.id) == false)
        try await one.stop()
        try await two.stop()
    }

    @Test func `a node of another cluster is refused`() async throws {
        let one = try await TestNode(1)
        let two = try await TestNode(2, cluster: ClusterID(high: 9, low: 9))
        try await one.knows(two)
        try await two.knows(one)
        await one.journal.waitForLog("refused by the peer: node 1 is of cluster \(TestNode.cluster)")
        try await one.stop()
        try await two.stop()
    }

    @Test func `nodes without a common protocol refuse each other`() async throws {
        let one = try await TestNode(1)
        let two = try await TestNode(2, protocols: 2...3)
        try await one.knows(two)
        try await two.knows(one)
        await one.journal.waitForLog("refused by the peer: node 2 speaks peer protocols 2...3, node 1 1...1")
        try await one.stop()
        try await two.stop()
    }

    @Test func `a node that is no peer is refused, and another node at an address too`() async throws {
        let (one, two) = (try await TestNode(1), try await TestNode(2))
        try await one.knows(two)
        await one.journal.waitForLog("refused by the peer: node 1 is no peer of node 2")
        try await one.knows(NodeID(3), port: two.port)
        await one.journal.waitForLog("refused by the peer: this is node 2, node 3 was wanted")
        try await one.stop()
        try await two.stop()
    }

    @Test func `a stopped peer is lost at once and found again under its new incarnation`() async throws {
        let (one, two) = try await pair()
        try await two.stop()
        await one.journal.wait(for: .disconnected(two.id, closedByPeer: true))
        #expect(try await one.isConnected(two.id) == false)
        let again = try await TestNode(2, incarnation: 5)
        try await again.knows(one)
        try await one.knows(again)
        await one.journal.wait(for: .connected(two.id, Incarnation(5)))
        await again.journal.wait(for: .connected(one.id, Incarnation(1)))
        #expect(try await one.send([Samples.messages[1]], to: two.id))
        await again.journal.wait(for: .received([Samples.messages[1]], one.id))
        try await one.stop()
        try await again.stop()
    }

    @Test func `a killed peer is told from one that said why it closes`() async throws {
        let (one, two) = try await pair()
        try await two.die()
        await one.journal.wait(for: .disconnected(two.id, closedByPeer: true))
        try await one.stop()

        let (three, four) = try await pair()
        try await four.loop.submit { four.transport.removePeer(three.id) }.get()
        await three.journal.wait(for: .disconnected(four.id, closedByPeer: false))
        await four.journal.wait(for: .disconnected(three.id, closedByPeer: false))
        try await three.stop()
        try await four.stop()
    }

    @Test func `snapshot chunks arrive in order over their own connection`() async throws {
        var settings = PeerSettings.forTests
        settings.bulkBytesPerSecond = 1 << 30
        let (one, two) = try await pair(settings)
        let chunks = (0..<40).map {
            PeerMessage.snapshotChunk(Samples.chunk(UInt64($0), bytes: Array(repeating: 1, count: 100_000)))
        }
        #expect(try await one.send(chunks, to: two.id))
        await two.journal.wait { Journal.messages($0, from: NodeID(1)).count == 40 }
        #expect(Journal.messages(two.journal.events, from: one.id) == chunks)
        try await one.stop()
        try await two.stop()
    }

    @Test func `the queues refuse what is past their bounds`() async throws {
        var settings = PeerSettings.forTests
        settings.bulkQueueBytesMax = 250_000
        settings.queueBytesMax = 100_000
        settings.frameBytesMax = 150_000
        let (one, two) = try await pair(settings)
        let chunk = PeerMessage.snapshotChunk(Samples.chunk(1, bytes: Array(repeating: 1, count: 100_000)))
        let answers = try await one.loop.submit { (0..<3).map { _ in one.transport.send([chunk], to: NodeID(2)) } }
            .get()
        #expect(answers == [true, true, false])
        let reply = PeerMessage.replies(ProxiedReplies(id: 1, payload: Array(repeating: 1, count: 100_000)))
        #expect(try await one.send([reply], to: two.id) == false)
        let great = PeerMessage.snapshotChunk(Samples.chunk(1, bytes: Array(repeating: 1, count: 150_000)))
        #expect(try await one.send([great], to: two.id) == false)
        try await one.stop()
        try await two.stop()
    }

    @Test func `messages that do not fit one frame travel in several`() async throws {
        var settings = PeerSettings.forTests
        settings.frameBytesMax = 8192
        let (one, two) = try await pair(settings)
        let messages = (0..<100).map {
            PeerMessage.replies(ProxiedReplies(id: $0, payload: Array(repeating: UInt8($0), count: 1000)))
        }
        #expect(try await one.send(messages, to: two.id))
        await two.journal.wait { Journal.messages($0, from: NodeID(1)).count == 100 }
        #expect(Journal.messages(two.journal.events, from: one.id) == messages)
        try await one.stop()
        try await two.stop()
    }

    @Test(arguments: [
        "GET / HTTP/1.1\r\n\r\n", "kvpeer\u{0}\u{1}\u{ff}\u{ff}\u{ff}\u{ff}\u{7f}",
        "kvpeer\u{0}\u{1}\u{4}\u{0}\u{0}\u{0}",
    ])
    func `strange bytes close the connection and nothing else`(text: String) async throws {
        let (one, two) = try await pair()
        let channel = try await ClientBootstrap(group: one.loop).connect(host: "127.0.0.1", port: one.port).get()
        try await channel.writeAndFlush(ByteBuffer(string: text))
        try await channel.closeFuture.get()
        await one.journal.waitForLog("a connection was closed: ")
        #expect(try await two.send([Samples.messages[2]], to: one.id))
        await one.journal.wait(for: .received([Samples.messages[2]], two.id))
        try await one.stop()
        try await two.stop()
    }
}
