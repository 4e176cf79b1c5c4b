import ArgumentParser
import Foundation
import KVBackup
import KVBase
import KVClient
import KVEnvironment
import KVInspection
import KVPosix

/// Backups of a cluster and restoring them. docs/operations/backup.md
struct SnapshotCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "snapshot",
        abstract: "Save, check and restore backups of the cluster.",
        discussion: """
            A backup has every shard at one index. With the log behind it ('snapshot log') it can be restored to any later index or \
            time. A restored cluster has an identity of its own: members of the old one can never join it.
            """,
        subcommands: [
            SnapshotSaveCommand.self, SnapshotLogCommand.self, SnapshotListCommand.self, SnapshotInspectCommand.self,
            SnapshotVerifyCommand.self, SnapshotPlanCommand.self, SnapshotRestoreCommand.self,
        ]
    )
}

extension CtlFailure {
    init(_ error: BackupError) {
        switch error.kind {
        case .usage: self.init(.error, "bad_request", error.description)
        case .file: self.init(.error, "file", error.description)
        case .damage: self.init(.corruption, "corruption", error.description)
        }
    }
}

/// What commands that ask no node take.
struct LocalOutput: ParsableArguments {
    @Option(name: [.customShort("o"), .customLong("output")], help: "table, json or yaml.")
    var choice: OutputChoice?

    var outputChoice: OutputChoice { choice ?? Session.inherited?.output ?? .table }
    var output: OutputFormat { outputChoice.format }

    /// Runs a command and ends the process as its outcome says.
    func perform(_ body: () throws -> CtlExit) throws {
        try OutputChoice.$current.withValue(outputChoice) { try run(body) }
    }

    private func run(_ body: () throws -> CtlExit) throws {
        let outcome: CtlExit
        do {
            outcome = try body()
        } catch let error as ValidationError {
            throw error
        } catch {
            let failure = CtlFailure(error)
            switch output {
            case .json:
                try writeJSON(Nothing?.none, ok: false, error: .init(code: failure.code, message: failure.message))
            case .table: write("kvctl: \(failure.message)\n", to: .standardError)
            }
            throw ExitCode(failure.exit.rawValue)
        }
        if outcome != .ok { throw ExitCode(outcome.rawValue) }
    }
}

struct SnapshotListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "The backups in a repository."
    )

    @OptionGroup var local: LocalOutput
    @Argument(help: "The repository: the folder that backups are saved into.") var repository: String

    private struct Row: Encodable {
        let name: String
        let error: String?
        let manifest: BackupManifest?
    }

    func run() throws {
        try local.perform {
            let all = try BackupFolder(PosixFileSystem(), repository).list()
            let rows = all.map { name, result in
                switch result {
                case .success(let manifest): Row(name: name, error: nil, manifest: manifest)
                case .failure(let error): Row(name: name, error: error.description, manifest: nil)
                }
            }
            let isWhole = rows.allSatisfy { $0.error == nil }
            switch local.output {
            case .json:
                let message = rows.compactMap(\.error).joined(separator: "; ")
                try writeJSON(rows, ok: isWhole, error: isWhole ? nil : .init(code: "corruption", message: message))
            case .table:
                for row in rows {
                    guard let manifest = row.manifest else {
                        write("\(row.name)  DAMAGED: \(row.error ?? "")\n")
                        continue
                    }
                    let index = manifest.groups.map { "\($0.index)" }.joined(separator: ",")
                    write(
                        "\(row.name)  \(timeText(manifest.createdAtMs))  index \(index)  \(manifest.totalBytes) bytes  "
                            + "node \(manifest.node)  cluster \(manifest.cluster)\n"
                    )
                }
            }
            return isWhole ? .ok : .corruption
        }
    }
}

