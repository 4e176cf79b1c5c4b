import KVBase
import KVService
import Synchronization
import Testing

/// A "hash" that costs nothing and counts how often it is computed.
private final class CountingHasher: PasswordHashing {
    let count = Mutex(0)

    func hash(_ password: [UInt8]) -> String? { "h:" + String(decoding: password, as: UTF8.self) }

    func verify(_ password: [UInt8], against hash: String) -> Bool {
        count.withLock { $0 += 1 }
        return self.hash(password) == hash
    }
}

@Suite struct AuthenticatorTests {
    private let hasher = CountingHasher()
    private let control = AccessControl()
    private let time = TestTime()
    private let authenticator: Authenticator

    private final class TestTime: Sendable {
        let now = Mutex<UInt64>(0)
    }

    init() {
        let time = time
        authenticator = Authenticator(
            control,
            hasher: hasher,
            key: Array(repeating: 1, count: 32),
            now: { time.now.withLock { $0 } },
            pool: { $0() }
        )
        var state = AccessState()
        _ = state.apply(.bootstrap("root", hash: "h:rootroot", isRecovery: false))
        _ = state.apply(.addUser("app", isAdministrator: false, passwordHash: "h:appappapp", grants: []))
        control.update(state)
    }

    private func change(_ command: AccessCommand) {
        var state = control.current
        _ = state.apply(command)
        control.update(state)
    }

    @Test func `a proven password is not hashed again`() async throws {
        for _ in 0..<5 {
            let principal = try await authenticator.prove("app", password: Array("appappapp".utf8), from: "a")
            #expect(principal.name == "app")
        }
        #expect(hasher.count.withLock { $0 } == 1)
    }

    @Test func `a changed password makes the old one worthless at once`() async throws {
        _ = try await authenticator.prove("app", password: Array("appappapp".utf8), from: "a")
        change(.setPassword("app", hash: "h:other-one"))
        await #expect(throws: ServiceError.self) {
            _ = try await authenticator.prove("app", password: Array("appappapp".utf8), from: "a")
        }
    }

    @Test func `a wrong password, an unknown name and a removed user are told the same`() async {
        change(.addUser("gone", isAdministrator: false, passwordHash: "h:gonegone", grants: []))
        change(.removeUser("gone"))
        for (name, password) in [("app", "wrong"), ("nobody", "appappapp"), ("gone", "gonegone"), ("", "")] {
            do {
                _ = try await authenticator.prove(name, password: Array(password.utf8), from: name)
                Issue.record("\(name) was let in")
            } catch {
                #expect(error.code == .unauthenticated)
                #expect(error.message == "the user name or the password is wrong")
            }
        }
        // Each took a hash: the time tells nothing either.
        #expect(hasher.count.withLock { $0 } == 4)
    }

    @Test func `after ten failures an address waits, while who is proven already does not`() async throws {
        _ = try await authenticator.prove("app", password: Array("appappapp".utf8), from: "b")
        for _ in 0..<10 { _ = try? await authenticator.prove("app", password: [1], from: "a") }
        let hashes = hasher.count.withLock { $0 }
        do {
            _ = try await authenticator.prove("root", password: Array("rootroot".utf8), from: "a")
            Issue.record("let in")
        } catch {
            #expect(error.code == .overloaded)
        }
        #expect(hasher.count.withLock { $0 } == hashes)
        _ = try await authenticator.prove("app", password: Array("appappapp".utf8), from: "c")
        time.now.withLock { $0 += 3_000_000_000 }
        _ = try await authenticator.prove("root", password: Array("rootroot".utf8), from: "a")
    }

    @Test func `no more slow hashes than the bound wait at once`() async {
        let jobs = Mutex<[@Sendable () -> Void]>([])
        var settings = Authenticator.Settings()
        settings.pendingMax = 3
        settings.failuresMax = 1000
        let lagging = Authenticator(
            control,
            hasher: hasher,
            settings: settings,
            key: [1],
            now: { 0 },
            pool: { job in jobs.withLock { $0.append(job) } }
        )
        let refused = Mutex(0)
        for _ in 0..<10 {
            lagging.prove("app", password: [1], from: "a") { result in
                if case .failure(let error) = result, error.code == .overloaded { refused.withLock { $0 += 1 } }
            }
        }
        #expect(refused.withLock { $0 } == 7)
        #expect(jobs.withLock { $0.count } == 3)
        for job in jobs.withLock({ $0 }) { job() }
    }

    @Test func `a token proves its owner until it is removed`() throws {
        let token = AccessToken(id: 0xab, secret: Array(0..<32))
        #expect(AccessToken(token.text) == token)
        change(.addToken("app", id: token.id, digest: SHA256.digest(token.secret)))
        #expect(try authenticator.prove(token: token.text, from: "a").get().name == "app")
        var other = token.text
        other.removeLast()
        for text in [other + "0", other, "kv1..", "", "kv1.00000000000000ab." + String(repeating: "z", count: 64)] {
            #expect(throws: ServiceError.self) { try authenticator.prove(token: text, from: text).get() }
        }
        change(.removeToken("app", id: token.id))
        #expect(throws: ServiceError.self) { try authenticator.prove(token: token.text, from: "a").get() }
    }

    @Test func `a session ends for who was removed, and for old credentials`() throws {
        change(.enable(true))
        let session = ClientSession(RecordingService(), control)
        #expect(session.isLocked)
        session.begin(as: Principal("app", try #require(control.user("app"))))
        #expect(!session.isLocked && !session.isAdministrator)
        change(.setAdministrator("app", true))
        #expect(session.isAdministrator)
        change(.setPassword("app", hash: "h:new-password"))
        #expect(session.isLocked)
    }
}
