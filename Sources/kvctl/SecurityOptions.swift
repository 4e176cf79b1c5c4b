import ArgumentParser
import Foundation
import KVClient

/// Who is asking, and whom it believes.
struct SecurityOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Who you are. Default: $KVCTL_USER.", valueName: "name"))
    var user: String?

    @Option(
        help: ArgumentHelp(
            "The file whose first line is your password, or a token where no user is named. Default: $KVCTL_PASSWORD, $KVCTL_TOKEN.",
            valueName: "file"
        )
    )
    var passwordFile: String?

    @Flag(help: "Speak TLS, and believe the system's authorities. Default: whether $KVCTL_TLS is 1.")
    var tls = false

    @Option(
        help: ArgumentHelp(
            "Speak TLS, and believe the authorities in this file. Default: $KVCTL_CA.",
            valueName: "file"
        )
    )
    var ca: String?

    /// Whether any of this is given.
    var isGiven: Bool { user != nil || passwordFile != nil || tls || ca != nil }

    /// Who the client is: by flags, else by the environment, else by the context.
    func credentials(_ context: Contexts.Context?, _ environment: [String: String]) throws -> Credentials? {
        var secret = environment["KVCTL_PASSWORD"]
        var token = environment["KVCTL_TOKEN"]
        if let passwordFile {
            (secret, token) = (try firstLine(of: passwordFile), nil)
        } else if let context, secret == nil, token == nil {
            secret = try Self.secret(context)
        }
        if let name = user ?? environment["KVCTL_USER"] ?? context?.user {
            guard let secret else {
                throw ValidationError("user '\(name)' has no password: --password-file or $KVCTL_PASSWORD")
            }
            return .password(user: name, password: secret)
        }
        if passwordFile != nil || context != nil, let secret { return .token(secret) }
        return token.map { .token($0) }
    }

    /// What the file or variable has that a context names.
    private static func secret(_ context: Contexts.Context) throws -> String? {
        if let file = context.passwordFile {
            try Contexts.requirePrivate(file)
            return try firstLine(of: file)
        }
        guard let name = context.passwordVariable else { return nil }
        guard let value = ProcessInfo.processInfo.environment[name] else {
            throw ValidationError("the context takes the password from $\(name), which is not set")
        }
        return value
    }

    /// Whom the client believes; nil where it speaks in the clear.
    func clientTLS(_ context: Contexts.Context?, _ environment: [String: String]) throws -> ClientTLS? {
        if let file = ca ?? environment["KVCTL_CA"] ?? context?.ca { return try ClientTLS(authorityFile: file) }
        return tls || environment["KVCTL_TLS"] == "1" || context?.tls == true ? try ClientTLS() : nil
    }
}

/// The first line of a file, without its end.
func firstLine(of path: String) throws -> String {
    do {
        let text = try String(contentsOfFile: path, encoding: .utf8)
        return String(text.prefix { !$0.isNewline })
    } catch {
        throw ValidationError("\(path) cannot be read")
    }
}

/// A new password: from a file, or typed without being shown, or the first line of what is piped in.
func newPassword(_ file: String?) throws -> String {
    if let file { return try firstLine(of: file) }
    guard isatty(STDIN_FILENO) == 1 else { return readLine() ?? "" }
    guard let typed = getpass("New password: ").map({ String(cString: $0) }),
        let again = getpass("Again: ").map({ String(cString: $0) }), typed == again
    else { throw ValidationError("the two differ") }
    return typed
}
