import HTTPTypes
import NIOCore
import NIOHTTPTypes

/// Closes a connection whose client does not read its answer: bytes that wait for it would otherwise stay in memory for as long as it likes.
///
/// The time counts from the last part of an answer that left the process.
final class StalledReader: ChannelOutboundHandler, RemovableChannelHandler {
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private let timeout: TimeAmount
    private var waiting = 0
    private var deadline: Scheduled<Void>?

    init(timeout: TimeAmount) { self.timeout = timeout }

    func handlerRemoved(context: ChannelHandlerContext) { deadline?.cancel() }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        waiting += 1
        if waiting == 1 { startTime(context) }
        let written = promise ?? context.eventLoop.makePromise()
        written.futureResult.assumeIsolated().whenComplete { [self] _ in
            waiting -= 1
            deadline?.cancel()
            deadline = nil
            if waiting > 0, context.channel.isActive { startTime(context) }
        }
        context.write(data, promise: written)
    }

    private func startTime(_ context: ChannelHandlerContext) {
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: timeout) { context.close(promise: nil) }
    }
}
