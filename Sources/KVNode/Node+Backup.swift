package import KVBase
import KVEnvironment
import KVReplication
package import KVService

// Backups: snapshots that are kept while somebody reads them, and the log behind them. docs/operations/backup.md

/// The snapshots that a node holds for backups.
struct OpenBackups {
    /// One of them.
    struct Backup {
        /// Each group's folder.
        var folders: [GroupID: String]
        /// When it was made or read last.
        var lastUsed: UInt64
    }

    /// So many at most: each keeps its tables on the disk.
    static let countMax = 4
    /// One that was not read for so long is removed.
    static let idleNanoseconds: UInt64 = 600_000_000_000
    /// The longest piece that is read at once.
    static let pieceBytesMax = 8 << 20

    private(set) var open: [String: Backup] = [:]
    /// Those that are being made.
    var makingCount = 0

    var hasRoom: Bool { open.count + makingCount < Self.countMax }

    mutating func add(_ id: String, _ folders: [GroupID: String], now: UInt64) {
        open[id] = Backup(folders: folders, lastUsed: now)
    }

    /// The folder of a group of a snapshot, which is in use from now on.
    mutating func folder(_ id: String, _ group: GroupID, now: UInt64) -> String? {
        open[id]?.lastUsed = now
        return open[id]?.folders[group]
    }

    mutating func remove(_ id: String) -> [String]? { open.removeValue(forKey: id).map { Array($0.folders.values) } }

    /// Takes out those that nobody has read for long.
    mutating func takeIdle(now: UInt64) -> [String] {
        let idle = open.filter { now > $0.value.lastUsed + Self.idleNanoseconds }
        for id in idle.keys { open[id] = nil }
        return idle.values.flatMap { $0.folders.values }
    }
}

extension Node: BackupService {
    package func beginBackup(
        fence: Bool,
        completion: @escaping @Sendable (Result<BackupDescription, ServiceError>) -> Void
    ) {
        onHome { [self] in
            if let retirement { return completion(.failure(retirement)) }
            let owners = sortedGroups.filter { $0.id != .controller }
            if fence, let other = owners.first(where: { !$0.isLeader || !$0.isLevel }) {
                let text =
                    "a fenced snapshot is made by the leader of every group; node \(settings.node) does not lead group \(other.id)"
                return completion(.failure(ServiceError(.notLeader, text, leader: other.leaderNode)))
            }
            guard backups.hasRoom else {
                let text = "\(OpenBackups.countMax) snapshots are held for backups already; end one, or wait"
                return completion(.failure(ServiceError(.overloaded, text)))
            }
            backups.makingCount += 1
            let id = hexadecimal(environment.randomness.next())
            let gathering = BackupGathering(count: owners.count) { [self] results in
                backups.makingCount -= 1
                finishBackup(id, fence, results, completion)
            }
            // All in this turn: whatever was answered before is in every group's part, and nothing that comes later.
            for group in owners {
                group.backup(named: "backup-\(id)", on: environment.background) { result in
                    gathering.add(group.id, result)
                }
            }
        }
    }

    private func finishBackup(
        _ id: String,
        _ isFenced: Bool,
        _ results: [GroupID: Result<BackupCheckpoint, any Error>],
        _ completion: @Sendable (Result<BackupDescription, ServiceError>) -> Void
    ) {
        var found: [GroupID: BackupCheckpoint] = [:]
        var failure: (any Error)?
        for (group, result) in results {
            switch result {
            case .success(let checkpoint): found[group] = checkpoint
            case .failure(let error): failure = error
            }
        }
        if let failure {
            remove(found.values.map(\.folder))
            return completion(.failure(ServiceError(.unavailable, "no snapshot can be made now: \(failure)")))
        }
        backups.add(id, found.mapValues(\.folder), now: clock.monotonicNanoseconds)
        log.info("made a snapshot for a backup", metadata: ["snapshot": "\(id)"])
        let groups = found.sorted { $0.key < $1.key }.map { group, checkpoint in
            BackupDescription.Group(
                id: group,
                index: checkpoint.index,
                term: checkpoint.term,
                tablets: checkpoint.parts.map { part in
                    BackupDescription.Tablet(
                        shard: part.name.shard,
                        epoch: part.name.epoch,
                        directory: part.name.directory,
                        appliedIndex: part.mark.appliedIndex,
                        revision: part.mark.revision,
                        loggedTime: part.mark.loggedTime,
                        chainedHash: part.mark.chainedHash,
                        files: part.files.map { BackupDescription.File(name: $0.name, size: $0.size) }
                    )
                }
            )
        }
        completion(
            .success(
                BackupDescription(
                    id: id,
                    cluster: identity.cluster,
                    node: settings.node,
                    incarnation: identity.incarnation,
                    shardCount: shardMap.shardCount,
                    isFenced: isFenced,
                    groups: groups
                )
            )
        )
    }

