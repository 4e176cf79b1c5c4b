import KVBase
import KVService
import KVTelemetry
import NIOCore
import Synchronization

/// One client: reads commands, submits them in batches, writes the replies in order.
///
/// 1. `channelRead` parses what came, in place. Each command takes a slot in `pending` and puts its requests into `batch`.
/// 2. `channelReadComplete` submits the batch: once a burst, however many commands it had.
/// 3. `complete` gets the replies, in any order. The oldest command's goes straight into `output`; the others wait, encoded, in
///    the stash until it is their turn.
/// 4. At the end of the loop's turn `output` is written and flushed, once.
///
/// It stops reading, and so lets TCP hold the client back, while too many commands are unanswered, while the client does not read
/// its replies, and while order demands it: requests of different batches may overtake each other in the node, so a read waits for
/// earlier batches' writes and a write for their reads.
///
/// SENDABLE: all state is touched on the channel's event loop only, but for `mailbox`, which has its own lock, and the constants.
final class RESPConnection: ChannelDuplexHandler, ReplySink, @unchecked Sendable {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = Never
    typealias OutboundIn = Never
    typealias OutboundOut = ByteBuffer

    let shared: RESPShared
    let loop: LoopContext
    let info: ClientInfo
    /// The service as this client may use it.
    let service: ClientSession
    /// Whether a password is being checked: commands wait until it is known who sends them.
    var isAuthenticating = false
    private let mailbox = ReplyMailbox()
    private var letters = ReplyMailbox.Letters()
    private var context: ChannelHandlerContext?

    // What came in.
    private var parser: RequestParser
    private var input = ByteBuffer()
    private var isPaused = false
    var isReadHeld = false
    private var inputHasEnded = false
    private var isProcessing = false

    /// When it last did something; what is too slow is looked for now and then.
    var activity = ClientActivity()

    // What is under way.
    var batch = RequestBatch()
    private(set) var pending = PendingReplies()
    /// Requests that were added and not answered; more than `pending.count` where commands have many keys.
    private var requestsInFlight = 0
    /// By access: reads and writes of batches that were submitted.
    private var submitted = (reads: 0, writes: 0)
    private var batched = (reads: 0, writes: 0)
    var current: (command: UInt8, startedAt: UInt64) = (0, 0)
    /// Commands between MULTI and EXEC; nil outside.
    var queue: CommandQueue?
    /// What WATCH saw.
    var watch = WatchedKeys()
    /// Whoever gathers requests instead of letting them be sent; nil but while EXEC or KV.SESSION runs a command.
    var capture: Capture?

    // What goes out.
    var output = ByteBuffer()
    private var isDirty = false
    /// What was written while the client did not read.
    var unreadBytes = 0
    var hasOverflowed = false
    var isClosing = false
    var ending = RESPEnding.quiet
    /// What came after the end was decided.
    var droppedBytes = 0
    private var isClosed = false

    // What the client chose.
    var isRESP3 = false
    var consistency = Consistency.linearizable

    init(_ shared: RESPShared, _ loop: LoopContext, _ info: ClientInfo) {
        self.shared = shared
        self.loop = loop
        self.info = info
        service = ClientSession(shared.service, shared.authenticator?.control)
        parser = RequestParser(shared.settings, valueBytesMax: shared.limits.valueBytesMax)
        batch.redirects = shared.settings.isRedirecting
    }

    /// The connection; nil where it is gone.
    var channel: (any Channel)? { context?.channel }

    /// Whether it waits for the node: for answers, or for its turn.
    var isWaitedFor: Bool { !pending.isEmpty || isPaused || isAuthenticating || isClosing }

    /// Whether it has begun a command and not ended it.
    var hasPartOfCommand: Bool { input.readableBytes > 0 }

