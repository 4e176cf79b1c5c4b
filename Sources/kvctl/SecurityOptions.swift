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

    private var environment: [String: String] { ProcessInfo.processInfo.environment }

    var credentials: Credentials? {
        get throws {
            var secret = environment["KVCTL_PASSWORD"]
            if let passwordFile { secret = try firstLine(of: passwordFile) }
            if let name = user ?? environment["KVCTL_USER"] {
                guard let secret else {
                    throw ValidationError("user '\(name)' has no password: --password-file or $KVCTL_PASSWORD")
                }
                return .password(user: name, password: secret)
            }
            if passwordFile != nil, let secret { return .token(secret) }
            return environment["KVCTL_TOKEN"].map { .token($0) }
        }
    }

    var clientTLS: ClientTLS? {
        get throws {
            if let file = ca ?? environment["KVCTL_CA"] { return try ClientTLS(authorityFile: file) }
            return tls || environment["KVCTL_TLS"] == "1" ? try ClientTLS() : nil
        }
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
