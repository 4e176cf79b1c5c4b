import NIOCore

/// Matches replies to requests on one connection.
///
/// SENDABLE: every property but the constants is touched only on the channel's event loop; `submit` hops there first.
final class RESPClientHandler: ChannelInboundHandler, @unchecked Sendable {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    enum Receiver {
        case one(CheckedContinuation<Result<RESPValue, ClientError>, Never>)
        case bulk(any RESPReplySink, next: UInt64)
    }

    private struct Pending {
        var receiver: Receiver
        var remaining: Int
        let deadline: NIODeadline
    }

    private let options: RESPConnection.Options
    private let channel: any Channel
    private let eventLoop: any EventLoop
    private var pending = CircularBuffer<Pending>()
    private var inFlight = 0
    private var decoder = RESPDecoder()
    private var unread: ByteBuffer?
    private var isFlushScheduled = false
    private var isClosed = false
    private var timer: Scheduled<Void>?
    /// Sinks that were given something since the last pause; one or two, so a list does.
    private var touched: [any RESPReplySink] = []

    init(options: RESPConnection.Options, channel: any Channel) {
        self.options = options
        self.channel = channel
        eventLoop = channel.eventLoop
    }

    // MARK: Requests

    func submit(_ commands: RESPCommands, to receiver: Receiver) {
        if eventLoop.inEventLoop {
            enqueue(commands, receiver)
        } else {
            eventLoop.execute { self.enqueue(commands, receiver) }
        }
    }

    private func enqueue(_ commands: RESPCommands, _ receiver: Receiver) {
        guard !isClosed, channel.isActive else {
            return fail(receiver, remaining: commands.count, .closed)
        }
        guard inFlight + commands.count <= options.inFlightMax else {
            return fail(receiver, remaining: commands.count, .tooManyInFlight(options.inFlightMax))
        }
        inFlight += commands.count
        let deadline = NIODeadline.now() + TimeAmount(options.requestTimeout)
        pending.append(Pending(receiver: receiver, remaining: commands.count, deadline: deadline))
        if timer == nil { startTimer(at: deadline) }
        channel.write(commands.buffer, promise: nil)
        // Requests of many tasks that arrive in one turn of the loop leave in one write.
        guard !isFlushScheduled else { return }
        isFlushScheduled = true
        eventLoop.execute {
            self.isFlushScheduled = false
            self.channel.flush()
        }
    }

    private func startTimer(at deadline: NIODeadline) {
        timer = eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { self.timerFired() }
    }

    /// The head has the earliest deadline, since all wait equally long.
    private func timerFired() {
        timer = nil
        guard let head = pending.first, !isClosed else { return }
        if head.deadline <= NIODeadline.now() {
            end(.unknownOutcome("no reply within \(options.requestTimeout)"))
        } else {
            startTimer(at: head.deadline)
        }
    }

    // MARK: Replies

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isClosed else { return }
        var buffer = unwrapInboundIn(data)
        if var rest = unread {
            unread = nil
            rest.writeBuffer(&buffer)
            buffer = rest
        }
        do {
            while let reply = try decoder.next(&buffer) {
                if case .push = reply { continue }
                try deliver(reply)
            }
        } catch {
            return end(.protocolViolation("\(error)"))
        }
        if buffer.readableBytes > 0 {
            buffer.discardReadBytes()
            unread = buffer
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        notifyPaused()
        context.fireChannelReadComplete()
    }

    func channelInactive(context: ChannelHandlerContext) {
        end(.unknownOutcome("the connection was closed by the node"))
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        end(.unknownOutcome("the connection was lost: \(RESPConnection.reason(error))"))
    }

    private func deliver(_ reply: RESPValue) throws(RESPError) {
        guard var head = pending.first else { throw .unexpectedReply }
        inFlight -= 1
        head.remaining -= 1
        switch head.receiver {
        case .one(let continuation):
            continuation.resume(returning: .success(reply))
        case .bulk(let sink, let next):
            sink.received(reply, for: next)
            touch(sink)
            head.receiver = .bulk(sink, next: next + 1)
        }
        if head.remaining == 0 {
            pending.removeFirst()
        } else {
            pending[pending.startIndex] = head
        }
    }

    private func touch(_ sink: any RESPReplySink) {
        if !touched.contains(where: { $0 === sink }) { touched.append(sink) }
    }

    private func notifyPaused() {
        guard !touched.isEmpty else { return }
        let sinks = touched
        touched.removeAll(keepingCapacity: true)
        for sink in sinks { sink.paused() }
    }

    // MARK: The end

    /// Fails everything in flight with `error` and closes.
    ///
    /// What was written may have been executed, whatever ended it.
    private func end(_ error: ClientError) {
        guard !isClosed else { return }
        isClosed = true
        timer?.cancel()
        timer = nil
        let failed = pending
        pending.removeAll()
        inFlight = 0
        unread = nil
        // A broken protocol says nothing about whether the requests were executed.
        let outcome: ClientError = error.isOutcomeUnknown ? error : .unknownOutcome(error.description)
        for entry in failed { fail(entry.receiver, remaining: entry.remaining, outcome) }
        notifyPaused()
        channel.close(promise: nil)
    }

    private func fail(_ receiver: Receiver, remaining: Int, _ error: ClientError) {
        switch receiver {
        case .one(let continuation):
            continuation.resume(returning: .failure(error))
        case .bulk(let sink, let next):
            sink.failed(next..<next + UInt64(remaining), error)
            sink.paused()
        }
    }
}
