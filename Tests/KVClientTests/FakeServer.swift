import NIOCore
import NIOPosix
import Synchronization

@testable import KVClient

/// A server on a free port that does with each request what a test's script says.
final class FakeServer: Sendable {
    enum Action: Sendable {
        case reply(String)
        /// Never answers this request.
        case ignore
        /// Closes the connection.
        case close
    }

    /// What to do with a request: its words, and how many requests came before it on all connections.
    typealias Script = @Sendable (_ words: [String], _ number: Int) -> Action

    let endpoint: Endpoint
    private let channel: any Channel

    private init(channel: any Channel, log: Log) {
        self.channel = channel
        self.log = log
        endpoint = Endpoint(host: "127.0.0.1", port: channel.localAddress?.port ?? 0)
    }

    final class Log: Sendable {
        private let state = Mutex<[[String]]>([])
        func add(_ words: [String]) -> Int {
            state.withLock {
                $0.append(words)
                return $0.count - 1
            }
        }
        var all: [[String]] { state.withLock { $0 } }
    }

    let log: Log

    static func start(_ script: @escaping Script) async throws -> FakeServer {
        let log = Log()
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(ScriptHandler(script, log))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return FakeServer(channel: channel, log: log)
    }

    /// Every request in the order of arrival.
    var requests: [[String]] { log.all }

    func stop() async throws {
        try await channel.close()
    }
}

private final class ScriptHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let script: FakeServer.Script
    private let log: FakeServer.Log
    private var decoder = RESPDecoder()
    private var unread = ByteBuffer()

    init(_ script: @escaping FakeServer.Script, _ log: FakeServer.Log) {
        self.script = script
        self.log = log
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        unread.writeBuffer(&buffer)
        while let request = try? decoder.next(&unread) {
            guard case .array(let words) = request else { continue }
            let texts = words.map { String(decoding: $0.bytes ?? [], as: UTF8.self) }
            switch script(texts, log.add(texts)) {
            case .reply(let text): context.writeAndFlush(NIOAny(ByteBuffer(string: text)), promise: nil)
            case .ignore: break
            case .close:
                context.close(promise: nil)
                return
            }
        }
    }
}

/// A server of fixed HTTP answers: every request gets `body` under `status`, and the connection closes.
final class FakeHTTPServer: Sendable {
    let endpoint: Endpoint
    private let channel: any Channel

    private init(_ channel: any Channel) {
        self.channel = channel
        endpoint = Endpoint(host: "127.0.0.1", port: channel.localAddress?.port ?? 0)
    }

    /// `answer` is called with the request line's path; nil leaves the request unanswered.
    static func start(_ answer: @escaping @Sendable (String) -> (Int, String)?) async throws -> FakeHTTPServer {
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Handler(answer))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return FakeHTTPServer(channel)
    }

    func stop() async throws { try await channel.close() }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let answer: @Sendable (String) -> (Int, String)?
        private var text = ""

        init(_ answer: @escaping @Sendable (String) -> (Int, String)?) { self.answer = answer }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            text += String(buffer: unwrapInboundIn(data))
            guard text.contains("\r\n\r\n") else { return }
            let path = text.split(separator: " ").dropFirst().first.map(String.init) ?? ""
            text = ""
            guard let (status, body) = answer(path) else { return }
            let head = "HTTP/1.1 \(status) X\r\nContent-Length: \(body.utf8.count)\r\nConnection: close\r\n\r\n"
            context.writeAndFlush(NIOAny(ByteBuffer(string: head + body)), promise: nil)
            context.close(promise: nil)
        }
    }
}

/// An endpoint on which nothing listens: a port that was free a moment ago.
func deadEndpoint() async throws -> Endpoint {
    let server = try await FakeServer.start { _, _ in .close }
    try await server.stop()
    return server.endpoint
}

func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
