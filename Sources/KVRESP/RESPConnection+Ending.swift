import NIOCore

// How a connection ends: cut off, or with an error that its client is given the time to read.

/// How a connection is about to end.
enum RESPEnding {
    /// When all is answered, without more.
    case quiet
    /// Without another word.
    case cut
    /// With an error that was written, or will be.
    case afterError
    /// The error was sent; what still comes is read and dropped.
    case lingering
}

extension RESPConnection {
    /// Answers a protocol error and closes.
    func refuse(_ text: String) {
        shared.protocolErrors.add()
        current.command = UInt8(shared.table.commands.count)
        ending = .afterError
        replyError("ERR \(text)")
        closeWhenAnswered()
    }

    /// Ends what it sends, and drops what comes until the client has ended too, took too long or sent too much.
    ///
    /// Closed at once with bytes unread, the system would reset the connection, and the client might never see the error.
    func linger(_ context: ChannelHandlerContext) {
        ending = .lingering
        let promise = context.eventLoop.makePromise(of: Void.self)
        promise.futureResult.assumeIsolated().whenFailure { [self] _ in closeNow() }
        context.close(mode: .output, promise: promise)
        guard context.channel.isActive else { return }
        let patience = shared.settings.lingerTimeout
        loop.eventLoop.scheduleTask(in: .nanoseconds(Int64(patience / .nanoseconds(1)))) { [weak self] in
            self?.closeNow()
        }
        isReadHeld = false
        context.read()
    }

    /// Bytes that nobody will look at.
    func drop(_ bytes: ByteBuffer) {
        shared.receivedBytes.add(UInt64(bytes.readableBytes))
        droppedBytes += bytes.readableBytes
        if ending == .lingering, droppedBytes > shared.settings.lingerBytesMax { closeNow() }
    }

    /// A web page made a browser send this: the connection ends, and nothing more is done or answered, as in Redis.
    func cutForeignProtocol(_ arguments: Arguments) {
        shared.foreignProtocols.add()
        shared.logger.warning(
            "security: a command that is a line of HTTP; a web page may be trying to reach this node",
            metadata: .keys([
                .client: "\(info.id)", .address: info.remoteAddress, .action: arguments.text(0).uppercased(),
            ])
        )
        batch.removeAll()
        queue = nil
        output = ByteBuffer()
        isClosing = true
        ending = .cut
        // Not at once: its bytes are being read.
        loop.eventLoop.execute { self.closeNow() }
    }

    func unknownCommandLine(_ arguments: Arguments) -> String {
        let name = String(decoding: arguments[0].prefix(128), as: UTF8.self)
        if let line = foreignCommandLine(name.lowercased()) { return line }
        var line = "ERR unknown command '\(name)', with args beginning with: "
        for index in 1..<max(1, arguments.count) where line.utf8.count < 256 {
            line += "'\(String(decoding: arguments[index].prefix(128), as: UTF8.self))' "
        }
        return line
    }
}
