import HTTPTypes
import Hummingbird
import KVBase
import KVService

// What administrators do with users; see docs/operations/security.md.
//
//   GET    /admin/v1/auth                                 whether clients must say who they are
//   PUT    /admin/v1/auth?enabled=true|false
//   GET    /admin/v1/users                                names, rights and token ids, no secrets
//   PUT    /admin/v1/users/{name}[?admin=true]            a new one; the body is its password, or empty for none
//   DELETE /admin/v1/users/{name}
//   PUT    /admin/v1/users/{name}/password                the body is the password; a user may change its own
//   PUT    /admin/v1/users/{name}/admin?is=true|false
//   PUT    /admin/v1/users/{name}/grants?permissions=rw&prefix=…
//   DELETE /admin/v1/users/{name}/grants?prefix=…
//   POST   /admin/v1/users/{name}/tokens                  a new one, shown this once
//   DELETE /admin/v1/users/{name}/tokens/{id}

extension HTTPEdge {
    /// Answers where the path is one of these; nil where it is not.
    func userRoute(
        _ request: Request,
        _ context: HTTPContext,
        _ target: Target,
        _ endpoint: inout Endpoint
    ) async throws(HTTPFailure) -> Response? {
        let path = Endpoint.users.rawValue
        let isOurs =
            target.path == path || target.path.hasPrefix(path + "/")
            || target.path == Endpoint.authentication.rawValue
        guard isOurs else { return nil }
        let parts = target.path.split(separator: "/", omittingEmptySubsequences: false).dropFirst(3).map(String.init)
        guard let users, let authenticator else {
            throw HTTPFailure(.notFound, "not_found", "this server has no users")
        }
        switch (parts.first, parts.count) {
        case ("auth", 1):
            endpoint = .authentication
            return try await authentication(request.method, target, users, authenticator.control)
        case ("users", 1):
            endpoint = .users
            guard request.method == .get else { throw notAllowed("GET") }
            try target.check([])
            return json(.ok, authenticator.control.current.json)
        case ("users", 2...4):
            endpoint = .user
            guard let name = percentDecoded(parts[1].utf8) else {
                throw .badRequest("a bad percent escape in the name")
            }
            let change = UserChange(
                edge: self,
                request: request,
                context: context,
                target: target,
                name: String(decoding: name, as: UTF8.self),
                users: users,
                authenticator: authenticator
            )
            return try await change.answer(Array(parts.dropFirst(2)))
        default: return nil
        }
    }

    private func authentication(
        _ method: HTTPRequest.Method,
        _ target: Target,
        _ users: any AccessAdministration,
        _ control: AccessControl
    ) async throws(HTTPFailure) -> Response {
        switch method {
        case .get: try target.check([])
        case .put:
            try target.check(["enabled"])
            let isOn = try target.flag("enabled")
            try await UserChange.apply(.enable(isOn), users)
        default: throw notAllowed("GET, PUT")
        }
        let state = control.current
        var text = JSONText()
        text.object {
            $0.field("enabled", state.isEnabled)
            $0.field("requiredByConfiguration", control.isRequiredByConfiguration)
            $0.field("users", state.users.count)
            $0.field("administrators", state.users.values.count { $0.isAdministrator })
        }
        return json(.ok, text.text)
    }
}

/// One request about one user.
private struct UserChange {
    let edge: HTTPEdge
    let request: Request
    let context: HTTPContext
    let target: Target
    let name: String
    let users: any AccessAdministration
    let authenticator: Authenticator

    /// Has a change logged; what the service refuses becomes the answer.
    static func apply(_ command: AccessCommand, _ users: any AccessAdministration) async throws(HTTPFailure) {
        do throws(ServiceError) {
            try await users.change(command)
        } catch {
            throw HTTPFailure(error)
        }
    }

