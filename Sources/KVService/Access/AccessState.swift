/// Who may do what: the users, and whether every client must say who it is.
///
/// A pure state machine beside the controller's, in the same group: the leader of group 0 proposes encoded commands and every
/// replica applies them in log order. A refusal changes nothing and is the same everywhere. Passwords come as slow hashes,
/// tokens as digests: neither the log nor a tablet ever holds a secret.
package struct AccessState: Sendable, Equatable {
    /// Whether clients must prove who they are; a node's configuration may ask for it too.
    package private(set) var isEnabled = false
    /// The users by name.
    package private(set) var users: [String: AccessUser] = [:]
    /// Grows with each change; credential versions are drawn from it, so that they never repeat for a name that was removed.
    package private(set) var revision: UInt64 = 0

    /// No users, and nobody is asked.
    package init() {}

    /// A state with these parts, as a decoder read them.
    init(isEnabled: Bool, users: [String: AccessUser], revision: UInt64) {
        self.isEnabled = isEnabled
        self.users = users
        self.revision = revision
    }

    /// What became of a command.
    package enum Outcome: Sendable, Equatable {
        case applied
        /// The state was already so.
        case unchanged
        /// Nothing changed; why.
        case refused(ServiceError)
    }

    /// Applies one command.
    ///
    /// The same on every replica.
    package mutating func apply(_ command: AccessCommand) -> Outcome {
        var next = self
        next.revision += 1
        do throws(ServiceError) {
            try next.take(command)
        } catch {
            return .refused(error)
        }
        if next.users == users, next.isEnabled == isEnabled { return .unchanged }
        self = next
        return .applied
    }

    /// Whether there is an administrator that can prove itself.
    package var hasAdministrator: Bool {
        users.values.contains { $0.isAdministrator && !$0.passwordHash.isEmpty }
    }

    private mutating func take(_ command: AccessCommand) throws(ServiceError) {
        let revision = revision
        switch command {
        case .addUser(let name, let isAdministrator, let hash, let grants):
            if let fault = AccessLimits.fault(ofName: name) { throw ServiceError(.badRequest, fault) }
            guard users[name] == nil else { throw ServiceError(.accessConflict, "there is a user '\(name)' already") }
            guard users.count < AccessLimits.usersMax else {
                throw ServiceError(.accessConflict, "there are \(users.count) users, as many as there may be")
            }
            var user = AccessUser(
                isAdministrator: isAdministrator,
                passwordHash: hash,
                credentialVersion: revision
            )
            try user.grant(grants)
            users[name] = user
        case .setPassword(let name, let hash):
            try change(name) { (user) throws(ServiceError) in
                user.passwordHash = hash
                user.credentialVersion = revision
            }
        case .setAdministrator(let name, let isAdministrator):
            try change(name) { (user) throws(ServiceError) in user.isAdministrator = isAdministrator }
        case .grant(let name, let grants):
            try change(name) { (user) throws(ServiceError) in try user.grant(grants) }
        case .revoke(let name, let prefixes):
            try change(name) { (user) throws(ServiceError) in user.grants.removeAll { prefixes.contains($0.prefix) } }
        case .removeUser(let name):
            guard users.removeValue(forKey: name) != nil else { throw Self.unknown(name) }
        case .addToken(let name, let id, let digest):
            let isTaken = users.values.contains { $0.tokens[id] != nil }
            try change(name) { (user) throws(ServiceError) in
                guard !isTaken, user.tokens.count < AccessLimits.tokensMax else {
                    throw ServiceError(.accessConflict, "'\(name)' has \(user.tokens.count) tokens; remove one first")
                }
                user.tokens[id] = digest
            }
        case .removeToken(let name, let id):
            try change(name) { (user) throws(ServiceError) in
                guard user.tokens.removeValue(forKey: id) != nil else {
                    throw ServiceError(.accessNotFound, "'\(name)' has no such token")
                }
                user.credentialVersion = revision
            }
        case .enable(let isOn): isEnabled = isOn
        case .bootstrap(let name, let hash, let isRecovery):
            if let fault = AccessLimits.fault(ofName: name) { throw ServiceError(.badRequest, fault) }
            guard isRecovery || !hasAdministrator else { return }
            var user = users[name] ?? AccessUser(isAdministrator: true, passwordHash: hash)
            user.isAdministrator = true
            user.passwordHash = hash
            user.credentialVersion = revision
            users[name] = user
        }
        guard hasAdministrator || !isEnabled else {
            throw ServiceError(
                .accessConflict,
                "nobody could administer the cluster any more: an administrator with a password must remain"
                    + " while authentication is on"
            )
        }
    }

    private mutating func change(
        _ name: String,
        _ body: (inout AccessUser) throws(ServiceError) -> Void
    ) throws(ServiceError) {
        guard var user = users[name] else { throw Self.unknown(name) }
        try body(&user)
        users[name] = user
    }

    private static func unknown(_ name: String) -> ServiceError {
        ServiceError(.accessNotFound, "there is no user '\(name)'")
    }
}

extension AccessUser {
    /// Adds grants; one for a prefix that has one takes its place.
    fileprivate mutating func grant(_ added: [AccessGrant]) throws(ServiceError) {
        for grant in added {
            guard grant.prefix.count <= AccessLimits.prefixBytesMax, !grant.permissions.isEmpty else {
                throw ServiceError(.badRequest, "a prefix has at most \(AccessLimits.prefixBytesMax) bytes")
            }
            grants.removeAll { $0.prefix == grant.prefix }
            grants.append(grant)
        }
        guard grants.count <= AccessLimits.grantsMax else {
            throw ServiceError(.accessConflict, "a user may be granted \(AccessLimits.grantsMax) prefixes at most")
        }
        grants.sort { $0.prefix.lexicographicallyPrecedes($1.prefix) }
    }
}

/// A change of users.
package enum AccessCommand: Sendable, Equatable {
    case addUser(String, isAdministrator: Bool, passwordHash: String, grants: [AccessGrant])
    case setPassword(String, hash: String)
    case setAdministrator(String, Bool)
    /// Grants for prefixes that have one already take its place.
    case grant(String, [AccessGrant])
    /// Takes the grants for exactly these prefixes.
    case revoke(String, prefixes: [[UInt8]])
    case removeUser(String)
    case addToken(String, id: UInt64, digest: [UInt8])
    case removeToken(String, id: UInt64)
    /// Whether clients must prove who they are.
    case enable(Bool)
    /// Makes an administrator where there is none, or in a recovery gives it this password in any case.
    case bootstrap(String, hash: String, isRecovery: Bool)

    /// What it does and to whom, without secrets, for the audit log.
    package var summary: (action: String, subject: String) {
        switch self {
        case .addUser(let name, _, _, _): ("user add", name)
        case .setPassword(let name, _): ("user passwd", name)
        case .setAdministrator(let name, let isOn): (isOn ? "user promote" : "user demote", name)
        case .grant(let name, _): ("user grant", name)
        case .revoke(let name, _): ("user revoke", name)
        case .removeUser(let name): ("user remove", name)
        case .addToken(let name, _, _): ("user token add", name)
        case .removeToken(let name, _): ("user token remove", name)
        case .enable(let isOn): (isOn ? "auth enable" : "auth disable", "")
        case .bootstrap(let name, _, let isRecovery): (isRecovery ? "recover" : "bootstrap", name)
        }
    }
}
