import Foundation
import NIOCore
import NIOSSL

/// Who a client is.
public enum Credentials: Sendable, Equatable {
    /// A user with its password.
    case password(user: String, password: String)
    /// A token of a user, as `kvctl user token` gave it.
    case token(String)

    /// The command that proves it over the Redis protocol.
    var respWords: [[UInt8]] {
        switch self {
        case .password(let user, let password): [Array("AUTH".utf8), Array(user.utf8), Array(password.utf8)]
        case .token(let token): [Array("AUTH".utf8), Array(token.utf8)]
        }
    }

    /// The field that proves it over HTTP.
    var httpAuthorization: String {
        switch self {
        case .password(let user, let password):
            "Basic " + Data("\(user):\(password)".utf8).base64EncodedString()
        case .token(let token): "Bearer \(token)"
        }
    }
}

/// Whom a client believes: nodes that show a certificate of these authorities under the name or address that was dialled.
public struct ClientTLS: Sendable {
    let configuration: TLSConfiguration
    private let context: NIOSSLContext

    /// Believes the authorities in a PEM file, or the system's where none is given.
    /// - Throws: `.invalidArgument` where the file cannot be used.
    public init(authorityFile: String? = nil) throws(ClientError) {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        do {
            if let authorityFile {
                configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(authorityFile))
            }
            context = try NIOSSLContext(configuration: configuration)
        } catch {
            throw .invalidArgument("the certificates of \(authorityFile ?? "the system") cannot be used: \(error)")
        }
        self.configuration = configuration
    }

    func handler(for host: String) throws -> NIOSSLClientHandler {
        // An address has no place in the server's name; it is compared with the certificate's addresses then.
        let isAddress = (try? SocketAddress(ipAddress: host, port: 0)) != nil
        return try NIOSSLClientHandler(context: context, serverHostname: isAddress ? nil : host)
    }
}
