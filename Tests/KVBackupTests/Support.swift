import KVBackup
import KVBase
import KVEnvironment
import KVInspection
import KVRaft
import KVReplication
import KVService
import KVSimulation
import KVStorage

/// A backup on a simulated disk, with a log behind it.
struct SavedBackup {
    static let repository = "/backups"
    static let path = "/backups/first"
    static let cluster = ClusterID(high: 1, low: 2)
    static let shards: UInt32 = 2
    /// The index that the backup holds, and the last of its log.
    static let index: LogIndex = 10
    static let last: LogIndex = 16

    let disk: SimulatedFileSystem
    /// One for all: tables that drew the same uid would be taken for one another.
    let randomness: SeededRandomness

    var environment: ToolEnvironment {
        ToolEnvironment(
            fileSystem: disk,
            clock: SimulatedClock(SimulatedWorld(seed: 1)),
            randomness: randomness
        )
    }

    /// Entry `index` sets key `k<index>` in shard `index` modulo the shards; its time is the index times a thousand.
    static func entry(_ index: LogIndex) -> Entry {
        let shard = ShardID(UInt32(index) % shards)
        var batch = RequestBatch()
        let (key, value) = (Array("k\(index)".utf8), Array("value \(index)".utf8))
        key.withUnsafeBytes { key in value.withUnsafeBytes { value in batch.put(key, value, tag: 0) } }
        var builder = EntryBuilder()
        builder.append(batch.items[0], of: batch, shard: shard, epoch: Epoch(1))
        let time = index * 1_000
        return Entry(
            index: index,
            term: 3,
            kind: .commands,
            time: time,
            checksum: Entry.checksum(group: GroupID(1), kind: .commands, time: time, payload: builder.payload),
            payload: builder.payload
        )
    }

    /// A tablet with the entries through `last`, as a node's would be.
    static func makeTablet(
        _ environment: ToolEnvironment,
        _ directory: String,
        _ shard: UInt32,
        through last: LogIndex
    )
        throws -> TabletMark
    {
        var mark = TabletMark()
        mark.epoch = Epoch(1)
        let offline = try OfflineTablet(environment, directory: directory, mark: mark, creates: true)
        let replay = TabletReplay(offline.tablet, shard: ShardID(shard), epoch: Epoch(1)) { offline.pool.runAll() }
        for index in 1...last { try replay.apply(entry(index)) }
        let reached = replay.mark
        try offline.finish()
        return reached
    }

    init(seed: UInt64 = 1, hasLog: Bool = true) throws {
        disk = SimulatedFileSystem(seed: seed)
        randomness = SeededRandomness(seed: seed &+ 5)
        try save("first", base: nil, node: "/node")
        if hasLog { try addLog(Self.index + 1...Self.last) }
        disk.crash(.loseAll)
    }

    @discardableResult
    func save(_ name: String, base: (name: String, manifest: BackupManifest)?, node: String) throws -> BackupManifest {
        try disk.createDirectory(node)
        let writer = try BackupWriter(disk, repository: Self.repository, name: name, base: base)
        var tablets: [BackupManifest.Tablet] = []
        for shard in 0..<Self.shards {
            let directory = "\(node)/\(shard)"
            let mark =
                disk.exists(directory)
                ? TabletInspection.verify(disk, directory).mark
                : try Self.makeTablet(environment, directory, shard, through: Self.index)
            try writer.begin(group: 1, shard: shard)
            var files: [BackupManifest.File] = []
            for file in try disk.list(directory) {
                let size = try disk.size(directory + "/" + file)
                let place = "\(shard)-1-\(shard + 1)"
                if let known = writer.reuse(group: 1, shard: shard, directory: place, name: file, size: size) {
                    files.append(known)
                    continue
                }
                let incoming = try writer.incoming(group: 1, shard: shard, name: file)
                try incoming.add(try disk.readAll(directory + "/" + file))
                files.append(try incoming.end(file))
            }
            tablets.append(
                BackupManifest.Tablet(
                    shard: shard,
                    epoch: 1,
                    directory: "\(shard)-1-\(shard + 1)",
                    appliedIndex: mark.appliedIndex,
                    revision: mark.revision,
                    loggedTimeMs: mark.loggedTime,
                    chainedHash: hexadecimal(mark.chainedHash),
                    files: files
                )
            )
        }
        let manifest = BackupManifest(
            cluster: Self.cluster.description,
            node: "1",
            incarnation: "00000000000000aa",
            shardCount: Int(Self.shards),
            fenced: false,
            createdAtMs: 1,
            base: base?.name,
            groups: [.init(group: 1, index: Self.index, term: 3, tablets: tablets)]
        )
        _ = try writer.finish(manifest)
        return manifest
    }

    func addLog(_ range: ClosedRange<LogIndex>) throws {
        let log = RetainedLog(BackupFolder(disk, Self.path), 1)
        let page = Self.page(range.map(Self.entry))
        try log.append(from: range.lowerBound, behind: Self.index, [page])
    }

    /// Entries as a node hands them out.
    static func page(_ entries: [Entry]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(littleEndian: UInt32(1))
        bytes.append(littleEndian: entries[0].index)
        bytes.append(littleEndian: UInt32(entries.count))
        for entry in entries {
            bytes.append(littleEndian: entry.term)
            bytes.append(entry.kind.rawValue)
            bytes.append(littleEndian: entry.time)
            bytes.append(littleEndian: entry.checksum)
            bytes.append(littleEndian: UInt32(entry.payload.count))
            bytes.append(contentsOf: entry.payload)
        }
        return bytes
    }

    static let plan = RestorePlan(
        cluster: ClusterID(high: 7, low: 8),
        members: [
            NodeID(1): .init(peer: "a:1", directory: "/new1"), NodeID(2): .init(peer: "b:1", directory: "/new2"),
        ]
    )

    func restore(_ node: UInt64 = 1, until end: WALReplay.ReplayEnd? = nil) throws -> BackupRestore.Outcome {
        try BackupRestore(environment, from: Self.path).restore(NodeID(node), of: Self.plan, until: end)
    }

    /// The keys that a restored directory holds, read as a node would; nil where it is no data directory.
    func keys(in directory: String) throws -> Set<String>? {
        guard let identity = try IdentityStore.stored(in: directory, disk) else { return nil }
        precondition(identity.isFormed)
        let report = GroupManifestInspection.read(disk, directory + "/groups/1")
        guard report.findings.isEmpty, let state = report.state else { return Set(report.findings.map { "\($0)" }) }
        var found: Set<String> = []
        for name in state.tablets {
            let path = directory + "/groups/1/" + name.directory
            let findings = TabletInspection.verify(disk, path).findings
            guard findings.isEmpty else { return Set(findings.map { "\($0)" }) }
            let offline = try OfflineTablet(environment, directory: path, mark: TabletMark(), creates: false)
            for index in 1...Self.last {
                let key = [TabletRows.userPrefix] + Array("k\(index)".utf8)
                if try offline.tablet.get(key) != nil { found.insert("k\(index)") }
            }
            offline.tablet.close()
            offline.pool.runAll()
        }
        return found
    }

    static func keys(through last: LogIndex) -> Set<String> { Set((1...last).map { "k\($0)" }) }
}
