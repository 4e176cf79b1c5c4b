import Glibc
public import NIOCore
import NIOPosix

/// One connection to a node that speaks the Redis protocol, with many requests in flight.
///
/// Replies come in the order of the requests, so a request that is not answered in time takes the connection with it: the
/// replies behind it can no longer be told apart from late ones. Whatever was submitted and not answered by then fails with
/// `.unknownOutcome`, also where it was only a read: the layer above knows which it was.
///
/// Any thread may call; calls of one thread keep their order.
public final class RESPConnection: Sendable {
    /// Bounds of one connection.
    public struct Options: Sendable {
        /// How long a connection may take to come up.
        public var connectTimeout: Duration
        /// How long a request may wait for its reply.
        public var requestTimeout: Duration
        /// The most requests in flight; one over it fails at once with `.tooManyInFlight`, unsent.
        public var inFlightMax: Int
        /// Who the client is; nil where the node does not ask.
        public var credentials: Credentials?
        /// Whom the client believes; nil where it speaks in the clear.
        public var tls: ClientTLS?

        /// Options with these values.
        public init(
            connectTimeout: Duration = .seconds(1),
            requestTimeout: Duration = .seconds(5),
            inFlightMax: Int = 16_384,
            credentials: Credentials? = nil,
            tls: ClientTLS? = nil
        ) {
            self.credentials = credentials
            self.tls = tls
            self.connectTimeout = connectTimeout
            self.requestTimeout = requestTimeout
            self.inFlightMax = inFlightMax
        }
    }

    /// The node's address, as it was asked for.
    public let endpoint: Endpoint
    private let channel: any Channel
    private let handler: RESPClientHandler

    private init(endpoint: Endpoint, channel: any Channel, handler: RESPClientHandler) {
        self.endpoint = endpoint
        self.channel = channel
        self.handler = handler
    }

    /// Connects.
    /// - Throws: `.cannotConnect`.
    public static func connect(
        to endpoint: Endpoint,
        options: Options = Options(),
        on group: (any EventLoopGroup)? = nil
    ) async throws(ClientError) -> RESPConnection {
        do {
            return try await start(to: endpoint, options: options, on: group ?? MultiThreadedEventLoopGroup.singleton)
                .get()
        } catch let error as ClientError {
            throw error
        } catch {
            throw .cannotConnect("\(endpoint): \(reason(error))")
        }
    }

    /// Connects; the future fails with whatever NIO says.
    static func start(
        to endpoint: Endpoint,
        options: Options,
        on group: any EventLoopGroup
    ) -> EventLoopFuture<RESPConnection> {
        ClientBootstrap(group: group)
            .connectTimeout(TimeAmount(options.connectTimeout))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls = options.tls {
                        try channel.pipeline.syncOperations.addHandler(tls.handler(for: endpoint.host))
                    }
                    try channel.pipeline.syncOperations.addHandler(
                        RESPClientHandler(options: options, channel: channel)
                    )
                }
            }
            .connect(host: endpoint.host, port: endpoint.port)
            .flatMap { channel in
                channel.pipeline.handler(type: RESPClientHandler.self).map {
                    RESPConnection(endpoint: endpoint, channel: channel, handler: $0)
                }
            }
            .flatMap { connection in connection.introduce(options.credentials) }
    }

    /// Says who the client is; the future fails with what the node says where it does not believe that.
    private func introduce(_ credentials: Credentials?) -> EventLoopFuture<RESPConnection> {
        guard let credentials else { return channel.eventLoop.makeSucceededFuture(self) }
        let promise = channel.eventLoop.makePromise(of: RESPConnection.self)
        promise.completeWithTask {
            let reply = try await self.send(credentials.respWords)
            guard case .error(let code, let message) = reply else { return self }
            self.close()
            throw ClientError.rejected(code: code, message: message)
        }
        return promise.futureResult
    }

    /// Whether the connection still stands.
    public var isActive: Bool { channel.isActive }

    /// Completes once the connection is gone.
    public var closeFuture: EventLoopFuture<Void> { channel.closeFuture }

    /// Sends one request and waits for its reply, which may be an error of the node.
    /// - Throws: `.tooManyInFlight` or `.closed` where nothing was sent, `.unknownOutcome` where it may have been.
    public func send(_ words: [[UInt8]]) async throws(ClientError) -> RESPValue {
        let commands = RESPCommands(words)
        let result: Result<RESPValue, ClientError> = await withCheckedContinuation { continuation in
            handler.submit(commands, to: .one(continuation))
        }
        return try result.get()
    }

    /// Sends requests in one write; each reply, or the loss of the connection, comes to `sink` under the numbers from
    /// `first` on.
    ///
    /// The cheap way: no task and no allocation for each request.
    public func submit(_ commands: RESPCommands, numberedFrom first: UInt64, to sink: any RESPReplySink) {
        guard commands.count > 0 else { return }
        handler.submit(commands, to: .bulk(sink, next: first))
    }

    /// Closes; what is in flight fails with `.unknownOutcome`.
    public func close() {
        channel.close(promise: nil)
    }

    /// What NIO's error says, without the noise of its types.
    static func reason(_ error: any Error) -> String {
        switch error {
        case let error as NIOConnectionError:
            if let first = error.connectionErrors.first { return reason(first.error) }
            return "the name does not resolve"
        case let error as IOError: return String(cString: strerror(error.errnoCode))
        case let error as ChannelError:
            if case .connectTimeout(let time) = error {
                return "no connection within \(time.nanoseconds / 1_000_000) ms"
            }
            return "\(error)"
        default: return "\(error)"
        }
    }
}
