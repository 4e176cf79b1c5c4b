import GRPCCore
import NIOCore
import NIOHPACK
import NIOHTTP2

/// Ends a call whose client is slow: the rest of a message does not come, or an answer is not read; and one that announces a message
/// over the limit or a timeout that is none, with a status that says so, before gRPC sees it.
///
/// No timers of its own: `StreamSweeper` looks at all calls of a loop now and then. On its channel's event loop only.
final class StreamWatch: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTP2Frame.FramePayload
    typealias InboundOut = HTTP2Frame.FramePayload
    typealias OutboundIn = HTTP2Frame.FramePayload
    typealias OutboundOut = HTTP2Frame.FramePayload

    private static let refusalGrace = TimeAmount.seconds(2)

    private let sweeper: StreamSweeper
    private let settings: GRPCSettings
    private let messageBytesMax: Int
    private var hasAnswered = false
    private var isRefused = false
    private var progress = MessageProgress()
    /// When what the client owes is due.
    private var inputDeadline: NIODeadline?
    private var unread = 0
    private var outputDeadline: NIODeadline?
    private var context: ChannelHandlerContext?

    init(_ sweeper: StreamSweeper, _ settings: GRPCSettings, messageBytesMax: Int) {
        self.sweeper = sweeper
        self.messageBytesMax = messageBytesMax
        self.settings = settings
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        sweeper.add(self, of: context.channel.parent)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        sweeper.remove(self, of: context.channel.parent)
        self.context = nil
    }

    /// Ends the call where it is overdue.
    func look(_ now: NIODeadline) {
        guard let context else { return }
        let isOverdue = (inputDeadline.map { $0 <= now } ?? false) || (outputDeadline.map { $0 <= now } ?? false)
        // Closing a stream's channel resets the stream.
        if isOverdue { context.close(promise: nil) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isRefused else { return }
        switch unwrapInboundIn(data) {
        case .headers(let headers):
            if headers.headers["grpc-timeout"].contains(where: { GRPCTimeout($0) == nil }) {
                return refuse(context, .invalidArgument, "grpc-timeout is 1 to 8 digits and one of H, M, S, m, u, n")
            }
            let path = headers.headers.first(name: ":path") ?? ""
            let mayBeSilent = path.hasSuffix("/Pipeline") || path.hasSuffix("/ServerReflectionInfo")
            if !headers.endStream, !mayBeSilent { inputDeadline = .now() + settings.messageTimeout.amount }
            if headers.endStream { inputDeadline = nil }
        case .data(let data):
            if case .byteBuffer(let bytes) = data.data { progress.take(bytes.readableBytesView) }
            if progress.longest > messageBytesMax {
                let text = "a message of \(progress.longest) bytes is over the limit, \(messageBytesMax)"
                return refuse(context, .resourceExhausted, text)
            }
            if data.endStream || !progress.isInside {
                inputDeadline = nil
            } else if inputDeadline == nil {
                inputDeadline = .now() + settings.messageTimeout.amount
            }
        default: break
        }
        context.fireChannelRead(data)
    }

    /// Says what is wrong; what else comes is dropped, and the stream is reset a little later.
    private func refuse(_ context: ChannelHandlerContext, _ code: Status.Code, _ text: String) {
        isRefused = true
        var headers: HPACKHeaders =
            hasAnswered ? [:] : [":status": "200", "content-type": "application/grpc"]
        headers.add(name: "grpc-status", value: "\(code.rawValue)")
        headers.add(name: "grpc-message", value: text)
        let trailers = HTTP2Frame.FramePayload.headers(.init(headers: headers, endStream: true))
        context.writeAndFlush(wrapOutboundOut(trailers), promise: nil)
        // Not at once: a reset would overtake the status at a client that is still sending.
        inputDeadline = .now() + Self.refusalGrace
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if isRefused {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        hasAnswered = true
        let written = promise ?? context.eventLoop.makePromise()
        unread += 1
        if unread == 1 { outputDeadline = .now() + settings.writeTimeout.amount }
        written.futureResult.assumeIsolated().whenComplete { [self] _ in
            unread -= 1
            outputDeadline = unread == 0 ? nil : .now() + settings.writeTimeout.amount
        }
        context.write(data, promise: written)
    }
}

/// How far the messages of a call have come: each has five bytes before it, a flag and the length.
struct MessageProgress {
    private var header: UInt64 = 0
    private var headerCount = 0
    private var left = 0
    /// The greatest length that was announced.
    private(set) var longest = 0

    /// Whether a message has begun and is not whole.
    var isInside: Bool { headerCount > 0 }

    mutating func take(_ bytes: some Collection<UInt8>) {
        var rest = bytes[...]
        while !rest.isEmpty {
            if headerCount < 5 {
                guard let byte = rest.popFirst() else { return }
                header = header << 8 | UInt64(byte)
                headerCount += 1
                if headerCount == 5 {
                    left = Int(header & 0xffff_ffff)
                    longest = max(longest, left)
                }
            } else {
                let taken = min(left, rest.count)
                rest = rest.dropFirst(taken)
                left -= taken
            }
            if headerCount == 5, left == 0 { (header, headerCount) = (0, 0) }
        }
    }
}

/// Looks at the calls and the connections of one event loop once a second.
///
/// SENDABLE: touched on that loop only.
final class StreamSweeper: @unchecked Sendable {
    private var watches: [ObjectIdentifier: StreamWatch] = [:]
    /// By their channels.
    private var connections: [ObjectIdentifier: ConnectionWatch] = [:]

    func add(_ watch: StreamWatch, of connection: (any Channel)?) {
        watches[ObjectIdentifier(watch)] = watch
        if let connection { connections[ObjectIdentifier(connection)]?.calls += 1 }
    }

    func remove(_ watch: StreamWatch, of connection: (any Channel)?) {
        watches[ObjectIdentifier(watch)] = nil
        if let connection { connections[ObjectIdentifier(connection)]?.calls -= 1 }
    }

    func add(_ watch: ConnectionWatch, of channel: any Channel) { connections[ObjectIdentifier(channel)] = watch }

    func removeConnection(of channel: any Channel) { connections[ObjectIdentifier(channel)] = nil }

    /// Begins; ends with the loop.
    func start(on loop: any EventLoop) {
        loop.scheduleRepeatedTask(initialDelay: .seconds(1), delay: .seconds(1)) { [weak self] task in
            guard let self else { return task.cancel() }
            let now = NIODeadline.now()
            // A copy: who is ended takes itself out.
            for watch in Array(watches.values) { watch.look(now) }
            for connection in Array(connections.values) { connection.look(now) }
        }
    }
}

extension Duration {
    var amount: TimeAmount { .nanoseconds(Int64(self / .nanoseconds(1))) }
}