struct SnapshotInspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "What a backup holds, shard by shard."
    )

    @OptionGroup var local: LocalOutput
    @Argument(help: "The backup's folder.") var backup: String

    private struct Payload: Encodable {
        struct Log: Encodable {
            let group: UInt32
            let last: UInt64
            let timeMs: UInt64
        }
        let manifest: BackupManifest
        let log: [Log]
        let oneMoment: Bool
    }

    func run() throws {
        try local.perform {
            let folder = BackupFolder(PosixFileSystem(), backup)
            let manifest = try folder.manifest()
            let logs = try manifest.groups.map { group in
                let extent = try RetainedLog(folder, group.group).extent(after: group.index)
                return Payload.Log(group: group.group, last: extent.last, timeMs: extent.time)
            }
            let oneMoment = manifest.fenced || manifest.groups.count == 1
            if case .json = local.output {
                try writeJSON(Payload(manifest: manifest, log: logs, oneMoment: oneMoment))
                return .ok
            }
            write("cluster \(manifest.cluster), node \(manifest.node), made \(timeText(manifest.createdAtMs))\n")
            let reused = manifest.files.filter(\.file.reused)
            write(
                "\(manifest.files.count) files, \(manifest.totalBytes) bytes"
                    + (manifest.base.map { ", \(reused.count) of them shared with \($0)" } ?? "") + "\n"
            )
            write(
                oneMoment
                    ? "all shards are at one moment of the cluster\n"
                    : "each group is at an index of its own: keys of shards in different groups may differ in time (--fence avoids that)\n"
            )
            for (group, log) in zip(manifest.groups, logs) {
                write("group \(group.group): index \(group.index), term \(group.term)\n")
                write(
                    log.last > group.index
                        ? "  log through index \(log.last), \(timeText(log.timeMs))\n"
                        : "  no log behind it: it can be restored as it is; 'kvctl snapshot log' adds to it\n"
                )
                for tablet in group.tablets {
                    let bytes = tablet.files.reduce(0) { $0 + $1.size }
                    write(
                        "  shard \(tablet.shard): last entry \(tablet.appliedIndex), revision \(tablet.revision), "
                            + "\(bytes) bytes in \(tablet.files.count) files, hash \(tablet.chainedHash)\n"
                    )
                }
            }
            return .ok
        }
    }
}

struct SnapshotVerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Check every byte of a backup; exit 9 where one is wrong."
    )

    @OptionGroup var local: LocalOutput
    @Argument(help: "The backup's folder.") var backup: String

    func run() throws {
        try local.perform {
            let folder = BackupFolder(PosixFileSystem(), backup)
            let manifest = try folder.manifest()
            let total = manifest.totalBytes
            var line = ProgressLine(unit: "bytes", total: total)
            var done: UInt64 = 0
            let findings = try folder.verify { count in
                done += count
                line.show(count: done, position: done)
            }
            line.end()
            switch local.output {
            case .json:
                let failure = Envelope<[String]>.Failure(code: "corruption", message: "\(findings.count) findings")
                try writeJSON(findings, ok: findings.isEmpty, error: findings.isEmpty ? nil : failure)
            case .table:
                let files = try findings.isEmpty ? folder.logIndex()?.files ?? [] : []
                let logs = manifest.groups.compactMap { group in files.last { $0.group == group.group }?.last }
                let log =
                    logs.isEmpty
                    ? "no log behind it" : "log through index " + logs.map(String.init).joined(separator: ",")
                write(
                    findings.isEmpty
                        ? "\(backup): whole, \(total) bytes, \(log)\n" : findings.map { "\($0)\n" }.joined()
                )
            }
            return findings.isEmpty ? .ok : .corruption
        }
    }
}

