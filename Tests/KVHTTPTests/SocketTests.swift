import KVBase
import KVFakeService
import KVService
import KVTelemetry
import Logging
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import KVHTTP

@Suite struct SocketTests {
    /// Sends bytes to a server on a socket, ends the sending side if asked to, and returns all that came until the server closed.
    private func exchange(
        _ text: String,
        ends: Bool = false,
        limits: RequestLimits = RequestLimits(),
        settings: HTTPSettings = HTTPSettings()
    ) async throws -> (text: String, service: FakeService) {
        let service = FakeService(limits: limits)
        let (addresses, listening) = AsyncStream<SocketAddress>.makeStream()
        let server = HTTPServer(
            service: service,
            settings: settings,
            metrics: MetricRegistry(),
            on: MultiThreadedEventLoopGroup.singleton,
            host: "127.0.0.1",
            port: 0,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            onListening: { listening.yield($0) }
        )
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            defer { group.cancelAll() }
            var iterator = addresses.makeAsyncIterator()
            let address = try #require(await iterator.next())
            let collector = Collector(sending: text)
            let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .channelOption(.allowRemoteHalfClosure, value: true)
                .channelInitializer { channel in channel.pipeline.addHandler(collector) }
                .connect(to: address).get()
            // The server may have closed already; then there is nothing left to end.
            if ends { try? await channel.close(mode: .output) }
            return (try await collector.whole(channel), service)
        }
    }

    @Test func `a body of the length that was said is taken`() async throws {
        let (answer, service) = try await exchange(
            "PUT /v1/kv/a%2Fb HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"
        )
        #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
        #expect(service.value("a/b") == Array("abc".utf8))
    }

    @Test func `a chunked body is taken`() async throws {
        let (answer, service) = try await exchange(
            "PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                + "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
        )
        #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
        #expect(service.value("a") == Array("abc".utf8))
    }

    @Test(arguments: [
        "PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabc",
        "PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        "PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
        "PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\nabc",
        "PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        "PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ])
    func `a body that is not what its head says is never stored`(request: String) async throws {
        let (answer, service) = try await exchange(request, ends: true)
        #expect(answer.isEmpty || answer.hasPrefix("HTTP/1.1 400 "), "\(answer)")
        #expect(service.counts.requests == 0)
    }

    @Test(arguments: [
        ("GET /\(String(repeating: "a", count: 90_000)) HTTP/1.1\r\nHost: x\r\n\r\n", "over 80 KiB"),
        ("GET / HTTP/1.1\r\nHost: x\r\na: \(String(repeating: "a", count: 90_000))\r\n\r\n", "over 80 KiB"),
        ("PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n", "Content-Length is no number"),
        (
            "PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
            "Content-Length is said twice"
        ),
        ("FOO / HTTP/1.1\r\nHost: x\r\n\r\n", "the method is none"),
        ("GET /v1/kv/\u{fc} HTTP/1.1\r\nHost: x\r\n\r\n", "must be percent-encoded"),
        ("GET /v1/kv/\u{1} HTTP/1.1\r\nHost: x\r\n\r\n", "must be percent-encoded"),
        ("nonsense\r\n\r\n", "the method is none"),
    ])
    func `what is no HTTP is refused with a reason, in the shape of every error`(
        request: String,
        reason: String
    ) async throws {
        let (answer, service) = try await exchange(request, ends: true)
        #expect(answer.hasPrefix("HTTP/1.1 400 Bad Request\r\n"), "\(answer)")
        let parts = answer.split(separator: "\r\n\r\n", maxSplits: 1)
        let body = try #require(parts.count == 2 ? parts[1] : nil, "\(answer)")
        #expect(body.hasPrefix(#"{"code":"bad_request","message":"#) && body.contains(reason), "\(body)")
        #expect(answer.lowercased().contains("content-length: \(body.utf8.count)\r\n"))
        #expect(answer.lowercased().contains("connection: close\r\n"))
        #expect(service.counts.requests == 0)
    }

    @Test func `a body that is said to be too long is refused before it comes`() async throws {
        let (answer, service) = try await exchange(
            "PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\nab",
            limits: RequestLimits(keyBytesMax: 10, valueBytesMax: 1_000)
        )
        #expect(answer.hasPrefix("HTTP/1.1 413 "))
        #expect(answer.lowercased().contains("connection: close\r\n"))
        #expect(service.counts.requests == 0)
    }

    @Test func `a client that waits for leave to send its body gets it, unless the body is too long`() async throws {
        let limits = RequestLimits(keyBytesMax: 10, valueBytesMax: 4)
        for (length, first) in [(3, "HTTP/1.1 100 Continue\r\n"), (5, "HTTP/1.1 413 ")] {
            let (answer, _) = try await exchange(
                "PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nConnection: close\r\n"
                    + "Content-Length: \(length)\r\n\r\nabc",
                ends: true,
                limits: limits
            )
            #expect(answer.hasPrefix(first), "\(answer)")
        }
    }

    @Test func `a body that takes too long is given up`() async throws {
        var settings = HTTPSettings()
        settings.bodyTimeout = .milliseconds(20)
        let (answer, service) = try await exchange(
            "PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab",
            settings: settings
        )
        #expect(answer.isEmpty || answer.hasPrefix("HTTP/1.1 408 "), "\(answer)")
        #expect(service.counts.requests == 0)
    }

    @Test func `an idle connection is closed`() async throws {
        var settings = HTTPSettings()
        settings.idleTimeout = .milliseconds(500)
        let (answer, _) = try await exchange("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n", settings: settings)
        #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
    }

    @Test func `requests follow each other on one connection`() async throws {
        let (answer, _) = try await exchange(
            "PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1GET /v1/kv/a HTTP/1.1\r\nHost: x\r\n\r\n"
                + "HEAD /v1/kv/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        #expect(answer.components(of: "HTTP/1.1 200 OK\r\n") == 3)
        #expect(answer.lowercased().components(of: "content-length: 1\r\n") == 2)
    }
}

extension String {
    fileprivate func components(of part: String) -> Int { ranges(of: part).count }
}

/// Sends as soon as there is a connection, and collects what a client gets until the server closes.
private final class Collector: ChannelInboundHandler, Sendable {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let request: String
    private let text = Mutex("")

    init(sending request: String) { self.request = request }

    func channelActive(context: ChannelHandlerContext) {
        context.writeAndFlush(Self.wrapOutboundOut(ByteBuffer(string: request)), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let part = String(buffer: Self.unwrapInboundIn(data))
        text.withLock { $0 += part }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event as? ChannelEvent == .inputClosed { context.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func whole(_ channel: any Channel) async throws -> String {
        try await channel.closeFuture.get()
        return text.withLock { $0 }
    }
}
