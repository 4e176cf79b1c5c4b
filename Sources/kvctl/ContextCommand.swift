import ArgumentParser
import Foundation

struct ContextCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "context",
        abstract: "Clusters by name, for --context.",
        discussion: """
            They are kept in $KVCTL_CONFIG, else ~/.config/kvctl/config.json, which only its owner may read. Passwords are not in it: \
            a context names the file or the variable that has one.
            """,
        subcommands: [
            ContextList.self, ContextShow.self, ContextSet.self, ContextUse.self, ContextRemove.self,
        ],
        defaultSubcommand: ContextList.self
    )
}

private struct ContextList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "All contexts; * is the current one."
    )
    @OptionGroup var local: LocalOutput

    func run() throws {
        try local.perform {
            let all = try Contexts.read()
            switch local.output {
            case .json: try writeJSON(all)
            case .table:
                for (name, context) in all.contexts.sorted(by: { $0.key < $1.key }) {
                    write("\(name == all.current ? "*" : " ") \(name)  \(context.endpoints ?? "local")")
                    write(context.user.map { "  as \($0)\n" } ?? "\n")
                }
                if all.contexts.isEmpty { write("no contexts; 'kvctl context set NAME --endpoints …' makes one\n") }
            }
            return .ok
        }
    }
}

private struct ContextShow: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "One context, the current unless named."
    )
    @OptionGroup var local: LocalOutput
    @Argument var name: String?

    func run() throws {
        try local.perform {
            let all = try Contexts.read()
            guard let name = name ?? all.current, let context = all.contexts[name] else {
                throw CtlFailure(.notFound, "not_found", "there is no such context")
            }
            switch local.output {
            case .json: try writeJSON(context)
            case .table:
                write("\(name)\n")
                for (label, value) in [
                    ("endpoints", context.endpoints), ("http endpoints", context.httpEndpoints),
                    ("ca", context.ca), ("tls", context.tls.map { "\($0)" }), ("user", context.user),
                    ("password file", context.passwordFile), ("password variable", context.passwordVariable),
                ] {
                    if let value { write("  \(label): \(value)\n") }
                }
            }
            return .ok
        }
    }
}

private struct ContextSet: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set",
        abstract: "Make a context, or change what is named here of it; the first one becomes the current."
    )
    @OptionGroup var local: LocalOutput
    @Argument var name: String
    @Option(help: ArgumentHelp("RESP addresses.", valueName: "host:port,…")) var endpoints: String?
    @Option(help: ArgumentHelp("HTTP addresses.", valueName: "host:port,…")) var httpEndpoints: String?
    @Option(
        help: ArgumentHelp("The file of the authorities that are believed.", valueName: "file"),
        completion: .file()
    ) var ca: String?
    @Flag(inversion: .prefixedNo, help: "Speak TLS and believe the system's authorities.") var tls: Bool?
    @Option(help: ArgumentHelp("Who you are.", valueName: "name")) var user: String?
    @Option(
        help: ArgumentHelp("The file whose first line is the password, or a token.", valueName: "file"),
        completion: .file()
    ) var passwordFile: String?
    @Option(help: ArgumentHelp("The variable that has the password, or a token.", valueName: "NAME"))
    var passwordVariable: String?

    func run() throws {
        try local.perform {
            var all = try Contexts.read()
            var context = all.contexts[name] ?? Contexts.Context()
            for text in [endpoints, httpEndpoints].compactMap({ $0 }) { _ = try Session.parse(text) }
            guard !name.isEmpty, name.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
                throw ValidationError("'\(name)' is no name of a context")
            }
            context.endpoints = endpoints ?? context.endpoints
            context.httpEndpoints = httpEndpoints ?? context.httpEndpoints
            context.ca = ca.map(Self.absolute) ?? context.ca
            context.tls = tls ?? context.tls
            context.user = user ?? context.user
            if let passwordFile {
                (context.passwordFile, context.passwordVariable) = (Self.absolute(passwordFile), nil)
            }
            if let passwordVariable {
                (context.passwordFile, context.passwordVariable) = (nil, passwordVariable)
            }
            all.contexts[name] = context
            all.current = all.current ?? name
            try all.write()
            switch local.output {
            case .json: try writeJSON(context)
            case .table: write("context \(name) is set\n")
            }
            return .ok
        }
    }

    /// The file is found from any folder.
    private static func absolute(_ path: String) -> String { URL(fileURLWithPath: path).standardizedFileURL.path }
}

private struct ContextUse: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "use", abstract: "Make a context the current one.")
    @OptionGroup var local: LocalOutput
    @Argument var name: String

    func run() throws {
        try local.perform {
            var all = try Contexts.read()
            guard all.contexts[name] != nil else {
                throw CtlFailure(.notFound, "not_found", "there is no context '\(name)'")
            }
            all.current = name
            try all.write()
            switch local.output {
            case .json: try writeJSON(Nothing())
            case .table: write("context \(name) is the current one\n")
            }
            return .ok
        }
    }
}

private struct ContextRemove: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "remove", abstract: "Forget a context.")
    @OptionGroup var local: LocalOutput
    @Argument var name: String

    func run() throws {
        try local.perform {
            var all = try Contexts.read()
            guard all.contexts.removeValue(forKey: name) != nil else {
                throw CtlFailure(.notFound, "not_found", "there is no context '\(name)'")
            }
            if all.current == name { all.current = nil }
            try all.write()
            switch local.output {
            case .json: try writeJSON(Nothing())
            case .table: write("context \(name) is removed\n")
            }
            return .ok
        }
    }
}
