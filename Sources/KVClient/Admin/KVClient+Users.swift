import Foundation

/// A user as administrators see it.
public struct UserDescription: Codable, Sendable, Equatable {
    /// What it may do with the keys under a prefix.
    public struct Grant: Codable, Sendable, Equatable {
        /// `r`, `w` or `rw`.
        public let permissions: String
        /// The prefix in base64; empty for all keys.
        public let prefix: String
        /// The prefix as text, where it is text.
        public let utf8: String?
    }

    /// Its name.
    public let name: String
    /// Whether it may do everything.
    public let admin: Bool
    /// Whether it has a password; who has none may have tokens.
    public let hasPassword: Bool
    /// What it may do.
    public let grants: [Grant]
    /// The ids of its tokens.
    public let tokens: [String]
}

/// Whether clients must prove who they are.
public struct AuthenticationStatus: Codable, Sendable, Equatable {
    /// Whether the cluster asks for it.
    public let enabled: Bool
    /// Whether the configuration of the node that answered asks for it.
    public let requiredByConfiguration: Bool
    /// How many users there are.
    public let users: Int
    /// How many of them administer.
    public let administrators: Int
}

/// A token as it is shown once.
public struct IssuedToken: Codable, Sendable, Equatable {
    /// By which it is removed.
    public let id: String
    /// The secret.
    public let token: String
}

// Changes go to the node that leads group 0: the others say so and change nothing, and the next is asked.

extension KVClient {
    /// Everybody who is known to the cluster.
    public func users() async throws(ClientError) -> [UserDescription] {
        struct Body: Decodable, Sendable {
            let users: [UserDescription]
        }
        let body: Body = try await administer("GET", "users")
        return body.users
    }

    /// Makes a user; without a password it needs a token to get in.
    public func addUser(_ name: String, password: String?, isAdministrator: Bool) async throws(ClientError) {
        let query = isAdministrator ? "?admin=true" : ""
        _ = try await change("PUT", "users/\(Self.escaped(name))\(query)", Array((password ?? "").utf8))
    }

    /// Removes a user with its tokens; its connections are served no more.
    public func removeUser(_ name: String) async throws(ClientError) {
        _ = try await change("DELETE", "users/\(Self.escaped(name))")
    }

    /// Changes a password; connections that used the old one are served no more.
    public func setPassword(of name: String, to password: String) async throws(ClientError) {
        _ = try await change("PUT", "users/\(Self.escaped(name))/password", Array(password.utf8))
    }

    /// Makes a user an administrator, or one like others.
    public func setAdministrator(_ name: String, _ isAdministrator: Bool) async throws(ClientError) {
        _ = try await change("PUT", "users/\(Self.escaped(name))/admin?is=\(isAdministrator)")
    }

    /// Lets a user read (`r`), write (`w`) or both (`rw`) the keys that start with a prefix.
    public func grant(_ permissions: String, prefix: [UInt8], to name: String) async throws(ClientError) {
        let query = "permissions=\(Self.escaped(permissions))&prefix=\(HTTPAccess.percentEncoded(prefix))"
        _ = try await change("PUT", "users/\(Self.escaped(name))/grants?\(query)")
    }

    /// Takes what was granted for exactly this prefix.
    public func revoke(prefix: [UInt8], from name: String) async throws(ClientError) {
        _ = try await change("DELETE", "users/\(Self.escaped(name))/grants?prefix=\(HTTPAccess.percentEncoded(prefix))")
    }

    /// Makes a token, which is shown this once.
    public func addToken(for name: String) async throws(ClientError) -> IssuedToken {
        try await administer("POST", "users/\(Self.escaped(name))/tokens")
    }

    /// Makes a token worthless.
    public func removeToken(_ id: String, of name: String) async throws(ClientError) {
        _ = try await change("DELETE", "users/\(Self.escaped(name))/tokens/\(Self.escaped(id))")
    }

    /// Whether clients must prove who they are.
    public func authenticationStatus() async throws(ClientError) -> AuthenticationStatus {
        try await administer("GET", "auth")
    }

    /// Has clients prove who they are from now on, or no longer.
    public func setAuthentication(_ isEnabled: Bool) async throws(ClientError) -> AuthenticationStatus {
        try await administer("PUT", "auth?enabled=\(isEnabled)")
    }

    private static func escaped(_ text: String) -> String { HTTPAccess.percentEncoded(Array(text.utf8)) }

    private func administer<Value: Decodable>(_ method: String, _ path: String) async throws(ClientError) -> Value {
        let answer = try await change(method, path)
        do {
            return try JSONDecoder().decode(Value.self, from: Data(answer.body))
        } catch {
            throw .protocolViolation("the JSON is not as expected: \(error)")
        }
    }

    /// Asks one node after the other until one takes it.
    private func change(
        _ method: String,
        _ path: String,
        _ body: [UInt8]? = nil
    ) async throws(ClientError) -> HTTPAccess.Answer {
        guard !configuration.httpEndpoints.isEmpty else { throw .invalidArgument("no HTTP endpoint was given") }
        let deadline = ContinuousClock.now + configuration.requestTimeout
        var backOff = BackOff(from: .milliseconds(50), to: .milliseconds(500))
        var last: ClientError = .closed
        repeat {
            for endpoint in configuration.httpEndpoints {
                let left = max(.milliseconds(1), deadline - ContinuousClock.now)
                do throws(ClientError) {
                    let answer = try await http.send(method, "/admin/v1/\(path)", body, to: endpoint, within: left)
                    switch answer.status {
                    case 200..<300: return answer
                    // Refused before anything was done: no leader here.
                    case 429, 502, 503: last = .unavailable("\(endpoint): \(HTTPAccess.message(answer))")
                    case 504: throw ClientError.unknownOutcome("\(endpoint): \(HTTPAccess.message(answer))")
                    default: throw ClientError.httpStatus(answer.status, message: HTTPAccess.message(answer))
                    }
                } catch {
                    guard case .cannotConnect = error else {
                        // What was sent and not answered may have been done.
                        if method != "GET", error.mayHaveBeenSent { throw .unknownOutcome("\(error)") }
                        throw error
                    }
                    last = error
                }
            }
            do {
                try await Task.sleep(for: min(backOff.next(), max(.zero, deadline - ContinuousClock.now)))
            } catch {
                throw .closed
            }
        } while ContinuousClock.now < deadline
        throw last
    }
}

extension ClientError {
    fileprivate var mayHaveBeenSent: Bool {
        switch self {
        case .timedOut, .connectionLost: true
        default: false
        }
    }
}
