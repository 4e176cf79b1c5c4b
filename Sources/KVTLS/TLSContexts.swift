package import Logging
package import NIOCore
import NIOSSL
import Synchronization

/// The node's certificates in use: puts TLS on connections, and takes over renewed files without a restart.
///
/// 1. The files are read whole when this is made, and again where `reload` finds that one of them changed. Contexts are made of
///    what was read; one that cannot be made (a half-written file, a key of another certificate) changes nothing and is logged.
/// 2. A connection uses the context that was newest when it began.
/// 3. Clients are served by the certificate alone. Peers must prove themselves in both directions by certificates of the
///    authority that the node is given for this purpose.
///
/// TLS 1.2 and 1.3; renegotiation does not exist (BoringSSL refuses it).
///
/// Any thread.
package final class TLSContexts: Sendable {
    private struct Contexts {
        var clients: NIOSSLContext
        /// For those that speak HTTP/2, which they agree on in the handshake.
        var http2Clients: NIOSSLContext
        var peersAccepting: NIOSSLContext?
        var peersDialing: NIOSSLContext?
    }

    private struct State {
        var contexts: Contexts
        var read: [[UInt8]]
    }

    private let files: TLSFiles
    private let state: Mutex<State>
    private let logger: Logger
    /// How long a handshake may take.
    private let handshakeTimeout: TimeAmount

    /// Reads the files.
    /// - Throws: `TLSError` where one of them cannot be used.
    package init(_ files: TLSFiles, handshakeTimeout: TimeAmount = .seconds(10), logger: Logger) throws(TLSError) {
        self.files = files
        self.logger = logger
        self.handshakeTimeout = handshakeTimeout
        let read = try Self.read(files)
        state = Mutex(State(contexts: try Self.contexts(files, read), read: read))
    }

    /// Takes over files that changed; whether there were any.
    ///
    /// Blocks while it reads.
    @discardableResult
    package func reload() -> Bool {
        do throws(TLSError) {
            let read = try Self.read(files)
            guard state.withLock({ $0.read != read }) else { return false }
            let contexts = try Self.contexts(files, read)
            state.withLock { $0 = State(contexts: contexts, read: read) }
            logger.notice("certificates taken over", metadata: ["path": "\(files.certificate)"])
            return true
        } catch {
            logger.error("certificates not taken over; the old ones stay", metadata: ["error": "\(error)"])
            return false
        }
    }

    /// Has clients of a listener speak TLS.
    ///
    /// On the channel's event loop, before any other handler is added.
    package func secureClients(_ channel: any Channel) throws {
        let context = state.withLock { $0.contexts.clients }
        try add(NIOSSLServerHandler(context: context), to: channel)
    }

    /// Has clients of a listener speak TLS, and HTTP/2 inside.
    ///
    /// On the channel's event loop, before any other handler is added.
    package func secureHTTP2Clients(_ channel: any Channel) throws {
        let context = state.withLock { $0.contexts.http2Clients }
        try add(NIOSSLServerHandler(context: context), to: channel)
    }

    /// Has a node that connects prove itself.
    ///
    /// On the channel's event loop, before any other handler is added.
    package func secureAcceptedPeer(_ channel: any Channel) throws {
        guard let context = state.withLock({ $0.contexts.peersAccepting }) else {
            throw TLSError("peers need tls.ca")
        }
        try add(NIOSSLServerHandler(context: context), to: channel)
    }

    /// Proves this node to one that it dials, and has that one prove itself under the name or address that was dialled.
    ///
    /// On the channel's event loop, before any other handler is added.
    package func secureDialedPeer(_ channel: any Channel, _ host: String) throws {
        guard let context = state.withLock({ $0.contexts.peersDialing }) else {
            throw TLSError("peers need tls.ca")
        }
        // An address has no place in the server's name; it is compared with the certificate's addresses then.
        let isAddress = (try? SocketAddress(ipAddress: host, port: 0)) != nil
        try add(NIOSSLClientHandler(context: context, serverHostname: isAddress ? nil : host), to: channel)
    }

    /// The numbers of the nodes for which the other end's certificate was issued: those of its DNS names `kv-node-NUMBER`.
    ///
    /// On the channel's event loop, after the handshake; nil where the other end has shown no certificate.
    package func certifiedNodes(_ channel: any Channel) -> [UInt64]? {
        // Without TLS on the channel there is none.
        guard let certificate = try? channel.pipeline.syncOperations.nioSSL_peerCertificate() else { return nil }
        return certificate._subjectAlternativeNames().compactMap { name in
            guard name.nameType == .dnsName else { return nil }
            let text = name.contents.withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) }
            guard text.hasPrefix(Self.nodeNamePrefix) else { return nil }
            return UInt64(text.dropFirst(Self.nodeNamePrefix.count))
        }
    }

    /// How a certificate's DNS name for a node begins.
    private static let nodeNamePrefix = "kv-node-"

    private func add(_ handler: some ChannelHandler, to channel: any Channel) throws {
        let operations = channel.pipeline.syncOperations
        try operations.addHandler(handler)
        try operations.addHandler(HandshakeWatch(handshakeTimeout))
    }

    // MARK: Files

    private static func read(_ files: TLSFiles) throws(TLSError) -> [[UInt8]] {
        var contents: [[UInt8]] = []
        for path in [files.certificate, files.key, files.authority].compactMap({ $0 }) {
            contents.append(try readFile(path))
        }
        return contents
    }

    private static func contexts(_ files: TLSFiles, _ read: [[UInt8]]) throws(TLSError) -> Contexts {
        let (chain, key): ([NIOSSLCertificateSource], NIOSSLPrivateKey)
        do {
            chain = try NIOSSLCertificate.fromPEMBytes(read[0]).map { .certificate($0) }
        } catch {
            throw TLSError("\(files.certificate) holds no certificate: \(error)")
        }
        guard !chain.isEmpty else { throw TLSError("\(files.certificate) holds no certificate") }
        do {
            key = try NIOSSLPrivateKey(bytes: read[1], format: .pem)
        } catch {
            throw TLSError("\(files.key) holds no private key: \(error)")
        }
        let clients = TLSConfiguration.makeServerConfiguration(certificateChain: chain, privateKey: .privateKey(key))
        var http2Clients = clients
        http2Clients.applicationProtocols = ["h2"]
        var contexts = Contexts(
            clients: try context(clients, files),
            http2Clients: try context(http2Clients, files)
        )
        guard let path = files.authority, read.count > 2 else { return contexts }
        let roots: [NIOSSLCertificate]
        do {
            roots = try NIOSSLCertificate.fromPEMBytes(read[2])
        } catch {
            throw TLSError("\(path) holds no certificate: \(error)")
        }
        guard !roots.isEmpty else { throw TLSError("\(path) holds no certificate") }
        var accepting = clients
        accepting.trustRoots = .certificates(roots)
        accepting.certificateVerification = .noHostnameVerification
        contexts.peersAccepting = try context(accepting, files)
        var dialing = TLSConfiguration.makeClientConfiguration()
        dialing.certificateChain = chain
        dialing.privateKey = .privateKey(key)
        dialing.trustRoots = .certificates(roots)
        dialing.certificateVerification = .fullVerification
        dialing.minimumTLSVersion = .tlsv12
        contexts.peersDialing = try context(dialing, files)
        return contexts
    }

    private static func context(_ given: TLSConfiguration, _ files: TLSFiles) throws(TLSError) -> NIOSSLContext {
        var configuration = given
        configuration.minimumTLSVersion = .tlsv12
        do {
            return try NIOSSLContext(configuration: configuration)
        } catch {
            throw TLSError("\(files.certificate) and \(files.key) do not go together: \(error)")
        }
    }
}