    // MARK: Reading

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isClosing else { return drop(Self.unwrapInboundIn(data)) }
        var bytes = Self.unwrapInboundIn(data)
        shared.receivedBytes.add(UInt64(bytes.readableBytes))
        if input.readableBytes == 0 {
            input = bytes
        } else {
            if input.readerIndex > 64 * 1024 { input.discardReadBytes() }
            input.writeBuffer(&bytes)
        }
        if !isPaused { process() }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        submitBatch()
    }

    func read(context: ChannelHandlerContext) {
        if ending != .lingering, isPaused || isClosing { isReadHeld = true } else { context.read() }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        guard context.channel.isWritable else { return }
        forgetUnread()
        activity.stalledSince = nil
        if isPaused { markDirty() }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard let event = event as? ChannelEvent, event == .inputClosed else {
            return context.fireUserInboundEventTriggered(event)
        }
        if ending == .lingering { return closeNow() }
        // The client will send no more but may still read: what is complete is answered, then we close.
        if !isPaused { stopReading() }
        inputHasEnded = true
        markDirty()
    }

    func channelInactive(context: ChannelHandlerContext) {
        isClosed = true
        isClosing = true
        input = ByteBuffer()
        output = ByteBuffer()
        batch.removeAll()
        queue = nil
        forgetUnread()
        shared.remove(info)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A reset or a broken pipe: the client is gone, and nobody is left to tell.
        context.close(promise: nil)
    }

    /// Takes every command that is complete, until something asks to wait.
    private func process() {
        guard let context, !isProcessing else { return }
        isProcessing = true
        defer { isProcessing = false }
        guard context.channel.isWritable else {
            isPaused = true
            return
        }
        current.startedAt = loop.turnTime()
        var end: RequestParser.Step = .incomplete
        let consumed = input.withUnsafeReadableBytes { all in
            var consumed = 0
            while !isClosing {
                guard requestsInFlight < shared.settings.requestsInFlightMax,
                    pending.count < shared.settings.requestsInFlightMax
                else {
                    isPaused = true
                    break
                }
                let bytes = UnsafeRawBufferPointer(rebasing: all[consumed...])
                end = parser.parse(bytes)
                let isTaken: Bool
                let size: Int
                switch end {
                case .incomplete, .malformed: return consumed
                case .command(let count):
                    size = count
                    isTaken = parser.ranges.isEmpty || execute(bytes)
                case .inlineCommand(let count):
                    size = count
                    isTaken = parser.inlineBytes.withUnsafeBytes { execute($0) }
                }
                parser.reset()
                guard isTaken else {
                    isPaused = true
                    break
                }
                consumed += size
                if batch.items.count >= shared.settings.batchRequestsMax
                    || batch.bytes.count >= shared.settings.batchBytesMax
                {
                    submitBatch()
                }
            }
            return consumed
        }
        if consumed > 0 { activity.commandAt = current.startedAt }
        if isClosing {
            input = ByteBuffer()
        } else if consumed == input.readableBytes {
            input = ByteBuffer()
        } else {
            input.moveReaderIndex(forwardBy: consumed)
        }
        if consumed > 0 || activity.partSince == nil {
            activity.partSince = input.readableBytes > 0 ? current.startedAt : nil
        }
        if case .malformed(let text) = end { refuse("Protocol error: \(text)") }
        if input.readableBytes > shared.settings.strangerBytesMax, !isPaused, !isClosing, service.isLocked {
            refuse("Protocol error: too many bytes before authentication")
        }
        if isPaused { submitBatch() }
    }

    /// Runs the command that the parser found.
    /// - Returns: false where it has to wait for earlier ones; nothing was done then.
    private func execute(_ bytes: UnsafeRawBufferPointer) -> Bool {
        parser.ranges.withUnsafeBufferPointer { ranges in
            guard let base = bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 1) else { return true }
            let arguments = Arguments(base: base, ranges: ranges)
            let table = shared.table
            guard let index = table.find(arguments[0]) else {
                current.command = UInt8(table.commands.count)
                if isWord(arguments[0], "POST") || isWord(arguments[0], "HOST:") {
                    cutForeignProtocol(arguments)
                } else {
                    queue?.isRefused = true
                    replyError(unknownCommandLine(arguments))
                }
                return true
            }
            let entry = table.entries[index]
            if isAuthenticating { return false }
            if let refusal = refusal(of: entry) {
                current.command = UInt8(index)
                queue?.isRefused = true
                replyError(refusal)
                return true
            }
            if entry.flags.contains(.container), let refusal = table.commands[index].subcommandRefusal(arguments) {
                current.command = UInt8(index)
                queue?.isRefused = true
                replyError(refusal.text)
                return true
            }
            if entry.flags.contains(.admin) { audit(arguments) }
            if queue != nil, !entry.flags.contains(.transaction) {
                enqueue(index, entry, arguments)
                return true
            }
            if entry.flags.contains(.waitsForWatch), watch.isAsking { return false }
            if entry.flags.contains(.readOnly) {
                if submitted.writes > 0 { return false }
                if entry.flags.contains(.waitsForWrites), batched.writes > 0 { return false }
            } else if entry.flags.contains(.write), submitted.reads > 0 {
                return false
            }
            current.command = UInt8(index)
            let arity = Int(entry.arity)
            guard arity >= 0 ? arguments.count == arity : arguments.count >= -arity else {
                refuseArity(of: table.commands[index].name)
                return true
            }
            do throws(RESPError) {
                try table.handlers[index](self, arguments)
            } catch {
                replyError(error.text)
            }
            return true
        }
    }

    /// Hands what was gathered to the service.
    ///
    /// Replies may come before this returns.
    func submitBatch() {
        guard !batch.items.isEmpty else { return }
        submitted.reads += batched.reads
        submitted.writes += batched.writes
        batched = (0, 0)
        service.submit(batch, to: self)
        batch.removeAll()
    }

    /// Reads no further; closes once everything before was answered and written.
    func closeWhenAnswered() {
        stopReading()
        isClosing = true
        markDirty()
    }

    private func stopReading() {
        // An incomplete command at the end will never be complete.
        isReadHeld = true
    }

    // MARK: What handlers call

    /// Takes a slot for a command of one request.
    /// - Returns: the tag for that request.
    func expect(_ shape: ReplyShape, _ access: PendingReply.Access) -> UInt64 {
        if let capture { return capture.expect(shape, 1, nil) }
        requestsInFlight += 1
        if access == .write { batched.writes += 1 } else { batched.reads += 1 }
        return take(shape, access) << 20
    }

    /// Takes a slot for a command of several requests.
    /// - Returns: the tag for the first; the others follow it.
    func expect(parts: Int, _ shape: ReplyShape, _ access: PendingReply.Access) -> UInt64 {
        if let capture { return capture.expect(shape, parts, nil) }
        requestsInFlight += parts
        if access == .write { batched.writes += parts } else { batched.reads += parts }
        let sequence = take(shape, access)
        pending[sequence].aggregate = Aggregate(parts: parts, keepsValues: shape == .values)
        return sequence << 20
    }

    /// Takes a slot for a command of one request whose reply is written with more than its shape.
    /// - Returns: the tag for that request.
    func expect(_ shape: ReplyShape, _ access: PendingReply.Access, _ detail: Aggregate) -> UInt64 {
        if let capture { return capture.expect(shape, 1, detail) }
        let tag = expect(shape, access)
        pending[tag >> 20].aggregate = detail
        return tag
    }

    /// Takes a slot for a reply that `finish` will write.
    func expectCustom(_ access: PendingReply.Access = .none) -> UInt64 {
        requestsInFlight += 1
        switch access {
        case .none: break
        case .read: submitted.reads += 1
        case .write: submitted.writes += 1
        }
        return take(.custom, access)
    }

    private func take(_ shape: ReplyShape, _ access: PendingReply.Access) -> UInt64 {
        pending.append(
            PendingReply(
                shape: shape,
                access: access,
                isRESP3: isRESP3,
                command: current.command,
                startedAt: current.startedAt
            )
        )
    }

    /// Answers at once, in its turn.
    func reply(_ outcome: OperationOutcome = .ok, _ write: (inout ByteBuffer, _ isRESP3: Bool) -> Void) {
        if let capture { return capture.reply(write, isRESP3: isRESP3) }
        loop.record(current.command, outcome, startedAt: current.startedAt)
        if pending.isEmpty {
            write(&output, isRESP3)
        } else {
            let sequence = take(.custom, .none)
            let offset = pending.stash.writerIndex
            write(&pending.stash, isRESP3)
            pending.stashed(sequence, from: offset)
        }
        markDirty()
    }

    func replyError(_ line: String) {
        reply(.failed) { output, _ in output.writeError(line) }
    }

    /// Answers a command that took its slot by `expectCustom`.
    ///
    /// Any thread.
    func finish(
        _ sequence: UInt64,
        _ outcome: OperationOutcome = .ok,
        _ write: @escaping @Sendable (inout ByteBuffer, Bool) -> Void
    ) {
        if loop.eventLoop.inEventLoop {
            finishHere(sequence, outcome, write)
        } else {
            loop.eventLoop.execute { self.finishHere(sequence, outcome, write) }
        }
    }

    private func finishHere(_ sequence: UInt64, _ outcome: OperationOutcome, _ write: (inout ByteBuffer, Bool) -> Void)
    {
        guard !isClosed, pending.contains(sequence) else { return }
        let slot = pending[sequence]
        settle(slot.access)
        emit(sequence, slot, outcome) { output in write(&output, slot.isRESP3) }
    }

    // MARK: Replies

    func complete(_ tag: UInt64, _ reply: borrowing Reply) {
        if loop.eventLoop.inEventLoop {
            receive(tag, reply)
        } else if mailbox.post(tag, reply) {
            loop.eventLoop.execute { self.openMailbox() }
        }
    }

    private func openMailbox() {
        var letters = ReplyMailbox.Letters()
        swap(&letters, &self.letters)
        mailbox.take(&letters)
        letters.bytes.withUnsafeBytes { bytes in
            for letter in letters.letters {
                var value: UnsafeRawBufferPointer?
                if letter.value.count >= 0 {
                    let end = letter.value.offset + letter.value.count
                    value = UnsafeRawBufferPointer(rebasing: bytes[letter.value.offset..<end])
                }
                receive(
                    letter.tag,
                    Reply(
                        letter.outcome,
                        version: letter.version,
                        expiresAt: letter.expiresAt,
                        integer: letter.integer,
                        value: value,
                        error: letter.error
                    )
                )
            }
        }
        self.letters = letters
    }

    private func receive(_ tag: UInt64, _ reply: borrowing Reply) {
        let sequence = tag >> 20
        guard !isClosed, pending.contains(sequence) else { return }
        let slot = pending[sequence]
        if reply.outcome == .failed, let moved = moved(reply.error) {
            return receive(tag, .failed(moved))
        }
        settle(slot.access)
        if reply.outcome == .failed { shared.reject(reply.error) }
        if let aggregate = slot.aggregate {
            if slot.shape.isWhole { return finish(sequence, slot, aggregate, reply) }
            aggregate.take(part: Int(tag & 0xfffff), reply, bytesMax: shared.settings.outputBytesMax)
            guard aggregate.remaining == 0 else { return }
            if slot.shape == .watched { watch.take(aggregate) }
            let outcome: OperationOutcome = aggregate.errorLine == nil ? .ok : .failed
            emit(sequence, slot, outcome) { $0.write(aggregate, as: slot.shape, isRESP3: slot.isRESP3) }
            return
        }
        let outcome = reply.operationOutcome
        if sequence == pending.head {
            output.write(reply, as: slot.shape, isRESP3: slot.isRESP3, now: shared.settings.now)
            pending.advance(&output)
        } else {
            let offset = pending.stash.writerIndex
            pending.stash.write(reply, as: slot.shape, isRESP3: slot.isRESP3, now: shared.settings.now)
            pending.stashed(sequence, from: offset)
            pending.compactStash()
        }
        loop.record(slot.command, outcome, startedAt: slot.startedAt)
        markDirty()
        checkOutput()
    }

    /// On a listener for Cluster clients: the same failure as a direction to the node that leads.
    private func moved(_ error: ServiceError?) -> ServiceError? {
        guard let error, error.code == .notLeader, let leader = error.leader, let slot = error.slot else { return nil }
        guard let address = shared.address(of: leader) else {
            shared.service.status { [shared] in shared.note($0) }
            return ServiceError(.moving, "the address of node \(leader) is not known yet; retry")
        }
        return ServiceError(.moved, "\(slot) \(address)")
    }

    /// Answers a command whose one reply is more than its shape says.
    private func finish(
        _ sequence: UInt64,
        _ slot: PendingReply,
        _ aggregate: Aggregate,
        _ reply: borrowing Reply
    ) {
        let now = shared.settings.now
        emit(sequence, slot, reply.operationOutcome) { output in
            output.write(reply, as: slot.shape, aggregate, isRESP3: slot.isRESP3, now: now)
        }
    }

    private func settle(_ access: PendingReply.Access) {
        requestsInFlight -= 1
        switch access {
        case .none: break
        case .read: submitted.reads -= 1
        case .write: submitted.writes -= 1
        }
    }

    private func emit(
        _ sequence: UInt64,
        _ slot: PendingReply,
        _ outcome: OperationOutcome,
        _ write: (inout ByteBuffer) -> Void
    ) {
        pending[sequence].aggregate = nil
        if sequence == pending.head {
            write(&output)
            pending.advance(&output)
        } else {
            let offset = pending.stash.writerIndex
            write(&pending.stash)
            pending.stashed(sequence, from: offset)
            pending.compactStash()
        }
        loop.record(slot.command, outcome, startedAt: slot.startedAt)
        markDirty()
        checkOutput()
    }

    /// A client that asks and does not read is let go before its replies take all memory.
    private func checkOutput() {
        let waiting = unreadBytes + output.readableBytes + pending.stash.readableBytes
        guard waiting > shared.settings.outputBytesMax, !hasOverflowed else { return }
        hasOverflowed = true
        isClosing = true
        shared.outputOverflows.add()
        shared.logger.warning(
            "client disconnected: its unread replies outgrew the bound",
            metadata: .keys([.client: "\(info.id)"])
        )
        // Not at once: this may run inside `submit`, under a command that is being read.
        loop.eventLoop.execute { self.closeNow() }
    }

    // MARK: The end of a turn

    private func markDirty() {
        if isDirty || isClosed { return }
        isDirty = true
        loop.flushLater(self)
    }

    /// Writes what there is to write, and goes on where it had to wait.
    func turnEnded() {
        isDirty = false
        guard let context, !isClosed, ending != .cut else { return }
        let count = output.readableBytes
        if count > 0 {
            shared.sentBytes.add(UInt64(count))
            context.writeAndFlush(Self.wrapOutboundOut(output), promise: nil)
            if output.capacity > 256 * 1024 { output = ByteBuffer() } else { output.clear() }
            if !context.channel.isWritable { leaveUnread(count) }
        }
        if isPaused, !isClosing, requestsInFlight <= shared.settings.requestsInFlightMax / 2 || pending.isEmpty {
            resume(context)
        }
        if isClosed { return }
        let isEmpty = pending.isEmpty && output.readableBytes == 0 && batch.items.isEmpty
        if isEmpty, isClosing || (inputHasEnded && !isPaused) {
            if ending == .afterError, !inputHasEnded { linger(context) } else { context.close(promise: nil) }
        }
    }

    private func resume(_ context: ChannelHandlerContext) {
        isPaused = false
        process()
        submitBatch()
        if !isPaused, !isClosing, isReadHeld {
            isReadHeld = false
            context.read()
        }
    }

    /// `stop` was called: takes no more commands, answers those that were taken, closes.
    func drain() {
        guard !isClosed else { return }
        if ending == .lingering { return closeNow() }
        isClosing = true
        submitBatch()
        markDirty()
    }

    /// Closes without waiting.
    func closeNow() {
        context?.close(promise: nil)
    }
}
