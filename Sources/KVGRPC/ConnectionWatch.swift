import NIOCore

/// Closes a connection without a call on which nothing comes, whatever its client leaves unanswered.
///
/// The library ends an idle connection by asking the client to go and waiting for its answer; who does not answer would stay. It
/// stands first on a connection, so that bytes of any protocol count. On its channel's event loop only.
final class ConnectionWatch: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = NIOAny
    typealias InboundOut = NIOAny

    private let sweeper: StreamSweeper
    private let silence: TimeAmount
    private var heardAt = NIODeadline.now()
    private var context: ChannelHandlerContext?
    /// How many calls are open.
    var calls = 0

    init(_ sweeper: StreamSweeper, _ settings: GRPCSettings) {
        self.sweeper = sweeper
        silence = settings.idleTimeout.amount + settings.stopDeadline.amount
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        sweeper.add(self, of: context.channel)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        sweeper.removeConnection(of: context.channel)
        self.context = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        heardAt = .now()
        context.fireChannelRead(data)
    }

    /// Closes the connection where it has been silent for too long.
    func look(_ now: NIODeadline) {
        if calls == 0, heardAt + silence <= now { context?.close(promise: nil) }
    }
}
