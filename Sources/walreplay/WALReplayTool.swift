import ArgumentParser
import Glibc
import KVInspection
import KVPosix

/// `walreplay`: reads logs and whole nodes offline, says whether they are what was written, and replays them into tablets.
@main
struct WALReplayTool: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "walreplay",
        abstract: "Read logs and whole nodes offline, check them, and replay them.",
        discussion: """
            A path is a log's directory, one of its files (a segment, a MANIFEST), or a node's data directory. Nothing but salvage, \
            replay and truncate --write writes; the first two only into a new directory, the last with a backup. The first line is \
            the verdict, and the exit code agrees: 0 whole (a torn tail past the last position that is proven durable is said and is no \
            damage), 1 a file could not be read, 2 usage, 9 damage.
            """,
        subcommands: [
            Summary.self, Records.self, Verify.self, State.self, Truncate.self, Salvage.self, Export.self, Replay.self,
        ],
        defaultSubcommand: Summary.self
    )

    /// As ArgumentParser's own, but a usage error exits with 2, and the command may come behind the path.
    static func main() {
        let words = commandFirst(Array(CommandLine.arguments.dropFirst()), commands: WALReplay.commands)
        do {
            var command = try parseAsRoot(words)
            try command.run()
        } catch {
            guard exitCode(for: error) == .validationFailure else { exit(withError: error) }
            writeOut(Array((fullMessage(for: error) + "\n").utf8), to: STDERR_FILENO)
            Glibc.exit(ToolExit.usage.rawValue)
        }
    }
}

extension KeyFormat: ExpressibleByArgument {}
extension Output.Format: ExpressibleByArgument {}

/// What every command takes.
struct CommonOptions: ParsableArguments {
    @Option(name: [.short, .customLong("output")], help: "table or json (one object a line).")
    var output = Output.Format.table

    @Option(help: "How keys are shown: utf8 (with \\xNN for other bytes), hex or base64.")
    var keyFormat = KeyFormat.utf8

    /// Runs a command and ends the process as its verdict says.
    func run(as format: Output.Format? = nil, _ body: (WALReplay) throws(ToolFailure) -> ToolExit) throws {
        let output = Output(format ?? output, keyFormat: keyFormat) { writeOut($0) }
        let tool = WALReplay(PosixFileSystem(), output)
        let (exit, message) = runTool(output) { () throws(ToolFailure) in try body(tool) }
        if let message { writeOut(Array("walreplay: \(message)\n".utf8), to: STDERR_FILENO) }
        if exit != .ok { throw ExitCode(exit.rawValue) }
    }
}

/// Writes to standard output, or error; a reader that went away is no error of ours.
func writeOut(_ bytes: [UInt8], to descriptor: Int32 = STDOUT_FILENO) {
    var rest = bytes[...]
    while !rest.isEmpty {
        let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        if count < 0 && errno == EINTR { continue }
        guard count > 0 else { Glibc.exit(ToolExit.inputOutput.rawValue) }
        rest = rest.dropFirst(count)
    }
}
