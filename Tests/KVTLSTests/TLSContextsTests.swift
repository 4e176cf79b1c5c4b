import Foundation
import KVTLS
import Logging
import NIOCore
import NIOPosix
import NIOSSL
import Testing

private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// Sends back what comes.
private final class Echo: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer
    func channelRead(context: ChannelHandlerContext, data: NIOAny) { context.writeAndFlush(data, promise: nil) }
}

/// Says `hello` and keeps what comes back, or why nothing does.
private final class Caller: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer
    private let promise: EventLoopPromise<String>

    init(_ promise: EventLoopPromise<String>) { self.promise = promise }

    func channelActive(context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: "hello")), promise: nil)
    }
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        promise.succeed(String(buffer: unwrapInboundIn(data)))
        context.close(promise: nil)
    }
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        promise.fail(error)
        context.close(promise: nil)
    }
    func channelInactive(context: ChannelHandlerContext) { promise.fail(ChannelError.eof) }
}

@Suite(.enabled(if: Certificates.canBeMade, "openssl is not installed"), .timeLimit(.minutes(1)))
struct TLSContextsTests {
    private let group = MultiThreadedEventLoopGroup.singleton

    private func listen(
        at host: String = "127.0.0.1",
        _ secure: @escaping @Sendable (any Channel) throws -> Void
    ) async throws -> any Channel {
        try await ServerBootstrap(group: group)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try secure(channel)
                    try channel.pipeline.syncOperations.addHandler(Echo())
                }
            }
            .bind(host: host, port: 0).get()
    }

    private func call(
        _ server: any Channel,
        _ secure: @escaping @Sendable (any Channel) throws -> Void
    ) async throws -> String {
        let loop = group.next()
        let promise = loop.makePromise(of: String.self)
        _ = try await ClientBootstrap(group: loop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try secure(channel)
                    try channel.pipeline.syncOperations.addHandler(Caller(promise))
                }
            }
            .connect(host: server.localAddress?.ipAddress ?? "", port: server.localAddress?.port ?? 0).get()
        return try await promise.futureResult.get()
    }

    /// A client that believes the authority, at a TLS version.
    private func client(
        _ certificates: Certificates,
        _ version: TLSVersion = .tlsv13
    ) throws -> @Sendable (any Channel) throws -> Void {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.trustRoots = .file(certificates.path("ca.pem"))
        configuration.minimumTLSVersion = version
        configuration.maximumTLSVersion = version
        let context = try NIOSSLContext(configuration: configuration)
        return { try $0.pipeline.syncOperations.addHandler(NIOSSLClientHandler(context: context, serverHostname: nil)) }
    }

    @Test func `nodes of one authority believe each other`() async throws {
        let certificates = try await Certificates()
        defer { certificates.remove() }
        let one = try TLSContexts(certificates.files("n1"), logger: logger)
        let two = try TLSContexts(certificates.files("n2"), logger: logger)
        let server = try await listen { try one.secureAcceptedPeer($0) }
        #expect(try await call(server) { try two.secureDialedPeer($0, "127.0.0.1") } == "hello")
        #expect(try await call(server) { try two.secureDialedPeer($0, "localhost") } == "hello")
        try await server.close()
    }

    @Test func `a node under another name than was dialled is not believed`() async throws {
        let certificates = try await Certificates()
        defer { certificates.remove() }
        let one = try TLSContexts(certificates.files("n1"), logger: logger)
        // An address of this machine that no certificate names.
        let server = try await listen(at: "127.0.0.2") { try one.secureAcceptedPeer($0) }
        #expect(try await call(server) { try one.secureDialedPeer($0, "localhost") } == "hello")
        for name in ["other.example", "127.0.0.2"] {
            await #expect(throws: (any Error).self) {
                _ = try await call(server) { try one.secureDialedPeer($0, name) }
            }
        }
        try await server.close()
    }

    @Test func `a node of another authority is not believed, in either direction`() async throws {
        let certificates = try await Certificates()
        let others = try await Certificates()
        defer {
            certificates.remove()
            others.remove()
        }
        let one = try TLSContexts(certificates.files("n1"), logger: logger)
        let stranger = try TLSContexts(others.files("n2"), logger: logger)
        // It believes our authority, and shows a certificate of its own.
        var half = others.files("n2")
        half.authority = certificates.path("ca.pem")
        let intruder = try TLSContexts(half, logger: logger)
        let server = try await listen { try one.secureAcceptedPeer($0) }
        for contexts in [stranger, intruder] {
            await #expect(throws: (any Error).self) {
                _ = try await call(server) { try contexts.secureDialedPeer($0, "127.0.0.1") }
            }
        }
        try await server.close()
    }

    @Test func `who shows no certificate, or speaks in the clear, is not let in as a peer`() async throws {
        let certificates = try await Certificates()
        defer { certificates.remove() }
        let one = try TLSContexts(certificates.files("n1"), logger: logger)
        let server = try await listen { try one.secureAcceptedPeer($0) }
        let bare = try client(certificates)
        await #expect(throws: (any Error).self) { _ = try await call(server, bare) }
        // In the clear it hears TLS's complaint at most.
        let heard = try? await call(server) { _ in }
        #expect(heard != "hello")
        try await server.close()
    }

    @Test func `clients are served from TLS 1_2 on`() async throws {
        let certificates = try await Certificates()
        defer { certificates.remove() }
        let one = try TLSContexts(certificates.files("n1"), logger: logger)
        let server = try await listen { try one.secureClients($0) }
        for version in [TLSVersion.tlsv12, .tlsv13] {
            #expect(try await call(server, try client(certificates, version)) == "hello")
        }
        let old = try client(certificates, .tlsv11)
        await #expect(throws: (any Error).self) { _ = try await call(server, old) }
        try await server.close()
    }

    @Test func `a handshake that does not come is ended`() async throws {
        let certificates = try await Certificates()
        defer { certificates.remove() }
        let one = try TLSContexts(certificates.files("n1"), handshakeTimeout: .milliseconds(50), logger: logger)
        let server = try await listen { try one.secureClients($0) }
        let silent = try await ClientBootstrap(group: group)
            .connect(host: "127.0.0.1", port: server.localAddress?.port ?? 0).get()
        // Ends only because the server closes.
        try await silent.closeFuture.get()
        try await server.close()
    }

    @Test func `renewed files are taken over for new connections, broken ones are not`() async throws {
        let certificates = try await Certificates(["n1"])
        let others = try await Certificates(["n1"])
        defer {
            certificates.remove()
            others.remove()
        }
        let contexts = try TLSContexts(certificates.files("n1"), logger: logger)
        let server = try await listen { try contexts.secureClients($0) }
        let before = try client(certificates)
        let after = try client(others)
        #expect(!contexts.reload())
        #expect(try await call(server, before) == "hello")

        try Data("nonsense".utf8).write(to: URL(filePath: certificates.path("n1.pem")))
        #expect(!contexts.reload())
        #expect(try await call(server, before) == "hello")

        // A certificate whose key is not there yet: half of a renewal.
        try Data(contentsOf: URL(filePath: others.path("n1.pem"))).write(to: URL(filePath: certificates.path("n1.pem")))
        #expect(!contexts.reload())
        #expect(try await call(server, before) == "hello")

        try Data(contentsOf: URL(filePath: others.path("n1.key"))).write(to: URL(filePath: certificates.path("n1.key")))
        #expect(contexts.reload())
        #expect(try await call(server, after) == "hello")
        await #expect(throws: (any Error).self) { _ = try await call(server, before) }
        try await server.close()
    }

    @Test func `what cannot be used says which file`() async throws {
        let certificates = try await Certificates(["n1"])
        defer { certificates.remove() }
        for change: (inout TLSFiles) -> Void in [
            { $0.certificate += ".none" }, { $0.key += ".none" }, { $0.authority = "/none" },
            { $0.key = $0.certificate },
            { $0.certificate = $0.key },
        ] {
            var files = certificates.files("n1")
            change(&files)
            #expect(throws: TLSError.self) { _ = try TLSContexts(files, logger: logger) }
        }
    }
}
