import HTTPTypes
import KVHTTP
import KVService
import Synchronization
import Testing

/// Passwords are their own hashes.
private struct PlainHasher: PasswordHashing {
    func hash(_ password: [UInt8]) -> String? { String(decoding: password, as: UTF8.self) }
    func verify(_ password: [UInt8], against hash: String) -> Bool { self.hash(password) == hash }
}

/// Group 0 without a log.
private final class Users: AccessAdministration {
    let control: AccessControl
    private let state = Mutex(AccessState())

    init(_ control: AccessControl) { self.control = control }

    func change(_ command: AccessCommand, completion: @escaping @Sendable (ServiceError?) -> Void) {
        let outcome = state.withLock { $0.apply(command) }
        control.update(state.withLock { $0 })
        if case .refused(let error) = outcome { completion(error) } else { completion(nil) }
    }
}

@Suite struct AccessTests {
    private static func basic(_ text: String) -> HTTPFields {
        let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
        var bits = 0
        var count = 0
        var result = ""
        for byte in text.utf8 {
            bits = bits << 8 | Int(byte)
            count += 8
            while count >= 6 {
                count -= 6
                result.append(digits[bits >> count & 63])
            }
        }
        if count > 0 { result.append(digits[bits << (6 - count) & 63]) }
        while result.count % 4 != 0 { result.append("=") }
        return [.authorization: "Basic \(result)"]
    }

    private static let root = basic("root:rootroot")
    private static let app = basic("app:app:pass?>~")

    private func run(_ body: @escaping @Sendable (HTTPHarness) async throws -> Void) async throws {
        let control = AccessControl()
        let users = Users(control)
        try await users.change(.bootstrap("root", hash: "rootroot", isRecovery: false))
        let grants = [AccessGrant(.all, prefix: Array("app/".utf8)), AccessGrant(.read, prefix: Array("shared/".utf8))]
        try await users.change(.addUser("app", isAdministrator: false, passwordHash: "app:pass?>~", grants: grants))
        try await users.change(.enable(true))
        let authenticator = Authenticator(control, hasher: PlainHasher(), key: [1], now: { 0 }, pool: { $0() })
        try await HTTPHarness.run(authenticator: authenticator, users: users) { http async throws in
            try await body(http)
        }
    }

