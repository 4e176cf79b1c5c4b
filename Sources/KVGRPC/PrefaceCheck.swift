import KVTelemetry
import NIOCore

/// Tells a client that does not speak HTTP/2 so at once, where the library would wait in silence.
///
/// It stands behind TLS and before HTTP/2 and goes when the client's first bytes are those of HTTP/2. Until then what the server would say
/// first (its settings) waits, so that the answer is one that a client of HTTP/1 can read. On its channel's event loop only.
final class PrefaceCheck: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
    private static let answer: String = {
        let body = "This port speaks gRPC, which is HTTP/2; HTTP/1.1 is spoken at http.address.\n"
        return
            "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: \(body.utf8.count)\r\n"
            + "Connection: close\r\n\r\n\(body)"
    }()

    private let rejected: Counter
    private var received = ByteBuffer()
    private var held: [(data: NIOAny, promise: EventLoopPromise<Void>?)] = []
    private var isRefused = false
    private var isPassed = false

    init(_ rejected: Counter) { self.rejected = rejected }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if isPassed { return context.fireChannelRead(data) }
        guard !isRefused else { return }
        var bytes = Self.unwrapInboundIn(data)
        received.writeBuffer(&bytes)
        let matches = zip(received.readableBytesView, Self.preface).allSatisfy { $0 == $1 }
        guard matches else { return refuse(context) }
        guard received.readableBytes >= Self.preface.count else { return }
        let whole = received
        received = ByteBuffer()
        // What is answered to these bytes comes through here before the handler is gone.
        isPassed = true
        release(context)
        context.fireChannelRead(Self.wrapInboundOut(whole))
        context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if isPassed { return context.write(data, promise: promise) }
        held.append((data, promise))
    }

    func channelInactive(context: ChannelHandlerContext) {
        drop()
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) { drop() }

    private func refuse(_ context: ChannelHandlerContext) {
        isRefused = true
        rejected.add()
        drop()
        // Who begins with a letter may be HTTP/1 and can read this; others are left alone.
        let isText = received.readableBytesView.first.map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) }
        received = ByteBuffer()
        guard isText == true else { return context.close(promise: nil) }
        let written = context.writeAndFlush(Self.wrapOutboundOut(ByteBuffer(string: Self.answer)))
        written.assumeIsolated().whenComplete { _ in context.close(promise: nil) }
    }

    private func release(_ context: ChannelHandlerContext) {
        let waiting = held
        held = []
        for one in waiting { context.write(one.data, promise: one.promise) }
        context.flush()
    }

    private func drop() {
        let waiting = held
        held = []
        for one in waiting { one.promise?.fail(ChannelError.ioOnClosedChannel) }
    }
}
