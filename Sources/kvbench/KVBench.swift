import ArgumentParser
import Foundation

/// `kvbench`: measures what the product stands on.
@main
struct KVBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kvbench",
        abstract: "Measure the storage engine, the consensus core, a cluster under load, and how it survives failures.",
        discussion: "Exit codes: 0 ok, 1 error or a failed check, 2 usage.",
        subcommands: [
            EngineCommand.self, ClusterCommand.self, GRPCCommand.self, FailoverCommand.self, RaftCommand.self,
        ]
    )

    /// As ArgumentParser's own, but a usage error exits with 2 as all our programs do.
    static func main() {
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch {
            guard exitCode(for: error) == .validationFailure else { exit(withError: error) }
            FileHandle.standardError.write(Data((fullMessage(for: error) + "\n").utf8))
            Foundation.exit(2)
        }
    }
}
