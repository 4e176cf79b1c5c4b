package import NIOCore
import NIOPosix
import NIOSSL

/// One request over TLS to this machine itself, for health checks: whom it reaches is not verified, and it carries no secret.
package enum TLSExchange {
    /// Sends bytes and returns what comes back until the server closes, at most `bytesMax`.
    ///
    /// Blocks for `timeout` at most.
    /// - Throws: what the system or TLS says.
    package static func exchange(
        _ request: [UInt8],
        host: String,
        port: Int,
        bytesMax: Int,
        timeout: TimeAmount
    ) throws -> [UInt8] {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateVerification = .none
        let context = try NIOSSLContext(configuration: configuration)
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let promise = loop.makePromise(of: [UInt8].self)
        let timer = loop.scheduleTask(in: timeout) { promise.fail(ChannelError.connectTimeout(timeout)) }
        ClientBootstrap(group: loop)
            .connectTimeout(timeout)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let operations = channel.pipeline.syncOperations
                    try operations.addHandler(NIOSSLClientHandler(context: context, serverHostname: nil))
                    try operations.addHandler(Exchange(request, bytesMax, promise))
                }
            }
            .connect(host: host, port: port)
            .whenFailure { promise.fail($0) }
        defer { timer.cancel() }
        return try promise.futureResult.wait()
    }
}

/// Sends a request and gathers the answer.
private final class Exchange: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let request: [UInt8]
    private let bytesMax: Int
    private let promise: EventLoopPromise<[UInt8]>
    private var answer: [UInt8] = []

    init(_ request: [UInt8], _ bytesMax: Int, _ promise: EventLoopPromise<[UInt8]>) {
        self.request = request
        self.bytesMax = bytesMax
        self.promise = promise
    }

    func channelActive(context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: request)), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        answer += unwrapInboundIn(data).readableBytesView
        if answer.count >= bytesMax { context.close(promise: nil) }
    }

    func channelInactive(context: ChannelHandlerContext) { promise.succeed(answer) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if answer.isEmpty { promise.fail(error) } else { promise.succeed(answer) }
        context.close(promise: nil)
    }
}
