import ArgumentParser
import KVInspection
import KVPosix

extension SSTDumpTool {
    struct Summary: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "What the tablets and tables are (the default).")
        @OptionGroup var common: CommonOptions
        @Argument(help: "Tables or directories.") var paths: [String]

        func run() throws { try common.run { tool throws(ToolFailure) in try tool.summary(paths) } }
    }

    struct Properties: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "What each table says of itself.")
        @OptionGroup var common: CommonOptions
        @Argument(help: "Tables or directories.") var paths: [String]

        func run() throws { try common.run { tool throws(ToolFailure) in try tool.properties(paths) } }
    }

    struct Blocks: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Every block, and whether it reads.")
        @OptionGroup var common: CommonOptions
        @Argument(help: "Tables or directories.") var paths: [String]

        func run() throws { try common.run { tool throws(ToolFailure) in try tool.blocks(paths) } }
    }

    struct Entries: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "The entries in the order of their keys, all versions."
        )
        @OptionGroup var common: CommonOptions
        @Option(help: "The first key.") var from: String?
        @Option(help: "The end, not shown.") var to: String?
        @Option(help: "At most so many.") var limit: UInt64?
        @Flag(help: "Values, not only their lengths.") var values = false
        @Flag(help: "Only what a reader sees: of each key the newest entry, and no deletion.") var visible = false
        @Argument(help: "Tables or directories.") var paths: [String]

        func run() throws {
            var selection = SSTDump.EntrySelection()
            selection.from = from
            selection.to = to
            selection.limit = limit
            selection.showsValues = values
            selection.onlyVisible = visible
            try common.run { [selection] tool throws(ToolFailure) in try tool.entries(paths, selection) }
        }
    }

    struct Verify: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Read every byte and check it.")
        @OptionGroup var common: CommonOptions
        @Argument(help: "Tables or directories.") var paths: [String]

        func run() throws { try common.run { tool throws(ToolFailure) in try tool.verify(paths) } }
    }

    struct Get: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "What a reader gets for a key.",
            usage: "sstdump get PATH ... KEY"
        )
        @OptionGroup var common: CommonOptions
        @Argument(help: "Tables or directories, and the key as the last word.") var words: [String]

        func validate() throws { try requireKey(words) }
        func run() throws {
            try common.run { tool throws(ToolFailure) in try tool.get(Array(words.dropLast()), key: words.last ?? "") }
        }
    }

    struct Find: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "The life of a key through manifest, tables and logs.",
            usage: "sstdump find PATH ... KEY"
        )
        @OptionGroup var common: CommonOptions
        @Argument(help: "Tables or directories, and the key as the last word.") var words: [String]

        func validate() throws { try requireKey(words) }
        func run() throws {
            try common.run { tool throws(ToolFailure) in try tool.find(Array(words.dropLast()), key: words.last ?? "") }
        }
    }

    struct Manifest: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "The history of edits, and the tables by level.")
        @OptionGroup var common: CommonOptions
        @Argument(help: "Tablets' directories.") var paths: [String]

        func run() throws { try common.run { tool throws(ToolFailure) in try tool.manifest(paths) } }
    }

    struct Stats: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Sums for each level: files, bytes, ratio, deletions, the filters' measured rate."
        )
        @OptionGroup var common: CommonOptions
        @Argument(help: "Tables or directories.") var paths: [String]

        func run() throws { try common.run { tool throws(ToolFailure) in try tool.stats(paths) } }
    }

    struct Salvage: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Write what still reads into a new tablet; the damaged one stays as it is."
        )
        @OptionGroup var common: CommonOptions
        @Option(help: "The new tablet's directory.") var into: String
        @Argument(help: "Tables, or a tablet's directory.") var paths: [String]

        func run() throws {
            let host = ToolEnvironment(
                fileSystem: PosixFileSystem(),
                clock: PosixClock(),
                randomness: SystemRandomness()
            )
            try common.run { tool throws(ToolFailure) in try tool.salvage(paths, into: into, host) }
        }
    }
}

/// A path and a key.
private func requireKey(_ words: [String]) throws {
    guard words.count >= 2 else { throw ValidationError("a path and a key are needed: PATH … KEY") }
}
