import ArgumentParser
import KVInspection
import KVPosix

extension WALReplayTool {
    struct Summary: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "The files, how each ends, and the groups (the default)."
        )
        @OptionGroup var common: CommonOptions
        @Argument(help: "Logs, files or data directories.") var paths: [String]

        func run() throws { try common.run { tool throws(ToolFailure) in try tool.summary(paths) } }
    }

    struct Records: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "The records as they stand in the files.")
        @OptionGroup var common: CommonOptions
        @Option(help: "Only this group's.") var group: UInt32?
        @Option(help: "Entries from this index on.") var from: UInt64?
        @Option(help: "Entries through this index.") var to: UInt64?
        @Option(help: "Only entries of this term.") var term: UInt64?
        @Option(help: "Only records of this kind, such as raft-entries or raft-state.") var type: String?
        @Flag(help: "Values, not only their lengths.") var values = false
        @Argument(help: "Logs, files or data directories.") var paths: [String]

        func run() throws {
            var selection = WALReplay.RecordSelection()
            selection.group = group
            selection.from = from
            selection.to = to
            selection.term = term
            selection.type = type
            selection.showsValues = values
            try common.run { [selection] tool throws(ToolFailure) in try tool.records(paths, selection) }
        }
    }

    struct Verify: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Read every byte of logs, or of every file of a node, and check it."
        )
        @OptionGroup var common: CommonOptions
        @Option(help: "Where the node's log is, if not in the data directory (log.dir).") var logDir: String?
        @Argument(help: "Data directories, logs or files.") var paths: [String]

        func run() throws {
            try common.run { tool throws(ToolFailure) in try tool.verify(paths, logDirectory: logDir) }
        }
    }

    struct State: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Term, vote, commit and bounds of each group.")
        @OptionGroup var common: CommonOptions
        @Argument(help: "Logs or data directories.") var paths: [String]

        func run() throws { try common.run { tool throws(ToolFailure) in try tool.state(paths) } }
    }

    struct Truncate: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Cut a log behind a record; says what would go, and does it with --write. Backups stay beside the files."
        )
        @OptionGroup var common: CommonOptions
        @Option(help: "Where: the offset in a file, or the position over the whole log in a directory.") var at: UInt64
        @Flag(help: "Do it.") var write = false
        @Argument(help: "A file of a log, or its directory.") var path: String

        func run() throws {
            try common.run { tool throws(ToolFailure) in try tool.truncate(path, at: at, writes: write) }
        }
    }

    struct Salvage: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Write every record that still reads into a new log; the damaged one stays as it is."
        )
        @OptionGroup var common: CommonOptions
        @Option(help: "The new log's directory.") var into: String
        @Argument(help: "A log's directory or one of its files.") var path: String

        func run() throws {
            try common.run { tool throws(ToolFailure) in try tool.salvage(path, into: into) }
        }
    }

    struct Export: ParsableCommand {
        enum Format: String, ExpressibleByArgument, CaseIterable {
            case jsonl
        }
        static let configuration = CommandConfiguration(
            abstract: "Every command of every entry in force, a line of JSON each, with its value."
        )
        @OptionGroup var common: CommonOptions
        @Option(help: "jsonl.") var format = Format.jsonl
        @Option(help: "Only this group's.") var group: UInt32?
        @Argument(help: "Logs, files or data directories.") var paths: [String]

        func run() throws {
            try common.run(as: .json) { tool throws(ToolFailure) in try tool.export(paths, group: group) }
        }
    }

    struct Replay: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Build tablets from a copy of a node: its tablets, and the log's entries behind them.",
            discussion: """
                With --shard, --into becomes that shard's tablet; without, it holds a tablet for each shard. --until takes any index that \
                is not below what the tablets hold, or a time (2026-03-01T12:00:00Z, or time:MILLISECONDS since 1970).
                """
        )
        @OptionGroup var common: CommonOptions
        @Option(help: "A directory that is not there yet.") var into: String
        @Option(help: "The group.") var group: UInt32 = 1
        @Option(help: "The shard; all of the group's unless given.") var shard: UInt32?
        @Option(help: "Through which index or time; as far as the log says that entries are committed unless given.")
        var until: String?
        @Option(help: "Where the node's log is, if not in the data directory (log.dir).") var logDir: String?
        @Argument(help: "A copy of a node's data directory.") var data: String

        func run() throws {
            var options = WALReplay.ReplayOptions()
            options.group = group
            options.shard = shard
            options.logDirectory = logDir
            if let until {
                guard let end = WALReplay.ReplayEnd(until) else {
                    throw ValidationError("'\(until)' is neither an index nor a time such as 2026-03-01T12:00:00Z")
                }
                options.until = end
            }
            let host = ToolEnvironment(
                fileSystem: PosixFileSystem(),
                clock: PosixClock(),
                randomness: SystemRandomness()
            )
            try common.run { [options] tool throws(ToolFailure) in try tool.replay(data, into: into, options, host) }
        }
    }
}
