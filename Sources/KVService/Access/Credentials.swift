import KVBase

/// What an `authorization` field of HTTP or gRPC says.
package enum Credentials: Sendable, Equatable {
    /// `Bearer …`: a token.
    case token(String)
    /// `Basic …`: a name and a password.
    case password(name: String, [UInt8])

    /// Reads the field.
    /// - Throws: `unauthenticated` where it is neither.
    package init(authorization field: String) throws(ServiceError) {
        let parts = field.split(separator: " ", maxSplits: 1)
        switch parts.first?.lowercased() {
        case "bearer" where parts.count == 2: self = .token(String(parts[1]))
        case "basic" where parts.count == 2:
            guard let (name, password) = Self.basic(parts[1]) else {
                throw ServiceError(.unauthenticated, "the Basic credentials are none")
            }
            self = .password(name: name, password)
        default: throw ServiceError(.unauthenticated, "expected Basic or Bearer credentials")
        }
    }

    /// RFC 7617: base64 of the name, a colon and the password.
    package static func basic(_ text: some StringProtocol) -> (name: String, password: [UInt8])? {
        var urlSafe = String(text.map { $0 == "+" ? "-" : $0 == "/" ? "_" : $0 })
        while urlSafe.last == "=" { urlSafe.removeLast() }
        guard let bytes = Base64.decodeURLSafe(urlSafe), let colon = bytes.firstIndex(of: UInt8(ascii: ":")) else {
            return nil
        }
        return (String(decoding: bytes[..<colon], as: UTF8.self), [UInt8](bytes[(colon + 1)...]))
    }
}

extension Authenticator {
    /// Proves who sent these credentials.
    /// - Throws: `unauthenticated`, or `overloaded`.
    package func prove(_ credentials: Credentials, from address: String) async throws(ServiceError) -> Principal {
        switch credentials {
        case .token(let token): try prove(token: token, from: address).get()
        case .password(let name, let password): try await prove(name, password: password, from: address)
        }
    }
}
