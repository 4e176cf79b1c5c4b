import ArgumentParser
import Glibc
import KVInspection
import KVPosix

/// `sstdump`: reads tables and tablets offline and says what is in them, and whether it is what was written.
@main
struct SSTDumpTool: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sstdump",
        abstract: "Read tables and tablets offline: what is in them, and whether it is what was written.",
        discussion: """
            A path is a table file, a tablet's directory, or a directory above tablets (a node's data directory). Nothing but salvage \
            writes, and that only into a new directory. The first line is the verdict, and the exit code agrees: 0 whole, 1 a file \
            could not be read, 2 usage, 9 damage.
            """,
        subcommands: [
            Summary.self, Properties.self, Blocks.self, Entries.self, Verify.self, Get.self, Find.self, Manifest.self,
            Stats.self,
            Salvage.self,
        ],
        defaultSubcommand: Summary.self
    )

    /// As ArgumentParser's own, but a usage error exits with 2, and the command may come behind the path.
    static func main() {
        let words = commandFirst(Array(CommandLine.arguments.dropFirst()), commands: SSTDump.commands)
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

    @Option(help: "How keys are typed and shown: utf8 (with \\xNN for other bytes), hex or base64.")
    var keyFormat = KeyFormat.utf8

    @Flag(help: "Keys as they are stored, for tablets that stand outside a node.")
    var rawKeys = false

    /// Runs a command and ends the process as its verdict says.
    func run(_ body: (SSTDump) throws(ToolFailure) -> ToolExit) throws {
        let output = Output(output, keyFormat: keyFormat, showsRawKeys: rawKeys) { writeOut($0) }
        let tool = SSTDump(PosixFileSystem(), output)
        let (exit, message) = runTool(output) { () throws(ToolFailure) in try body(tool) }
        if let message { writeOut(Array("sstdump: \(message)\n".utf8), to: STDERR_FILENO) }
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
