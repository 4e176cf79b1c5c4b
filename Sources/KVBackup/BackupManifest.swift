import KVBase

/// What a backup consists of: `manifest.json` in its folder, written last. docs/formats/backup.md
package struct BackupManifest: Codable, Equatable, Sendable {
    /// A file of a tablet.
    package struct File: Codable, Equatable, Sendable {
        /// Its name.
        package var name: String
        /// Its size in bytes.
        package var size: UInt64
        /// The CRC32C of all its bytes.
        package var crc32c: UInt32
        /// Whether it was taken from the backup before instead of from the node.
        package var reused: Bool

        /// A file with these parts.
        package init(name: String, size: UInt64, crc32c: UInt32, reused: Bool) {
            self.name = name
            self.size = size
            self.crc32c = crc32c
            self.reused = reused
        }
    }

    /// A shard at the group's index.
    package struct Tablet: Codable, Equatable, Sendable {
        /// The shard.
        package var shard: UInt32
        /// Its ownership epoch.
        package var epoch: UInt64
        /// The tablet's directory in the node.
        package var directory: String
        /// The last entry that concerned the shard.
        package var appliedIndex: UInt64
        /// Its revision counter.
        package var revision: UInt64
        /// The leader's time that was logged last, in milliseconds since 1970.
        package var loggedTimeMs: UInt64
        /// The hash over all its mutations, in hexadecimal.
        package var chainedHash: String
        /// Its files.
        package var files: [File]

        /// A tablet with these parts.
        package init(
            shard: UInt32,
            epoch: UInt64,
            directory: String,
            appliedIndex: UInt64,
            revision: UInt64,
            loggedTimeMs: UInt64,
            chainedHash: String,
            files: [File]
        ) {
            self.shard = shard
            self.epoch = epoch
            self.directory = directory
            self.appliedIndex = appliedIndex
            self.revision = revision
            self.loggedTimeMs = loggedTimeMs
            self.chainedHash = chainedHash
            self.files = files
        }
    }

    /// A group's shards.
    package struct Group: Codable, Equatable, Sendable {
        /// The group.
        package var group: UInt32
        /// The index at which all its shards are.
        package var index: UInt64
        /// The term of the entry there.
        package var term: UInt64
        /// The shards.
        package var tablets: [Tablet]

        /// A group with these parts.
        package init(group: UInt32, index: UInt64, term: UInt64, tablets: [Tablet]) {
            self.group = group
            self.index = index
            self.term = term
            self.tablets = tablets
        }
    }

    /// The format that this version writes and reads.
    package static let formatNumber = 1
    /// The manifest's file.
    package static let fileName = "manifest.json"

    /// The format.
    package var format = BackupManifest.formatNumber
    /// The cluster, 32 hexadecimal digits.
    package var cluster: String
    /// The node that it was taken from.
    package var node: String
    /// The life of that node's data directory.
    package var incarnation: String
    /// How many shards the cluster has.
    package var shardCount: Int
    /// Whether it is one moment of the whole cluster.
    package var fenced: Bool
    /// When it was made, in milliseconds since 1970, by the clock of who made it.
    package var createdAtMs: UInt64
    /// The backup whose tables were used again.
    package var base: String?
    /// The groups.
    package var groups: [Group]

    /// A manifest with these parts.
    package init(
        cluster: String,
        node: String,
        incarnation: String,
        shardCount: Int,
        fenced: Bool,
        createdAtMs: UInt64,
        base: String?,
        groups: [Group]
    ) {
        self.cluster = cluster
        self.node = node
        self.incarnation = incarnation
        self.shardCount = shardCount
        self.fenced = fenced
        self.createdAtMs = createdAtMs
        self.base = base
        self.groups = groups
    }

    /// Bytes of all files.
    package var totalBytes: UInt64 { files.reduce(0) { $0 + $1.file.size } }

    /// Every file with its path below the backup's folder.
    package var files: [(path: String, file: File)] {
        groups.flatMap { group in
            group.tablets.flatMap { tablet in
                tablet.files.map { (Self.path(group.group, tablet.shard, $0.name), $0) }
            }
        }
    }

    /// Where a file stands below the backup's folder.
    package static func path(_ group: UInt32, _ shard: UInt32, _ name: String) -> String {
        "data/\(group)/\(shard)/\(name)"
    }

    // MARK: The file

    /// The file's bytes: the JSON on one line, and a line with its checksum.
    package func encoded() throws(BackupError) -> [UInt8] { try ChecksummedJSON.encode(self) }

    /// Reads a manifest and checks all that later becomes a path or a number of the restored node.
    /// - Throws: `damage` where the bytes are not what was written, `usage` for another format.
    package init(decoding bytes: [UInt8], _ path: String) throws(BackupError) {
        self = try ChecksummedJSON.decode(bytes, format: Self.formatNumber, path)
        if let fault { throw BackupError(.damage, "\(path): \(fault)") }
    }

    /// What is wrong with it; nil where nothing is.
    package var fault: String? {
        guard ClusterID(cluster) != nil else { return "'\(cluster)' is no cluster's id" }
        guard (1...16_384).contains(shardCount) else { return "\(shardCount) shards" }
        var shards: Set<UInt32> = []
        for group in groups {
            guard group.group != 0, group.index > 0, group.term > 0 else { return "group \(group.group) has no index" }
            for tablet in group.tablets {
                guard Int(tablet.shard) < shardCount, shards.insert(tablet.shard).inserted else {
                    return "shard \(tablet.shard) twice, or not among \(shardCount)"
                }
                guard tablet.appliedIndex <= group.index else { return "shard \(tablet.shard) is ahead of its group" }
                for file in tablet.files where !Self.isPlain(file.name) { return "file name '\(file.name)'" }
                guard Set(tablet.files.map(\.name)).count == tablet.files.count else {
                    return "shard \(tablet.shard) names a file twice"
                }
            }
        }
        guard shards.count == shardCount else { return "\(shards.count) of \(shardCount) shards" }
        return nil
    }

    /// Whether a name can be a file's: it becomes part of a path.
    package static func isPlain(_ name: String) -> Bool {
        !name.isEmpty && name != "." && name != ".." && name.utf8.count <= 64
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
                    true
                default: false
                }
            }
    }
}
