import KVBase
import KVConfiguration
import KVNode
import KVPosix
import KVService
import KVTLS
import Logging
import NIOCore
import ServiceLifecycle

/// What keeps others out: the certificates in use, and who finds out whether clients are who they say.
struct Security: Service {
    /// The certificates; nil where no listener uses TLS.
    let contexts: TLSContexts?
    let authenticator: Authenticator
    private let configuration: NodeConfiguration
    private let node: Node
    private let pool: ThreadWorkerPool
    private let log: Logger

    /// Reads the certificates; nil where no listener uses TLS.
    /// - Throws: `TLSError` where a file cannot be used.
    static func contexts(_ configuration: NodeConfiguration, _ log: Logger) throws -> TLSContexts? {
        let tls = configuration.tls
        guard tls.isOn, let certificate = tls.certificate, let key = tls.key else { return nil }
        return try TLSContexts(TLSFiles(certificate: certificate, key: key, authority: tls.authority), logger: log)
    }

    /// - Throws: `FileError` or `StartError` where the file of an administrator cannot be used.
    init(
        _ configuration: NodeConfiguration,
        _ contexts: TLSContexts?,
        _ node: Node,
        _ clock: PosixClock,
        _ log: Logger
    ) throws {
        self.configuration = configuration
        self.node = node
        self.log = log
        // One at a time: each takes 16 MiB and a processor.
        let pool = ThreadWorkerPool(name: "auth", count: 1, niceness: 5)
        self.pool = pool
        var random = SystemRandomNumberGenerator()
        authenticator = Authenticator(
            node.access,
            hasher: CryptPasswordHasher(),
            key: (0..<32).map { _ in UInt8.random(in: 0...255, using: &random) },
            now: { clock.monotonicNanoseconds },
            pool: { pool.submit($0) }
        )
        self.contexts = contexts
        for path in [configuration.authentication.bootstrapFile, configuration.authentication.recoveryFile] {
            if let path { _ = try Self.credentials(path) }
        }
    }

    /// Has the administrators of the files made, once there is a leader.
    func start() {
        let settings = configuration.authentication
        if let path = settings.recoveryFile {
            make(path, isRecovery: true)
            log.warning("auth.recovery_file is set: remove it once you are in", metadata: ["path": "\(path)"])
        } else if let path = settings.bootstrapFile {
            make(path, isRecovery: false)
        }
    }

    private func make(_ path: String, isRecovery: Bool) {
        do {
            let (name, password) = try Self.credentials(path)
            authenticator.hash(password) { [node, log] result in
                switch result {
                case .success(let hash): node.makeAdministrator(name, hash: hash, isRecovery: isRecovery)
                case .failure(let error): log.error("no administrator", metadata: ["error": "\(error.message)"])
                }
            }
        } catch {
            log.error("no administrator", metadata: ["error": "\(error)"])
        }
    }

    /// The name and the password in a file: `name:password` on its first line.
    private static func credentials(_ path: String) throws -> (name: String, password: [UInt8]) {
        let line = try PosixFileSystem().readAll(path).prefix { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") }
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else {
            throw StartError("\(path): expected the line name:password")
        }
        let name = String(decoding: line[..<colon], as: UTF8.self)
        let password = [UInt8](line[(colon + 1)...])
        if let fault = AccessLimits.fault(ofName: name) ?? AccessLimits.fault(ofPassword: password) {
            throw StartError("\(path): \(fault)")
        }
        return (name, password)
    }

    /// Looks at the certificates' files now and then until the node stops.
    func run() async throws {
        guard let contexts else {
            try? await gracefulShutdown()
            return
        }
        let interval = configuration.tls.reloadInterval
        let pool = pool
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                // Ends early only with the node.
                try? await Task.sleep(for: interval)
                pool.submit { contexts.reload() }
            }
        }
    }
}