    @Test func `every route but health asks who one is`() async throws {
        try await run { http async throws in
            for path in [
                "/v1/kv/app/1", "/v1/kv", "/status", "/metrics", "/admin/v1/digest", "/admin/v1/users", "/nothing",
            ] {
                let answer = try await http.send(.get, path)
                #expect(answer.status == 401, "\(path)")
                #expect(answer.headers[.wwwAuthenticate]?.hasPrefix("Basic") == true)
            }
            for path in ["/livez", "/readyz", "/healthz"] { #expect(try await http.send(.get, path).status == 200) }
            let put = try await http.send(.put, "/v1/kv/app%2F1", body: "v")
            #expect(put.status == 401)
        }
    }

    @Test(arguments: ["Basic", "Basic !!!", "Basic cm9vdA==", "Bearer kv1.x", "Digest x", "", "Bearer"])
    func `credentials that are none are 401`(text: String) async throws {
        try await run { http async throws in
            #expect(try await http.send(.get, "/status", [.authorization: text]).status == 401)
        }
    }

    @Test func `a user has its prefixes and no others`() async throws {
        try await run { http async throws in
            #expect(try await http.send(.put, "/v1/kv/app/1", Self.app, body: "v").status == 200)
            #expect(try await http.send(.get, "/v1/kv/app/1", Self.app).body == "v")
            #expect(try await http.send(.put, "/v1/kv/other", Self.app, body: "v").status == 403)
            #expect(try await http.send(.put, "/v1/kv/shared/1", Self.app, body: "v").status == 403)
            #expect(try await http.send(.get, "/v1/kv/shared/1", Self.app).status == 404)
            #expect(try await http.send(.put, "/v1/kv/other", Self.root, body: "secret").status == 200)
            let page = try await http.send(.get, "/v1/kv", Self.app)
            #expect(page.status == 200 && !page.body.contains("b3RoZXI="))
            #expect(try await http.send(.post, "/v1/kv/other/increment", Self.app, body: "").status == 403)
        }
    }

    @Test func `administration is for administrators, but for one's own password`() async throws {
        try await run { http async throws in
            for (method, path) in [
                (HTTPRequest.Method.get, "/admin/v1/users"), (.put, "/admin/v1/auth?enabled=false"),
                (.get, "/admin/v1/digest"),
                (.put, "/admin/v1/users/eve"), (.put, "/admin/v1/users/root/password"), (.get, "/admin/v1/log-level"),
                (.put, "/admin/v1/users/app/grants?permissions=rw&prefix="), (.delete, "/admin/v1/users/root"),
            ] {
                #expect(try await http.send(method, path, Self.app, body: "longenough").status == 403, "\(path)")
            }
            // Another form of the target leads nowhere else.
            for target in [
                "http://x/admin/v1/digest", "https://x/admin/v1/users", "/admin/v1/digest?#/livez", "//admin/v1/digest",
            ] {
                let status = try await http.send(.get, target, Self.app).status
                #expect(status == 403 || status == 404, "\(target)")
                #expect(try await http.send(.get, target).status == 401, "\(target)")
            }
            let own = try await http.send(.put, "/admin/v1/users/app/password", Self.app, body: "brand-new-one")
            #expect(own.status == 204)
            #expect(try await http.send(.get, "/v1/kv/app/1", Self.app).status == 401)
            #expect(try await http.send(.get, "/v1/kv/app/1", Self.basic("app:brand-new-one")).status == 404)
        }
    }

    @Test func `an administrator makes users, rights and tokens, and takes them away`() async throws {
        try await run { http async throws in
            #expect(try await http.send(.put, "/admin/v1/users/eve", Self.root, body: "short").status == 400)
            #expect(try await http.send(.put, "/admin/v1/users/e%20e", Self.root, body: "longenough").status == 400)
            #expect(try await http.send(.put, "/admin/v1/users/eve", Self.root, body: "").status == 201)
            #expect(try await http.send(.put, "/admin/v1/users/eve", Self.root, body: "").status == 409)
            let grants = "/admin/v1/users/eve/grants?prefix=%00%FF"
            #expect(try await http.send(.put, grants + "&permissions=rw", Self.root, body: "").status == 204)
            let made = try await http.send(.post, "/admin/v1/users/eve/tokens", Self.root, body: "")
            #expect(made.status == 201)
            let token = try #require(made.body.split(separator: "\"").first { $0.hasPrefix("kv1.") })
            let bearer: HTTPFields = [.authorization: "Bearer \(token)"]
            #expect(try await http.send(.put, "/v1/kv/%00%FFx", bearer, body: "v").status == 200)
            #expect(try await http.send(.put, "/v1/kv/%00x", bearer, body: "v").status == 403)
            let listing = try await http.send(.get, "/admin/v1/users", Self.root).body
            #expect(listing.contains(#""name":"eve""#) && listing.contains(#""prefix":"AP8=""#))
            #expect(!listing.contains(token) && !listing.contains("rootroot"))
            #expect(try await http.send(.delete, grants, Self.root).status == 204)
            #expect(try await http.send(.put, "/v1/kv/%00%FFx", bearer, body: "v").status == 403)
            #expect(try await http.send(.delete, "/admin/v1/users/eve", Self.root).status == 204)
            #expect(try await http.send(.get, "/v1/kv/a", bearer).status == 401)
            #expect(try await http.send(.delete, "/admin/v1/users/root", Self.root).status == 409)
            #expect(try await http.send(.delete, "/admin/v1/users/eve", Self.root).status == 404)
        }
    }

    @Test func `after ten wrong passwords the eleventh is not even looked at`() async throws {
        try await run { http async throws in
            for _ in 0..<10 { #expect(try await http.send(.get, "/status", Self.basic("root:wrong")).status == 401) }
            #expect(try await http.send(.get, "/status", Self.basic("root:rootroot")).status == 429)
        }
    }
}
