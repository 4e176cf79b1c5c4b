import ArgumentParser
import Foundation
import KVClient

struct UserCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "user",
        abstract: "Who may do what.",
        discussion: "A change counts for the next request of every connection. See docs/operations/security.md.",
        subcommands: [
            UserList.self, UserAdd.self, UserPassword.self, UserGrant.self, UserRevoke.self, UserAdmin.self,
            UserRemove.self, UserToken.self,
        ]
    )
}

/// Does one change and says nothing but its outcome.
private func change(_ global: GlobalOptions, _ body: (KVClient) async throws -> Void) async throws {
    try await global.perform { session in
        try session.requireHTTP()
        try await body(session.client)
        if global.output == .json { try writeJSON(Nothing()) } else { write("ok\n") }
        return .ok
    }
}

private struct UserList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "All users, without secrets.")
    @OptionGroup var global: GlobalOptions

    func run() async throws {
        try await global.perform { session in
            try session.requireHTTP()
            let users = try await session.client.users()
            if global.output == .json {
                try writeJSON(users)
            } else {
                for user in users { write(line(user)) }
                if users.isEmpty { write("no users\n") }
            }
            return .ok
        }
    }

    private func line(_ user: UserDescription) -> String {
        let grants = user.grants.map { "\($0.permissions):\($0.utf8 ?? "base64:" + $0.prefix)" }.joined(separator: " ")
        let what = user.admin ? "administrator" : grants.isEmpty ? "no rights" : grants
        return "\(user.name)  \(what)  \(user.hasPassword ? "password" : "no password")"
            + (user.tokens.isEmpty ? "\n" : "  tokens \(user.tokens.joined(separator: " "))\n")
    }
}

private struct UserAdd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add",
        abstract: "Make a user. Its password is asked for, or read from a file or standard input."
    )
    @OptionGroup var global: GlobalOptions
    @Argument(help: "Letters, digits, '-', '.', '_', '@'.") var name: String
    @Flag(help: "It may do everything.") var admin = false
    @Flag(help: "Without a password; make it a token.") var noPassword = false
    @Option(
        help: ArgumentHelp("What it may do, such as rw:app/; may be given more than once.", valueName: "r|w|rw:prefix")
    )
    var grant: [String] = []
    @Option(help: ArgumentHelp("The file whose first line is its password.", valueName: "file"))
    var newPasswordFile: String?

    func run() async throws {
        let grants = try grant.map { text in
            guard let colon = text.firstIndex(of: ":") else {
                throw ValidationError("'\(text)': expected r:prefix, w:prefix or rw:prefix")
            }
            let prefix = try global.keyFormat.parse(String(text[text.index(after: colon)...]))
            return (permissions: String(text[..<colon]), prefix: prefix)
        }
        let password = noPassword ? nil : try newPassword(newPasswordFile)
        try await change(global) { client in
            try await client.addUser(name, password: password, isAdministrator: admin)
            for (permissions, prefix) in grants { try await client.grant(permissions, prefix: prefix, to: name) }
        }
    }
}

private struct UserPassword: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "passwd",
        abstract: "Change a password, your own or as an administrator anybody's."
    )
    @OptionGroup var global: GlobalOptions
    @Argument var name: String
    @Option(help: ArgumentHelp("The file whose first line is the new one.", valueName: "file"))
    var newPasswordFile: String?

    func run() async throws {
        let password = try newPassword(newPasswordFile)
        try await change(global) { try await $0.setPassword(of: name, to: password) }
    }
}

private struct UserGrant: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "grant", abstract: "Let a user read or write keys.")
    @OptionGroup var global: GlobalOptions
    @Argument var name: String
    @Argument(help: "r, w or rw.") var permissions: String
    @Argument(help: "What the keys start with; '' is all keys.") var prefix: String

    func run() async throws {
        let prefix = try global.keyFormat.parse(prefix)
        try await change(global) { try await $0.grant(permissions, prefix: prefix, to: name) }
    }
}

private struct UserRevoke: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "revoke",
        abstract: "Take what was granted for exactly this prefix."
    )
    @OptionGroup var global: GlobalOptions
    @Argument var name: String
    @Argument var prefix: String

    func run() async throws {
        let prefix = try global.keyFormat.parse(prefix)
        try await change(global) { try await $0.revoke(prefix: prefix, from: name) }
    }
}

private struct UserAdmin: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "admin",
        abstract: "Make a user an administrator, or no longer."
    )
    @OptionGroup var global: GlobalOptions
    @Argument var name: String
    @Argument(help: "on or off.") var state: String

    func validate() throws {
        guard ["on", "off"].contains(state) else { throw ValidationError("'\(state)': expected on or off") }
    }

    func run() async throws { try await change(global) { try await $0.setAdministrator(name, state == "on") } }
}

private struct UserRemove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "remove", abstract: "Remove a user with its tokens.")
    @OptionGroup var global: GlobalOptions
    @Argument var name: String

    func run() async throws { try await change(global) { try await $0.removeUser(name) } }
}

private struct UserToken: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token",
        abstract: "Make a token for programs, which is shown this once, or remove one."
    )
    @OptionGroup var global: GlobalOptions
    @Argument var name: String
    @Option(help: ArgumentHelp("The id of a token to remove.", valueName: "id")) var remove: String?

    func run() async throws {
        if let remove { return try await change(global) { try await $0.removeToken(remove, of: name) } }
        try await global.perform { session in
            try session.requireHTTP()
            let token = try await session.client.addToken(for: name)
            if global.output == .json { try writeJSON(token) } else { write("\(token.token)\n") }
            return .ok
        }
    }
}

struct AuthCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "auth",
        abstract: "Whether clients must prove who they are."
    )
    @OptionGroup var global: GlobalOptions
    @Argument(help: "enable, disable or status.") var action = "status"

    func validate() throws {
        guard ["enable", "disable", "status"].contains(action) else {
            throw ValidationError("'\(action)': expected enable, disable or status")
        }
    }

    func run() async throws {
        try await global.perform { session in
            try session.requireHTTP()
            let client = session.client
            let status =
                action == "status"
                ? try await client.authenticationStatus() : try await client.setAuthentication(action == "enable")
            if global.output == .json {
                try writeJSON(status)
            } else {
                let on = status.enabled || status.requiredByConfiguration
                write(
                    "authentication is \(on ? "on" : "off")\(status.requiredByConfiguration ? " (auth.required)" : "")\n"
                )
                write("\(status.users) users, \(status.administrators) of them administrators\n")
            }
            return .ok
        }
    }
}