    package func readBackup(
        _ id: String,
        path: String,
        offset: UInt64,
        count: Int,
        completion: @escaping @Sendable (Result<[UInt8], ServiceError>) -> Void
    ) {
        onHome { [self] in
            // group/shard/file, nothing else: the path comes from outside.
            let parts = path.split(separator: "/", omittingEmptySubsequences: false)
            guard parts.count == 3, let group = UInt32(parts[0]), let shard = UInt32(parts[1]), !parts[2].isEmpty,
                parts[2].utf8.allSatisfy({ Self.isPlain($0) }), parts[2] != ".", parts[2] != "..",
                (1...OpenBackups.pieceBytesMax).contains(count)
            else {
                return completion(.failure(ServiceError(.badRequest, "'\(path)' is no file of a snapshot")))
            }
            guard let folder = backups.folder(id, GroupID(group), now: clock.monotonicNanoseconds) else {
                let text =
                    "node \(settings.node) holds no snapshot \(id) of group \(group): it was ended, or not read for long"
                return completion(.failure(ServiceError(.notFound, text)))
            }
            let (fileSystem, file) = (environment.fileSystem, "\(folder)/\(shard)/\(parts[2])")
            environment.background.submit {
                do throws(FileError) {
                    completion(.success(try Self.read(file, fileSystem, offset, count)))
                } catch {
                    let code: ServiceError.Code = error.reason == .notFound ? .notFound : .unavailable
                    completion(.failure(ServiceError(code, "\(error)")))
                }
            }
        }
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    private static func read(
        _ path: String,
        _ fileSystem: any FileSystem,
        _ offset: UInt64,
        _ count: Int
    ) throws(FileError) -> [UInt8] {
        let file = try fileSystem.open(path, .read)
        defer { file.close() }
        let size = try file.size()
        guard offset < size else { return [] }
        var bytes = [UInt8](repeating: 0, count: Int(min(UInt64(count), size - offset)))
        let got = try bytes.withUnsafeMutableBufferPointer { (buffer) throws(FileError) in
            try file.read(into: UnsafeMutableRawBufferPointer(buffer), at: offset)
        }
        return Array(bytes[..<got])
    }

    package func endBackup(_ id: String, completion: @escaping @Sendable (ServiceError?) -> Void) {
        onHome { [self] in
            // Asking again is no error: the first answer may have been lost.
            remove(backups.remove(id) ?? [])
            completion(nil)
        }
    }

    package func readLog(
        _ group: GroupID,
        from index: UInt64,
        bytesMax: Int,
        completion: @escaping @Sendable (Result<LogPage, ServiceError>) -> Void
    ) {
        onHome { [self] in
            guard group != .controller, let replica = groups[group] else {
                return completion(.failure(ServiceError(.notFound, "there is no group \(group) with shards")))
            }
            guard index > 0, (1...OpenBackups.pieceBytesMax).contains(bytesMax) else {
                return completion(.failure(ServiceError(.badRequest, "an index from 1 and up to 8 MiB are read")))
            }
            let applied = replica.appliedIndex
            replica.readLog(from: index, bytesMax: bytesMax) { result in
                switch result {
                case .success(let page):
                    completion(.success(LogPage(last: page.last, applied: applied, bytes: page.bytes)))
                case .failure(.unavailable(let index)):
                    let text =
                        "the log of group \(group) no longer holds index \(index): take a new snapshot; log.retain says how much is kept"
                    completion(.failure(ServiceError(.notFound, text)))
                case .failure(let error):
                    completion(.failure(ServiceError(.corruption, "the log of group \(group): \(error)")))
                }
            }
        }
    }

    /// Ends backups that nobody reads.
    func expireBackups() { remove(backups.takeIdle(now: clock.monotonicNanoseconds)) }

    private func remove(_ folders: [String]) {
        guard !folders.isEmpty else { return }
        let fileSystem = environment.fileSystem
        // A folder that cannot be removed now is removed when the group is opened.
        environment.background.submit { for folder in folders { try? fileSystem.removeTree(folder) } }
    }
}

/// Waits for the parts of all groups.
///
/// SENDABLE: touched on the home scheduler only.
private final class BackupGathering: @unchecked Sendable {
    private var missing: Int
    private var results: [GroupID: Result<BackupCheckpoint, any Error>] = [:]
    private let completion: ([GroupID: Result<BackupCheckpoint, any Error>]) -> Void

    init(count: Int, _ completion: @escaping ([GroupID: Result<BackupCheckpoint, any Error>]) -> Void) {
        missing = count
        self.completion = completion
    }

    func add(_ group: GroupID, _ result: Result<BackupCheckpoint, any Error>) {
        results[group] = result
        missing -= 1
        if missing == 0 { completion(results) }
    }
}