struct SnapshotPlanCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "Write the plan of a new cluster, with an id that no other ever has."
    )

    @Argument(help: ArgumentHelp("Each member of the new cluster.", valueName: "N=host:port=data-directory"))
    var members: [String]

    func run() throws {
        var found: [NodeID: RestorePlan.Member] = [:]
        for text in members {
            let parts = text.split(separator: "=", maxSplits: 2).map(String.init)
            guard parts.count == 3, let node = UInt64(parts[0]), node > 0, Endpoint(parts[1]) != nil,
                !parts[2].contains(where: \.isWhitespace)
            else { throw ValidationError("'\(text)' is no member; expected N=HOST:PORT=DATA-DIRECTORY") }
            guard found.updateValue(.init(peer: parts[1], directory: parts[2]), forKey: NodeID(node)) == nil else {
                throw ValidationError("member \(node) is named twice")
            }
        }
        guard !found.isEmpty else { throw ValidationError("name the members of the new cluster") }
        let cluster = ClusterID(high: .random(in: 0 ... .max), low: .random(in: 1 ... .max))
        let plan = RestorePlan(cluster: cluster, members: found)
        // What is written must read the same.
        do { _ = try RestorePlan(parsing: plan.text) } catch { throw ValidationError("\(error)") }
        write(
            "# kvctl snapshot restore BACKUP --plan THIS: cluster.nodes of the members' configuration must name the same.\n"
        )
        write(plan.text)
    }
}

struct SnapshotRestoreCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Make the data directories of a new cluster from a backup.",
        discussion: """
            Without --member all members of the plan are made here; with it one, so that the same plan and backup serve on every host. An \
            interrupted restore is begun again by the same command. Start the nodes when all are made.
            """
    )

    @OptionGroup var local: LocalOutput
    @Argument(help: "The backup's folder.") var backup: String
    @Option(help: "The plan of the new cluster (kvctl snapshot plan).") var plan: String
    @Option(help: "Only this member.") var member: UInt64?
    @Option(help: "A point in time behind the backup: an index, time:MILLISECONDS, 2026-03-01T12:00:00Z, or end.")
    var until: String?

    private struct Row: Encodable {
        let member: String
        let directory: String
        let index: UInt64
        let entriesApplied: UInt64
        let bytes: UInt64
    }

    func run() throws {
        let end = try until.map { text -> WALReplay.ReplayEnd in
            if text == "end" { return .committed }
            guard let end = WALReplay.ReplayEnd(text) else {
                throw ValidationError(
                    "--until '\(text)' is no point in time: expected an index (1234), a time in UTC (2026-03-01T12:00:00Z), "
                        + "time:MILLISECONDS since 1970, or end"
                )
            }
            return end
        }
        try local.perform {
            let bytes: [UInt8]
            do { bytes = Array(try Data(contentsOf: URL(filePath: plan))) } catch {
                throw CtlFailure(.error, "file", "\(plan) cannot be read: \(error.localizedDescription)")
            }
            let plan = try RestorePlan(parsing: String(decoding: bytes, as: UTF8.self))
            let chosen = member.map { [NodeID($0)] } ?? plan.members.keys.sorted()
            let environment = ToolEnvironment(
                fileSystem: PosixFileSystem(),
                clock: PosixClock(),
                randomness: SystemRandomness()
            )
            let total = try BackupFolder(PosixFileSystem(), backup).manifest().totalBytes * UInt64(chosen.count)
            var line = ProgressLine(unit: "bytes", total: total)
            var done: UInt64 = 0
            var rows: [Row] = []
            for node in chosen {
                let outcome = try BackupRestore(environment, from: backup).restore(node, of: plan, until: end) {
                    count in
                    done += count
                    line.show(count: done, position: done, note: ", member \(node)")
                }
                rows.append(
                    Row(
                        member: "\(node)",
                        directory: plan.members[node]?.directory ?? "",
                        index: outcome.index,
                        entriesApplied: outcome.entries,
                        bytes: outcome.bytes
                    )
                )
            }
            line.end()
            switch local.output {
            case .json: try writeJSON(rows)
            case .table:
                for row in rows {
                    write(
                        "member \(row.member): \(row.directory), index \(row.index), \(row.entriesApplied) log entries applied\n"
                    )
                }
                write("new cluster \(plan.cluster): start its members with cluster.nodes as in the plan\n")
            }
            return .ok
        }
    }
}

/// A time in milliseconds since 1970, in UTC.
func timeText(_ milliseconds: UInt64) -> String {
    backupTimeText(milliseconds)
}
