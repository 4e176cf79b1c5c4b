package import KVBase

/// What a backup asks of a node: its tablets at one applied index, file by file, and its log behind that.
///
/// A snapshot is made once, read in pieces and ended; one that nobody reads is removed after a while. Any thread.
package protocol BackupService: AnyObject, Sendable {
    /// Cuts every group that owns shards, each at its applied index, all in one turn of the loop; the files stay until `endBackup`.
    ///
    /// With `fence` the cut is one moment of the whole cluster: it holds every write that was answered before and no other. Only a node
    /// that leads every group can make one, another answers `notLeader`.
    func beginBackup(
        fence: Bool,
        completion: @escaping @Sendable (Result<BackupDescription, ServiceError>) -> Void
    )
    /// Reads part of a file of a snapshot; shorter than `count` at its end.
    func readBackup(
        _ id: String,
        path: String,
        offset: UInt64,
        count: Int,
        completion: @escaping @Sendable (Result<[UInt8], ServiceError>) -> Void
    )
    /// Removes a snapshot that was made for a backup.
    func endBackup(_ id: String, completion: @escaping @Sendable (ServiceError?) -> Void)
    /// Reads applied entries of a group's log from `index` on, at most about `bytesMax`, as far as they are kept.
    func readLog(
        _ group: GroupID,
        from index: UInt64,
        bytesMax: Int,
        completion: @escaping @Sendable (Result<LogPage, ServiceError>) -> Void
    )
}

/// A snapshot that a node holds for a backup.
package struct BackupDescription: Sendable, Equatable {
    /// A file of a tablet.
    package struct File: Sendable, Equatable {
        /// Its name.
        package var name: String
        /// Its size in bytes.
        package var size: UInt64

        /// A file of this name and size.
        package init(name: String, size: UInt64) {
            self.name = name
            self.size = size
        }
    }

    /// A shard of a group at the group's index.
    package struct Tablet: Sendable, Equatable {
        /// The shard.
        package var shard: ShardID
        /// Its ownership epoch.
        package var epoch: Epoch
        /// The tablet's directory in the node: a table of the same name and size in the same directory is the same table.
        package var directory: String
        /// The last entry that concerned the shard.
        package var appliedIndex: UInt64
        /// Its revision counter.
        package var revision: UInt64
        /// The leader's time that was logged last, in milliseconds since 1970.
        package var loggedTime: UInt64
        /// The hash over all its mutations.
        package var chainedHash: UInt64
        /// Its files.
        package var files: [File]

        /// A tablet with these parts.
        package init(
            shard: ShardID,
            epoch: Epoch,
            directory: String,
            appliedIndex: UInt64,
            revision: UInt64,
            loggedTime: UInt64,
            chainedHash: UInt64,
            files: [File]
        ) {
            self.shard = shard
            self.epoch = epoch
            self.directory = directory
            self.appliedIndex = appliedIndex
            self.revision = revision
            self.loggedTime = loggedTime
            self.chainedHash = chainedHash
            self.files = files
        }
    }

    /// A group's part.
    package struct Group: Sendable, Equatable {
        /// The group.
        package var id: GroupID
        /// The index at which all its shards are.
        package var index: UInt64
        /// The term of the entry there.
        package var term: UInt64
        /// Its shards.
        package var tablets: [Tablet]

        /// A group with these parts.
        package init(id: GroupID, index: UInt64, term: UInt64, tablets: [Tablet]) {
            self.id = id
            self.index = index
            self.term = term
            self.tablets = tablets
        }
    }

    /// What it is read and ended by.
    package var id: String
    /// The cluster.
    package var cluster: ClusterID
    /// The node.
    package var node: NodeID
    /// The life of its data directory.
    package var incarnation: Incarnation
    /// How many shards the cluster has.
    package var shardCount: Int
    /// Whether it is one moment of the whole cluster.
    package var isFenced: Bool
    /// The groups that own shards.
    package var groups: [Group]

    /// A snapshot with these parts.
    package init(
        id: String,
        cluster: ClusterID,
        node: NodeID,
        incarnation: Incarnation,
        shardCount: Int,
        isFenced: Bool,
        groups: [Group]
    ) {
        self.id = id
        self.cluster = cluster
        self.node = node
        self.incarnation = incarnation
        self.shardCount = shardCount
        self.isFenced = isFenced
        self.groups = groups
    }
}

/// Some entries of a group's log.
package struct LogPage: Sendable, Equatable {
    /// The last of these; the index before the first asked for where there is none.
    package var last: UInt64
    /// The last that the node has applied.
    package var applied: UInt64
    /// The entries as a record of kind `raftEntries` holds them (docs/formats/log.md); empty where there is none.
    package var bytes: [UInt8]

    /// A page with these parts.
    package init(last: UInt64, applied: UInt64, bytes: [UInt8]) {
        self.last = last
        self.applied = applied
        self.bytes = bytes
    }
}
