import ArgumentParser
import Foundation
import KVBackup
import KVBase
import KVClient
import KVEnvironment
import KVPosix

struct SnapshotSaveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "save",
        abstract: "Save a backup of all shards into a repository.",
        discussion: """
            It is read from a follower where there is one. Tables that the newest backup from the same node has are linked instead of \
            fetched; each backup stands by itself all the same.
            """
    )

    @OptionGroup var global: GlobalOptions
    @Argument(help: "The repository: a folder for backups.") var repository: String
    @Option(help: "The backup's name; by default the time in UTC.") var name: String?
    @Option(help: "The node to read from.") var from: String?
    @Flag(help: "One moment of the whole cluster, read from its leader.") var fence = false
    @Flag(help: "Fetch every table.") var full = false
    @Option(help: ArgumentHelp("At most so many MiB a second.", valueName: "MiB")) var rate: Double?

    private struct Payload: Encodable {
        let path: String
        let manifest: BackupManifest
    }

    func validate() throws {
        guard (rate ?? 1) > 0 else { throw ValidationError("--rate must be positive") }
    }

    func run() async throws {
        try await global.perform { session in
            let (held, endpoint) = try await begin(session)
            let client = session.client
            let limit = max(global.timeout.duration, .seconds(60))
            let result: (String, BackupManifest)
            do {
                result = try await fetch(held, endpoint, client, limit)
            } catch {
                // It ends by itself too, only later.
                try? await client.endSnapshot(held.id, on: endpoint, within: .seconds(5))
                throw error
            }
            try? await client.endSnapshot(held.id, on: endpoint, within: .seconds(5))
            switch global.output {
            case .json: try writeJSON(Payload(path: result.0, manifest: result.1))
            case .table:
                let reused = result.1.files.count(where: \.file.reused)
                let index = held.groups.map { "\($0.index)" }.joined(separator: ",")
                write(
                    "\(result.0): index \(index) from node \(held.node), \(result.1.totalBytes) bytes, "
                        + "\(reused) of \(result.1.files.count) files shared with an earlier backup\n"
                )
            }
            return .ok
        }
    }

    /// Asks the nodes in turn, followers first unless only a leader will do.
    private func begin(_ session: Session) async throws -> (HeldSnapshot, Endpoint) {
        guard !session.httpEndpoints.isEmpty else {
            throw ValidationError("name the nodes' HTTP addresses with --http-endpoints")
        }
        let answers = await session.client.status()
        var candidates: [(rank: Int, endpoint: Endpoint)] = []
        for answer in answers {
            guard case .success(let status) = answer.result, from == nil ? !status.isRemoved : from == status.node
            else {
                continue
            }
            let leads = status.groups.contains { $0.role == "leader" && $0.id != "0" }
            candidates.append((leads == fence ? 0 : 1, answer.endpoint))
        }
        guard !candidates.isEmpty else {
            throw CtlFailure(
                .cannotConnect,
                "cannot_connect",
                from.map { "node \($0) does not answer" } ?? "no node answers"
            )
        }
        var last: ClientError?
        for candidate in candidates.sorted(by: { $0.rank < $1.rank }) {
            do throws(ClientError) {
                let limit = max(global.timeout.duration, .seconds(120))
                return (
                    try await session.client.beginSnapshot(on: candidate.endpoint, fence: fence, within: limit),
                    candidate.endpoint
                )
            } catch { last = error }
        }
        throw last ?? .closed
    }

    private func fetch(
        _ held: HeldSnapshot,
        _ endpoint: Endpoint,
        _ client: KVClient,
        _ limit: Duration
    ) async throws -> (String, BackupManifest) {
        let fileSystem = PosixFileSystem()
        let now = UInt64(Date().timeIntervalSince1970 * 1_000)
        let base =
            full
            ? nil
            : BackupFolder(fileSystem, repository).newest(
                cluster: held.cluster,
                node: held.node,
                incarnation: held.incarnation
            )
        let writer = try BackupWriter(
            fileSystem,
            repository: repository,
            name: name ?? timeText(now).filter { $0 != "-" && $0 != ":" },
            base: base.map { ($0.name, $0.1) }
        )
        do {
            var manifest = BackupManifest(
                cluster: held.cluster,
                node: held.node,
                incarnation: held.incarnation,
                shardCount: held.shardCount,
                fenced: held.fenced,
                createdAtMs: now,
                base: base?.name,
                groups: []
            )
            var pacer = Pacer(bytesPerSecond: rate.map { $0 * 1_048_576 })
            let total = held.groups.flatMap(\.tablets).flatMap(\.files).reduce(0) { $0 + $1.size }
            var line = ProgressLine(unit: "bytes", total: total)
            var done: UInt64 = 0
            for group in held.groups {
                var tablets: [BackupManifest.Tablet] = []
                for tablet in group.tablets {
                    try writer.begin(group: group.group, shard: tablet.shard)
                    var files: [BackupManifest.File] = []
                    for file in tablet.files {
                        if let known = writer.reuse(
                            group: group.group,
                            shard: tablet.shard,
                            directory: tablet.directory,
                            name: file.name,
                            size: file.size
                        ) {
                            files.append(known)
                            done += file.size
                            continue
                        }
                        let incoming = try writer.incoming(group: group.group, shard: tablet.shard, name: file.name)
                        while incoming.size < file.size {
                            let piece = try await client.readSnapshot(
                                held.id,
                                on: endpoint,
                                path: "\(group.group)/\(tablet.shard)/\(file.name)",
                                offset: incoming.size,
                                within: limit
                            )
                            guard !piece.isEmpty else {
                                throw BackupError(
                                    .damage,
                                    "\(file.name) ends at \(incoming.size) of \(file.size) bytes"
                                )
                            }
                            try incoming.add(piece)
                            done += UInt64(piece.count)
                            line.show(count: done, position: done)
                            try await pacer.pass(piece.count)
                        }
                        files.append(try incoming.end(file.name))
                    }
                    tablets.append(
                        BackupManifest.Tablet(
                            shard: tablet.shard,
                            epoch: tablet.epoch,
                            directory: tablet.directory,
                            appliedIndex: tablet.appliedIndex,
                            revision: tablet.revision,
                            loggedTimeMs: tablet.loggedTimeMs,
                            chainedHash: tablet.chainedHash,
                            files: files
                        )
                    )
                }
                manifest.groups.append(
                    BackupManifest.Group(group: group.group, index: group.index, term: group.term, tablets: tablets)
                )
            }
            line.end()
            return (try writer.finish(manifest), manifest)
        } catch {
            writer.abandon()
            throw error
        }
    }
}

