import KVFakeService
import KVService
import NIOCore
import Synchronization
import Testing

@testable import KVRESP

/// Passwords are their own hashes, and are checked only when the test says so.
private final class HeldHasher: PasswordHashing {
    let jobs = Mutex<[@Sendable () -> Void]>([])
    func hash(_ password: [UInt8]) -> String? { String(decoding: password, as: UTF8.self) }
    func verify(_ password: [UInt8], against hash: String) -> Bool { self.hash(password) == hash }
    func release() {
        for job in jobs.withLock({ jobs in
            defer { jobs = [] }
            return jobs
        }) { job() }
    }
}

@Suite struct AuthenticationTests {
    private let hasher = HeldHasher()
    private let control = AccessControl(isDemanded: true)
    private let harness: RESPHarness

    init() throws {
        let (hasher, control) = (hasher, control)
        var state = AccessState()
        _ = state.apply(.bootstrap("root", hash: "rootroot", isRecovery: false))
        let grants = [AccessGrant(.all, prefix: Array("app".utf8)), AccessGrant(.read, prefix: Array("{app}r".utf8))]
        _ = state.apply(.addUser("app", isAdministrator: false, passwordHash: "appappapp", grants: grants))
        _ = state.apply(.addUser("default", isAdministrator: false, passwordHash: "somebody", grants: grants))
        control.update(state)
        let authenticator = Authenticator(
            control,
            hasher: hasher,
            key: [1],
            now: { 0 },
            pool: { job in hasher.jobs.withLock { $0.append(job) } }
        )
        harness = try RESPHarness(authenticator: authenticator)
    }

    private func send(_ line: String) throws -> String {
        let first = try harness.send(encode(line: line))
        hasher.release()
        return first + (try harness.received())
    }

    @Test func `nothing but saying who one is is served before that`() throws {
        for line in ["GET app", "PING", "SCAN 0", "MULTI", "INFO", "CONFIG GET *", "DBSIZE", "FLUSHALL", "CLIENT LIST"]
        {
            #expect(try send(line) == "-NOAUTH Authentication required.\r\n", "\(line)")
        }
        #expect(try send("HELLO 3").hasPrefix("-NOAUTH HELLO must be called"))
        #expect(harness.service.counts.requests == 0)
    }

    @Test(arguments: ["AUTH app appappapp", "AUTH somebody", "HELLO 2 AUTH app appappapp SETNAME me"])
    func `a right password opens the connection`(line: String) throws {
        #expect(!(try send(line)).hasPrefix("-"))
        #expect(try send("SET app1 v") == "+OK\r\n")
    }

    @Test(arguments: ["AUTH app wrong", "AUTH nobody appappapp", "AUTH wrong", "HELLO 3 AUTH app wrong"])
    func `a wrong one does not, and does not say what is wrong`(line: String) throws {
        #expect(try send(line) == "-WRONGPASS invalid username-password pair or user is disabled.\r\n")
        #expect(try send("GET app1") == "-NOAUTH Authentication required.\r\n")
    }

    @Test func `commands behind AUTH wait until it is known who sends them`() throws {
        let burst = encode(line: "AUTH app appappapp") + encode(line: "SET app1 v") + encode(line: "GET app1")
        #expect(try harness.send(burst) == "")
        hasher.release()
        #expect(try harness.received() == "+OK\r\n+OK\r\n$1\r\nv\r\n")
    }

    @Test func `keys of others are refused by every way to them`() throws {
        _ = try send("AUTH app appappapp")
        let denied = "-NOPERM this user may not do that with one of the keys of the request\r\n"
        for line in [
            "GET other", "SET other v", "DEL other", "MGET app1 other", "MSET app1 v other v", "INCR other",
            "EXISTS other",
            "TTL other", "GETRANGE other 0 1", "APPEND other x", "SET {app}r v", "GETDEL {app}r",
            "RENAME app{app} {app}r",
        ] {
            #expect(try send(line) == denied, "\(line)")
        }
        // What was allowed of MGET was read, and nothing else.
        #expect(harness.service.counts.requests == 1)
    }

    @Test func `a transaction with one key of another is refused whole`() throws {
        _ = try send("AUTH app appappapp")
        _ = try send("MULTI")
        _ = try send("SET app{x} v")
        _ = try send("SET other{x} v")
        #expect(try send("EXEC").hasPrefix("-NOPERM"))
        #expect(try send("GET app{x}") == "$-1\r\n")
    }

    @Test func `listings show the keys that may be read`() throws {
        _ = try send("AUTH root rootroot")
        _ = try send("MSET app1 v app2 v other v zebra v")
        _ = try send("AUTH app appappapp")
        #expect(try send("KEYS *") == "*2\r\n$4\r\napp1\r\n$4\r\napp2\r\n")
        #expect(try send("SCAN 0 COUNT 100") == "*2\r\n$1\r\n0\r\n*2\r\n$4\r\napp1\r\n$4\r\napp2\r\n")
        #expect(try send("RANDOMKEY").contains("app"))
        #expect(try send("DBSIZE").hasPrefix("-NOPERM"))
    }

    @Test(arguments: ["FLUSHALL", "CONFIG GET *", "SLOWLOG GET", "CLIENT LIST", "CLIENT KILL ID 1"])
    func `administration is for administrators`(line: String) throws {
        _ = try send("AUTH app appappapp")
        #expect(try send(line).hasPrefix("-NOPERM"), "\(line)")
        _ = try send("AUTH root rootroot")
        #expect(!(try send(line)).hasPrefix("-NOPERM"), "\(line)")
    }

    @Test func `a right that is taken is gone for the next command`() throws {
        _ = try send("AUTH app appappapp")
        #expect(try send("SET app1 v") == "+OK\r\n")
        var state = control.current
        _ = state.apply(.revoke("app", prefixes: [Array("app".utf8)]))
        control.update(state)
        #expect(try send("SET app1 v").hasPrefix("-NOPERM"))
        _ = state.apply(.removeUser("app"))
        control.update(state)
        #expect(try send("SET app1 v").hasPrefix("-NOAUTH"))
    }

    @Test func `RESET forgets who the client is`() throws {
        _ = try send("AUTH app appappapp")
        #expect(try send("RESET") == "+RESET\r\n")
        #expect(try send("GET app1").hasPrefix("-NOAUTH"))
    }

    @Test func `a stranger may not fill memory with a command that does not end`() throws {
        let begin = Array("*2\r\n$3\r\nGET\r\n$1000000\r\n".utf8)
        _ = try harness.send(begin)
        _ = try harness.send(Array(repeating: 0x61, count: 40 * 1024))
        let answer = try harness.send(Array(repeating: 0x61, count: 40 * 1024))
        #expect(answer.hasPrefix("-ERR Protocol error"))
        #expect(!harness.channel.isActive)
    }

    @Test func `a stranger who says nothing is let go after ten seconds`() throws {
        harness.channel.embeddedEventLoop.advanceTime(by: .seconds(11))
        #expect(!harness.channel.isActive)
    }
}
