import KVBase
import KVFakeService
import KVService
import KVTelemetry
import Logging
import NIOCore
import NIOPosix
import Testing

@testable import KVRESP

@Suite struct SocketTests {
    /// A server on a loop of its own, so that replies come from other threads, and one client.
    private func withClient(
        deadline: Duration = .seconds(30),
        keepsHalf: Bool = false,
        change: (inout RESPSettings) -> Void = { _ in },
        _ body: (FakeService, RESPServer, Client) async throws -> Void
    ) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
        let service = FakeService()
        var settings = RESPSettings(node: NodeID(1), softwareVersion: "0.1.0") { service.now }
        settings.stopDeadline = deadline
        change(&settings)
        let server = RESPServer(
            service: service,
            settings: settings,
            metrics: MetricRegistry(),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
        let address = try await server.start(on: group, host: "127.0.0.1", port: 0)
        let client = try await Client.connect(to: address, on: group, keepsHalf: keepsHalf)
        try await body(service, server, client)
        await server.stop()
        try await group.shutdownGracefully()
    }

    @Test func `replies from another thread reach the client in order`() async throws {
        try await withClient { service, _, client in
            service.hold()
            let commands = (0..<500).flatMap { encode(["SET", "k\($0)", "v"]) } + encode(line: "PING")
            client.send(commands)
            // Reads wait for what was held only once all of it has arrived.
            while service.heldCount < 500 { await Task.yield() }
            service.release(reversed: true)
            let answer = String(repeating: "+OK\r\n", count: 500) + "+PONG\r\n"
            let received = try await client.receive(answer.utf8.count)
            #expect(received == answer)
        }
    }

    @Test func `stop answers what was taken, then closes`() async throws {
        try await withClient { service, server, client in
            service.hold()
            client.send(encode(line: "SET k v"))
            while service.heldCount < 1 { await Task.yield() }
            async let stopped: Void = server.stop()
            while !server.isStopping { await Task.yield() }
            service.release()
            let received = try await client.receive(5)
            #expect(received == "+OK\r\n")
            await stopped
            #expect(server.connectionCount == 0)
            try await client.channel.closeFuture.get()
        }
    }

    @Test func `stop does not wait for replies past its deadline`() async throws {
        try await withClient(deadline: .milliseconds(1)) { service, server, client in
            service.hold()
            client.send(encode(line: "SET k v"))
            while service.heldCount < 1 { await Task.yield() }
            await server.stop()
            #expect(server.connectionCount == 0)
        }
    }

    @Test func `a value over the limit that is sent at once is answered with the reason, not with a reset`()
        async throws
    {
        try await withClient { service, _, client in
            let count = service.requestLimits.valueBytesMax + 1
            let command = Array("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$\(count)\r\n".utf8)
            client.send(command + [UInt8](repeating: 0x61, count: count) + [0x0d, 0x0a])
            let answer = "-ERR Protocol error: invalid bulk length: an argument has at most \(count - 1) bytes\r\n"
            let received = try await client.receive(answer.utf8.count)
            #expect(received == answer)
            // Its end follows; the client's own end follows that, since it allows no half-closed connection.
            let failure = try await client.failure()
            #expect(failure == nil)
        }
    }

    @Test func `who goes on sending after the error is cut off`() async throws {
        let isShort: (inout RESPSettings) -> Void = { $0.lingerBytesMax = 100 }
        try await withClient(keepsHalf: true, change: isShort) { _, server, client in
            client.send(Array("*x\r\n".utf8))
            _ = try await client.receive("-ERR Protocol error: invalid multibulk length\r\n".utf8.count)
            client.send([UInt8](repeating: 0x61, count: 1_000))
            while server.connectionCount > 0 { await Task.yield() }
        }
    }
}

/// A client that collects what it gets.
private final class Client: ChannelInboundHandler, @unchecked Sendable {
    typealias InboundIn = ByteBuffer

    // SENDABLE: touched on the channel's loop only.
    private var bytes = ByteBuffer()
    private var waiting: (count: Int, promise: EventLoopPromise<String>)?
    private var error: (any Error)?
    let channel: any Channel

    init(_ channel: any Channel) { self.channel = channel }

    /// A client that ends when the server does, or goes on alone.
    static func connect(
        to address: SocketAddress,
        on group: any EventLoopGroup,
        keepsHalf: Bool
    ) async throws -> Client {
        let channel = try await ClientBootstrap(group: group)
            .channelOption(.allowRemoteHalfClosure, value: keepsHalf).connect(to: address).get()
        let client = Client(channel)
        try await channel.pipeline.addHandler(client).get()
        return client
    }

    func send(_ bytes: [UInt8]) {
        channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil)
    }

    func receive(_ count: Int) async throws -> String {
        let promise = channel.eventLoop.makePromise(of: String.self)
        channel.eventLoop.execute {
            self.waiting = (count, promise)
            self.check()
        }
        return try await promise.futureResult.get()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var part = Self.unwrapInboundIn(data)
        bytes.writeBuffer(&part)
        check()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { self.error = error }

    /// What went wrong until the connection ended.
    func failure() async throws -> String? {
        try await channel.closeFuture.get()
        return try await channel.eventLoop.submit { [self] in error.map { "\($0)" } }.get()
    }

    private func check() {
        guard let waiting, bytes.readableBytes >= waiting.count else { return }
        self.waiting = nil
        waiting.promise.succeed(bytes.readString(length: waiting.count) ?? "")
    }
}
