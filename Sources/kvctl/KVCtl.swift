import ArgumentParser
import Foundation

/// `kvctl`: reads and writes keys of a cluster and shows how it stands.
@main
struct KVCtl: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kvctl",
        abstract: "Read and write keys of a cluster, and see how it stands.",
        discussion: """
            Exit codes: 0 ok, 1 error, 2 usage, 3 cannot connect, 4 outcome of a write unknown, 5 not found, 6 unhealthy, \
            7 partial, 8 not authorised, 9 corruption.
            """,
        subcommands: [
            StatusCommand.self, GetCommand.self, PutCommand.self, DeleteCommand.self, IncrementCommand.self,
            ScanCommand.self,
            ImportCommand.self, ExportCommand.self, SnapshotCommand.self, DigestCommand.self, MemberCommand.self,
            RecoverCommand.self, AlarmCommand.self, LogLevelCommand.self, SlowCommand.self, UserCommand.self,
            AuthCommand.self,
            BatchCommand.self, GroupCommand.self, ShardCommand.self, ConfigCommand.self, CompactCommand.self,
            CheckCommand.self, DebugCommand.self, ContextCommand.self, ShellCommand.self, CompletionCommand.self,
        ]
    )

    /// As ArgumentParser's own, but a usage error exits with 2 as all our programs do.
    static func main() async {
        do {
            var command = try parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch {
            guard exitCode(for: error) == .validationFailure else { exit(withError: error) }
            write(fullMessage(for: error) + "\n", to: .standardError)
            Foundation.exit(CtlExit.usage.rawValue)
        }
    }
}

/// What the process ends with.
enum CtlExit: Int32 {
    case ok = 0
    case error = 1
    case usage = 2
    case cannotConnect = 3
    case outcomeUnknown = 4
    case notFound = 5
    case unhealthy = 6
    case partial = 7
    case notAuthorised = 8
    case corruption = 9
}
