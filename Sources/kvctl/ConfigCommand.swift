import ArgumentParser
import Foundation
import KVClient
import KVConfiguration

struct ConfigCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config",
        abstract: "The settings of running nodes, and whether a file of kvnode is right.",
        subcommands: [ConfigShow.self, ConfigSet.self, ConfigValidate.self]
    )
}

private struct ConfigShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Every setting of each node with where it comes from; none is a secret.",
        discussion:
            "As a table it has what somebody set, and with --all the defaults too; * marks what 'config set' changes."
    )
    @OptionGroup var global: GlobalOptions
    @Flag(help: "Defaults too.") var all = false
    @Argument(help: "Only settings that start with this, such as raft.") var prefix: String?

    func run() async throws {
        try await global.perform { session in
            try session.requireHTTP()
            let answers = await session.client.settings().map { answer in
                NodeAnswer(
                    endpoint: answer.endpoint,
                    result: answer.result.map { $0.filter { $0.name.hasPrefix(prefix ?? "") } },
                    elapsed: answer.elapsed
                )
            }
            return try showAnswers(answers, global.output) { endpoint, settings in
                let shown = settings.filter { all || prefix != nil || $0.origin != "default" }
                let width = shown.map(\.name.count).max() ?? 0
                return "\(endpoint)\n"
                    + shown.map { setting in
                        let name = setting.name.padding(toLength: width, withPad: " ", startingAt: 0)
                        return " \(setting.live ? "*" : " ")\(name)  \(setting.value ?? "-")  (\(setting.origin))\n"
                    }.joined()
            }
        }
    }
}

private struct ConfigSet: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set",
        abstract: "Change a setting of all nodes that can change while they run, until they end.",
        discussion:
            "For what is to stay, change the nodes' files too. Name single nodes with --http-endpoints to change only theirs."
    )
    @OptionGroup var global: GlobalOptions
    @Argument(help: "Such as logging.level.") var name: String
    @Argument var value: String

    func run() async throws {
        try await global.perform { session in
            try session.requireHTTP()
            let answers = await session.client.changeSetting(name, to: value)
            return try showAnswers(answers, global.output) { endpoint, settings in
                settings.map { "\(endpoint): \($0.name) is \($0.value ?? "-")\n" }.joined()
            }
        }
    }
}

private struct ConfigValidate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "validate",
        abstract: "Check a configuration file of kvnode, as 'kvnode --check-config' does; exit 2 where it is wrong."
    )
    @OptionGroup var local: LocalOutput
    @Argument(completion: .file(extensions: ["yaml", "yml"])) var file: String

    private struct Payload: Encodable {
        let problems: [String]
    }

    func run() throws {
        try local.perform {
            let bytes: [UInt8]
            do {
                bytes = try Array(Data(contentsOf: URL(fileURLWithPath: file)))
            } catch {
                throw CtlFailure(.error, "file", "\(file) cannot be read")
            }
            var problems: [String] = []
            do throws(ConfigurationError) {
                _ = try ConfigurationLoader.load(ConfigurationLoader.Sources(file: (file, bytes)))
            } catch {
                problems = error.problems.map(\.description)
            }
            switch local.output {
            case .json:
                try writeJSON(
                    Payload(problems: problems),
                    ok: problems.isEmpty,
                    error: problems.isEmpty
                        ? nil : .init(code: "bad_request", message: problems.joined(separator: "\n"))
                )
            case .table: write(problems.isEmpty ? "ok\n" : problems.joined(separator: "\n") + "\n")
            }
            return problems.isEmpty ? .ok : .usage
        }
    }
}