    func answer(_ rest: [String]) async throws(HTTPFailure) -> Response {
        switch (rest.first, rest.count, request.method) {
        case (nil, 0, .put): return try await add()
        case (nil, 0, .delete):
            try target.check([])
            return try await done(.removeUser(name))
        case ("password", 1, .put):
            try target.check([])
            guard let hash = try await passwordHash() else { throw .badRequest("the password is empty") }
            return try await done(.setPassword(name, hash: hash))
        case ("admin", 1, .put):
            try target.check(["is"])
            return try await done(.setAdministrator(name, try target.flag("is")))
        case ("grants", 1, .put):
            try target.check(["permissions", "prefix"])
            guard let permissions = Permissions(target.text("permissions") ?? "") else {
                throw .badRequest("'permissions' is one of r, w, rw")
            }
            guard let prefix = target.bytes("prefix") else {
                throw .badRequest("'prefix' is missing; empty is all keys")
            }
            return try await done(.grant(name, [AccessGrant(permissions, prefix: prefix)]))
        case ("grants", 1, .delete):
            try target.check(["prefix"])
            guard let prefix = target.bytes("prefix") else { throw .badRequest("'prefix' is missing") }
            return try await done(.revoke(name, prefixes: [prefix]))
        case ("tokens", 1, .post):
            try target.check([])
            return try await addToken()
        case ("tokens", 2, .delete):
            try target.check([])
            guard let id = UInt64(rest[1], radix: 16) else { throw .badRequest("'\(rest[1])' is no token's id") }
            return try await done(.removeToken(name, id: id))
        default: throw edge.notAllowed("PUT, DELETE; see docs/operations/security.md")
        }
    }

    private func add() async throws(HTTPFailure) -> Response {
        try target.check(["admin"])
        let isAdministrator = try target.flag("admin")
        if let fault = AccessLimits.fault(ofName: name) { throw .badRequest(fault) }
        let hash = try await passwordHash() ?? ""
        try await Self.apply(
            .addUser(name, isAdministrator: isAdministrator, passwordHash: hash, grants: []),
            users
        )
        return Response(status: .created)
    }

    private func addToken() async throws(HTTPFailure) -> Response {
        var random = SystemRandomNumberGenerator()
        let token = AccessToken(
            id: random.next(),
            secret: (0..<32).map { _ in UInt8.random(in: 0...255, using: &random) }
        )
        try await Self.apply(.addToken(name, id: token.id, digest: SHA256.digest(token.secret)), users)
        var text = JSONText()
        text.object {
            $0.field("id", hexadecimal(token.id))
            $0.field("token", token.text)
        }
        return edge.json(.created, text.text)
    }

    private func done(_ command: AccessCommand) async throws(HTTPFailure) -> Response {
        try await Self.apply(command, users)
        return Response(status: .noContent)
    }

    /// The slow hash of the body; nil for an empty one.
    private func passwordHash() async throws(HTTPFailure) -> String? {
        let password = try await readBody(
            request,
            context,
            bytesMax: AccessLimits.passwordBytesMax,
            timeout: edge.settings.bodyTimeout
        )
        guard !password.isEmpty else { return nil }
        do throws(ServiceError) {
            return try await authenticator.hash(password)
        } catch {
            throw HTTPFailure(error)
        }
    }
}

extension AccessState {
    /// The users as administrators see them: no hash, no secret.
    fileprivate var json: String {
        var json = JSONText()
        json.object {
            $0.field("enabled", isEnabled)
            $0.key("users")
            $0.array(users.sorted { $0.key < $1.key }) { json, entry in
                json.object {
                    $0.field("name", entry.key)
                    $0.field("admin", entry.value.isAdministrator)
                    $0.field("hasPassword", !entry.value.passwordHash.isEmpty)
                    $0.key("grants")
                    $0.array(entry.value.grants) { json, grant in
                        json.object {
                            $0.field("permissions", grant.permissions.text)
                            $0.field("prefix", Base64.encode(grant.prefix))
                            if let text = String(validating: grant.prefix, as: UTF8.self) { $0.field("utf8", text) }
                        }
                    }
                    $0.key("tokens")
                    $0.array(entry.value.tokens.keys.sorted()) { $0.string(hexadecimal($1)) }
                }
            }
        }
        return json.text
    }
}
