import KVBase
package import KVReplication
package import NIOCore
import NIOPosix

/// Asks a member what a node must know that wants to join: one connection, one hello, one answer.
package enum JoinCall {
    /// Why a member did not answer.
    package struct Failure: Error, Sendable, CustomStringConvertible {
        /// One line for a person.
        package let description: String
    }

    /// Asks the member at `address`; `hello` says who wants to join.
    package static func ask(
        _ address: PeerAddress,
        _ hello: PeerHello,
        on group: any EventLoopGroup,
        settings: PeerSettings = PeerSettings()
    ) -> EventLoopFuture<JoinAnswer> {
        let loop = group.next()
        let promise = loop.makePromise(of: JoinAnswer.self)
        let timer = loop.scheduleTask(in: settings.connectTimeout.timeAmount * 2) {
            promise.fail(Failure(description: "\(address) does not answer"))
        }
        promise.futureResult.whenComplete { _ in timer.cancel() }
        ClientBootstrap(group: loop)
            .connectTimeout(settings.connectTimeout.timeAmount)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(JoinHandler(hello, address, promise))
                }
            }
            .connect(host: address.host, port: address.port)
            .whenFailure { promise.fail(Failure(description: "\(address): \($0)")) }
        return promise.futureResult
    }
}

/// The asking end of a join.
private final class JoinHandler: ChannelInboundHandler, @unchecked Sendable {
    // SENDABLE: every method runs on the channel's event loop.
    typealias InboundIn = ByteBuffer

    private let hello: PeerHello
    private let address: PeerAddress
    private let promise: EventLoopPromise<JoinAnswer>
    private var decoder = PeerFrameDecoder()
    private var arrived = ByteBuffer()

    init(_ hello: PeerHello, _ address: PeerAddress, _ promise: EventLoopPromise<JoinAnswer>) {
        self.hello = hello
        self.address = address
        self.promise = promise
        decoder.frameBytesMax = PeerFrameFormat.joinFrameBytesMax
    }

    func channelActive(context: ChannelHandlerContext) {
        var envelope = WireEnvelope()
        envelope.hello = hello.wire(purpose: .join, wanted: nil)
        var buffer = context.channel.allocator.buffer(capacity: 512)
        PeerFrameEncoder.encodeMagic(into: &buffer)
        do {
            try PeerFrameEncoder.encode(envelope, into: &buffer)
        } catch {
            return fail("\(error)", context)
        }
        context.channel.writeAndFlush(buffer, promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        arrived.writeBuffer(&bytes)
        do {
            guard var frame = try decoder.next(&arrived) else { return }
            guard frame.envelope.goodbye.reason.isEmpty, frame.envelope.verdict.reason.isEmpty else {
                return fail("it said: \(frame.envelope.goodbye.reason)\(frame.envelope.verdict.reason)", context)
            }
            guard let bytes = frame.payload.readBytes(length: Int(frame.envelope.joinBytes)) else {
                return fail("an answer that ends early", context)
            }
            promise.succeed(try JoinAnswer(decoding: bytes))
            context.close(promise: nil)
        } catch {
            fail("\(error)", context)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail("closed the connection without an answer; is it a member's peer address, of this version?", context)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail("\(error)", context)
    }

    private func fail(_ reason: String, _ context: ChannelHandlerContext) {
        promise.fail(JoinCall.Failure(description: "\(address): \(reason)"))
        context.close(promise: nil)
    }
}
