import KVTelemetry
import NIOCore
import NIOEmbedded
import NIOPosix
import Testing

@testable import KVGRPC

@Suite struct PrefaceTests {
    private let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

    private func channel(_ rejected: Counter) throws -> EmbeddedChannel {
        let channel = EmbeddedChannel(handler: PrefaceCheck(rejected))
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        return channel
    }

    private func sent(_ channel: EmbeddedChannel) throws -> String {
        var all = ByteBuffer()
        while var part = try channel.readOutbound(as: ByteBuffer.self) { all.writeBuffer(&part) }
        return String(buffer: all)
    }

    @Test func `HTTP/2 passes, however it is cut, and what the server said first goes out then`() throws {
        for cut in 0..<preface.count {
            let rejected = MetricRegistry().counter(.rejectedTotal, "grpc", "protocol_error")
            let channel = try channel(rejected)
            channel.writeAndFlush(ByteBuffer(string: "settings"), promise: nil)
            try channel.writeInbound(ByteBuffer(bytes: preface[..<cut]))
            #expect(try sent(channel) == "")
            try channel.writeInbound(ByteBuffer(bytes: preface[cut...] + [1, 2]))
            #expect(try sent(channel) == "settings")
            #expect(try channel.readInbound(as: ByteBuffer.self).map { Array(buffer: $0) } == preface + [1, 2])
            channel.writeAndFlush(ByteBuffer(string: "more"), promise: nil)
            #expect(try sent(channel) == "more")
            #expect(rejected.value == 0)
        }
    }

    @Test func `what is answered at once to the first bytes goes out`() throws {
        let rejected = MetricRegistry().counter(.rejectedTotal, "grpc", "protocol_error")
        let channel = try channel(rejected)
        try channel.pipeline.syncOperations.addHandler(Acknowledger())
        try channel.writeInbound(ByteBuffer(bytes: preface))
        #expect(try sent(channel) == "acknowledged")
    }

    /// Answers what comes while it comes, as HTTP/2 acknowledges settings.
    private final class Acknowledger: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            context.writeAndFlush(Self.wrapOutboundOut(ByteBuffer(string: "acknowledged")), promise: nil)
        }
    }

    @Test(arguments: ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "POST /", "PRI * HTTP/1.1\r\n"])
    func `HTTP/1 is told at once, and nothing else comes before`(text: String) throws {
        let rejected = MetricRegistry().counter(.rejectedTotal, "grpc", "protocol_error")
        let channel = try channel(rejected)
        let settings = channel.eventLoop.makePromise(of: Void.self)
        channel.writeAndFlush(ByteBuffer(string: "settings"), promise: settings)
        try channel.writeInbound(ByteBuffer(string: text))
        let answer = try sent(channel)
        #expect(answer.hasPrefix("HTTP/1.1 400 Bad Request\r\n") && answer.contains("This port speaks gRPC"))
        #expect(!channel.isActive)
        #expect(rejected.value == 1)
        #expect(throws: ChannelError.self) { try settings.futureResult.wait() }
    }

    @Test func `what is no text at all is closed without a word`() throws {
        let rejected = MetricRegistry().counter(.rejectedTotal, "grpc", "protocol_error")
        let channel = try channel(rejected)
        try channel.writeInbound(ByteBuffer(bytes: [0x16, 3, 1]))
        #expect(try sent(channel) == "")
        #expect(!channel.isActive)
        #expect(rejected.value == 1)
    }

    @Test func `a listener answers HTTP/1 and goes on serving gRPC`() async throws {
        try await GRPCHarness.run { harness in
            let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connect(host: "127.0.0.1", port: harness.port) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
                    }
                }
            let answer = try await channel.executeThenClose { inbound, outbound in
                try await outbound.write(ByteBuffer(string: "GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
                var all = ByteBuffer()
                for try await var part in inbound { all.writeBuffer(&part) }
                return String(buffer: all)
            }
            #expect(answer.hasPrefix("HTTP/1.1 400 Bad Request\r\n") && answer.contains("This port speaks gRPC"))
            #expect(harness.registry.counter(.rejectedTotal, "grpc", "protocol_error").value == 1)
        }
    }
}