/// Holds back what would be faster than allowed.
struct Pacer {
    private let bytesPerSecond: Double?
    private let start = ContinuousClock.now
    private var bytes = 0.0

    init(bytesPerSecond: Double?) { self.bytesPerSecond = bytesPerSecond }

    mutating func pass(_ count: Int) async throws {
        guard let bytesPerSecond else { return }
        bytes += Double(count)
        let due = start + .seconds(bytes / bytesPerSecond)
        if due > ContinuousClock.now { try await Task.sleep(until: due, clock: .continuous) }
    }
}

struct SnapshotLogCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log",
        abstract: "Add the log behind a backup to it, for restoring to a later index or time.",
        discussion:
            "Run it again and again: it goes on where it stopped, as long as a node still keeps that part of its log."
    )

    @OptionGroup var global: GlobalOptions
    @Argument(help: "The backup's folder.") var backup: String

    private struct Row: Encodable {
        let group: UInt32
        let from: UInt64
        let last: UInt64
    }

    func run() async throws {
        try await global.perform { session in
            let folder = BackupFolder(PosixFileSystem(), backup)
            let manifest = try folder.manifest()
            var rows: [Row] = []
            for group in manifest.groups {
                let log = RetainedLog(folder, group.group)
                let before = try log.extent(after: group.index).last
                rows.append(
                    Row(
                        group: group.group,
                        from: before,
                        last: try await extend(log, group, before, manifest, session)
                    )
                )
            }
            switch global.output {
            case .json: try writeJSON(rows)
            case .table:
                for row in rows { write("group \(row.group): log from index \(row.from + 1) through \(row.last)\n") }
            }
            return .ok
        }
    }

    /// Asks the node that is furthest first; of another cluster none.
    private func extend(
        _ log: RetainedLog,
        _ group: BackupManifest.Group,
        _ before: UInt64,
        _ manifest: BackupManifest,
        _ session: Session
    ) async throws -> UInt64 {
        var candidates: [(applied: UInt64, endpoint: Endpoint)] = []
        for answer in await session.client.status() {
            guard case .success(let status) = answer.result, !status.isRemoved else { continue }
            guard status.cluster == manifest.cluster else {
                throw CtlFailure(
                    .error,
                    "bad_request",
                    "the backup is of cluster \(manifest.cluster), \(answer.endpoint) is of \(status.cluster)"
                )
            }
            let applied = status.groups.first { $0.id == "\(group.group)" }?.appliedIndex ?? 0
            candidates.append((applied, answer.endpoint))
        }
        guard !candidates.isEmpty else { throw CtlFailure(.cannotConnect, "cannot_connect", "no node answers") }
        var failure: ClientError?
        for candidate in candidates.sorted(by: { $0.applied > $1.applied }) {
            do {
                // One that failed may have given part of it.
                let start = failure == nil ? before : try log.extent(after: group.index).last
                return try await extend(log, group, start, session.client, candidate.endpoint)
            } catch let error as ClientError {
                failure = error
            }
        }
        throw failure ?? .closed
    }

    private func extend(
        _ log: RetainedLog,
        _ group: BackupManifest.Group,
        _ before: UInt64,
        _ client: KVClient,
        _ endpoint: Endpoint
    ) async throws -> UInt64 {
        let limit = max(global.timeout.duration, .seconds(60))
        var last = before
        var goal: UInt64?
        while goal.map({ last < $0 }) ?? true {
            // A file of the log holds a bounded part, so that memory is bounded too.
            let first = last + 1
            var pages: [[UInt8]] = []
            var bytes = 0
            while goal.map({ last < $0 }) ?? true, bytes < 64 << 20 {
                let piece = try await client.readLog(group: group.group, from: last + 1, on: endpoint, within: limit)
                if goal == nil { goal = piece.applied }
                guard !piece.bytes.isEmpty else {
                    goal = last
                    break
                }
                last = try RetainedLog.check(piece.bytes, group: group.group, after: last)
                pages.append(piece.bytes)
                bytes += piece.bytes.count
            }
            try log.append(from: first, behind: group.index, pages)
        }
        return last
    }
}
