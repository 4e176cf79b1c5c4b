import KVBase
import KVService
import Testing

@Suite struct AccessStateTests {
    private func state(_ commands: AccessCommand...) -> AccessState {
        var state = AccessState()
        for command in commands { #expect(state.apply(command) == .applied, "\(command)") }
        return state
    }

    private let root = AccessCommand.bootstrap("root", hash: "$y$h", isRecovery: false)

    @Test func `a user is added with grants that replace each other by prefix`() {
        let grants = [AccessGrant(.read, prefix: [2]), AccessGrant(.write, prefix: [1])]
        let state = state(
            .addUser("app", isAdministrator: false, passwordHash: "h", grants: grants),
            .grant("app", [AccessGrant(.all, prefix: [2])])
        )
        #expect(state.users["app"]?.grants == [AccessGrant(.write, prefix: [1]), AccessGrant(.all, prefix: [2])])
    }

    @Test func `authentication cannot be enabled while nobody could administer`() {
        var state = state(.addUser("a", isAdministrator: true, passwordHash: "", grants: []))
        guard case .refused(let error) = state.apply(.enable(true)) else { return #expect(Bool(false)) }
        #expect(error.code == .accessConflict)
        #expect(state.apply(.setPassword("a", hash: "h")) == .applied)
        #expect(state.apply(.enable(true)) == .applied)
    }

    @Test(arguments: [
        AccessCommand.removeUser("root"), .setAdministrator("root", false), .setPassword("root", hash: ""),
    ])
    func `the last administrator stays while authentication is on`(command: AccessCommand) {
        var state = state(root, .enable(true))
        let before = state
        guard case .refused = state.apply(command) else { return #expect(Bool(false)) }
        #expect(state == before)
    }

    @Test func `a bootstrap does nothing where there is an administrator, a recovery does`() {
        var state = state(root)
        #expect(state.apply(.bootstrap("eve", hash: "x", isRecovery: false)) == .unchanged)
        #expect(state.apply(.bootstrap("root", hash: "new", isRecovery: true)) == .applied)
        #expect(state.users["root"]?.passwordHash == "new")
        #expect(state.users["eve"] == nil)
    }

    @Test func `a name that was removed and added again has other credentials`() {
        let add = AccessCommand.addUser("a", isAdministrator: false, passwordHash: "h", grants: [])
        var state = state(add)
        let before = state.users["a"]?.credentialVersion
        #expect(state.apply(.removeUser("a")) == .applied)
        #expect(state.apply(add) == .applied)
        #expect(state.users["a"]?.credentialVersion != before)
    }

    @Test(arguments: ["", "a b", "a:b", "ü", String(repeating: "a", count: 65)])
    func `a name that could not be sent is refused`(name: String) {
        var state = AccessState()
        let command = AccessCommand.addUser(name, isAdministrator: false, passwordHash: "", grants: [])
        guard case .refused(let error) = state.apply(command) else { return #expect(Bool(false)) }
        #expect(error.code == .badRequest)
    }

    private static let commands: [AccessCommand] = [
        .addUser("a", isAdministrator: true, passwordHash: "$y$", grants: [AccessGrant(.read, prefix: [0, 255])]),
        .setPassword("a", hash: "h"), .setAdministrator("a", true), .grant("a", [AccessGrant(.all, prefix: [])]),
        .revoke("a", prefixes: [[], [1, 2]]), .removeUser("a"),
        .addToken("a", id: 7, digest: Array(repeating: 9, count: 32)), .removeToken("a", id: .max), .enable(true),
        .bootstrap("a", hash: "h", isRecovery: true),
    ]

    @Test(arguments: commands)
    func `a command is read as it was written, and no other bytes are one`(command: AccessCommand) throws {
        let bytes = command.encoded
        #expect(try bytes.withUnsafeBytes { try AccessCommand($0) } == command)
        for count in bytes.indices {
            #expect(throws: DecodingError.self) {
                try Array(bytes[..<count]).withUnsafeBytes { _ = try AccessCommand($0) }
            }
        }
        #expect(throws: DecodingError.self) { try (bytes + [0]).withUnsafeBytes { _ = try AccessCommand($0) } }
    }

    @Test func `a state is read as it was written, and no beginning of it is one`() throws {
        let state = state(
            root,
            .addUser("b", isAdministrator: false, passwordHash: "h", grants: [AccessGrant(.read, prefix: [1])]),
            .addToken("b", id: 1, digest: Array(repeating: 1, count: 32)),
            .addToken("b", id: 2, digest: Array(repeating: 2, count: 32)),
            .enable(true)
        )
        let bytes = state.encoded
        #expect(try bytes.withUnsafeBytes { try AccessState($0) } == state)
        for count in bytes.indices {
            #expect(throws: DecodingError.self) {
                try Array(bytes[..<count]).withUnsafeBytes { _ = try AccessState($0) }
            }
        }
    }
}
