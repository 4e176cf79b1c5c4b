import NIOCore
import NIOSSL
import NIOTLS

/// Closes a connection whose handshake takes too long or fails, and lets one that ends without TLS's goodbye simply end.
///
/// What is carried says itself where a message ends, so a connection that was cut is not mistaken for one that was closed; and a
/// process that is killed says no goodbye.
///
/// SENDABLE: touched on its channel's event loop only.
final class HandshakeWatch: ChannelInboundHandler, @unchecked Sendable {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let timeout: TimeAmount
    private var timer: Scheduled<Void>?
    private var isDone = false

    init(_ timeout: TimeAmount) { self.timeout = timeout }

    func handlerAdded(context: ChannelHandlerContext) {
        let channel = context.channel
        timer = context.eventLoop.scheduleTask(in: timeout) { [weak self] in
            if self?.isDone == false { channel.close(promise: nil) }
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) { timer?.cancel() }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? TLSUserEvent, case .handshakeCompleted = event {
            isDone = true
            timer?.cancel()
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let error = error as? NIOSSLError, case .uncleanShutdown = error { return }
        context.fireErrorCaught(error)
        if !isDone { context.close(promise: nil) }
    }
}
