package import KVEnvironment

/// How a tablet is set up.
///
/// What is stored on disk does not depend on these: a tablet may be opened with others.
package struct TabletOptions: Sendable {
    /// What makes the newest writes durable.
    package enum Durability: Sendable, Equatable {
        /// The Raft log does: the tablet has no log of its own, and after a crash it is at the mark of its last
        /// flush.
        case external
        /// A log of its own, in the tablet's directory; with `synchronizes`, a write returns after it is on stable
        /// storage.
        case log(synchronizes: Bool)
    }

    /// The files.
    package var fileSystem: any FileSystem
    /// The tablet's directory.
    package var directory: String
    /// Where flushes and compactions run.
    package var workers: any WorkerPool
    /// Time: for the age of memtables, for retries, and for the creation time in tables.
    package var clock: any Clock
    /// Where the uids of tables come from.
    package var randomness: any Randomness
    /// What tablets of a node share.
    package var shared: SharedResources
    /// What makes writes durable.
    package var durability = Durability.external
    /// The size of a segment of the tablet's own log.
    package var logSegmentBytes: UInt64 = 64 << 20
    /// Whether segments are made ahead of their use, with zeros where syncs are small.
    package var preparesLogSegments = true
    /// A memtable is sealed at this size.
    package var memtableBytes = 16 << 20
    /// How many sealed memtables make the pressure 1.
    package var sealedMax = 3
    /// How many sealed memtables there may be before writes fail with `memtablesFull`.
    package var sealedHardMax = 8
    /// A data block is ended at this raw size.
    package var blockBytes = 8 << 10
    /// How many entries share prefixes between two whole keys.
    package var restartInterval = 16
    /// How level 0 and the levels above the last are compressed.
    package var upperCodec = BlockCodec.zstd(level: -1)
    /// How the last level is compressed.
    package var bottomCodec = BlockCodec.zstd(level: 1)
    /// A compaction ends a table at this size.
    package var tableBytes: UInt64 = 32 << 20
    /// The base level's greatest size.
    package var baseLevelBytes: UInt64 = 256 << 20
    /// How many times larger each level is than the one above.
    package var levelMultiplier: UInt64 = 10
    /// Level 0 is compacted at this many tables.
    package var levelZeroCompactAt = 4
    /// From this many tables in level 0 on there is pressure.
    package var levelZeroSlowAt = 8
    /// At this many tables in level 0 the pressure is 1.
    package var levelZeroStopAt = 20
    /// From this age on a memtable whose deletions free much space is flushed.
    package var reclaimAgeNanoseconds: UInt64 = 10_000_000_000
    /// From this age on any memtable is flushed.
    package var memtableAgeNanoseconds: UInt64 = 1_200_000_000_000
    /// A tablet that is smaller is not worth work for the sake of space.
    package var reclaimBytesMin: UInt64 = 1 << 20
    /// How long to wait after a failed flush or compaction before the next attempt.
    package var retryNanoseconds: UInt64 = 1_000_000_000
    /// Whether compactions start by themselves.
    package var compactsAutomatically = true
    /// Called on a worker after each flush, with what is now durable.
    ///
    /// Must not block.
    package var onDurable: (@Sendable (TabletMark) -> Void)?
    /// Called on a worker or the writer when the background state changes (disk full, damaged, read-only, or well
    /// again).
    package var onStateChange: (@Sendable (TabletState) -> Void)?

    /// The usual options.
    package init(
        fileSystem: any FileSystem,
        directory: String,
        workers: any WorkerPool,
        clock: any Clock,
        randomness: any Randomness,
        shared: SharedResources
    ) {
        self.fileSystem = fileSystem
        self.directory = directory
        self.workers = workers
        self.clock = clock
        self.randomness = randomness
        self.shared = shared
    }
}

extension TabletOptions {
    /// The address space of a memtable: its size when it is sealed, and room for the batch that fills it or that
    /// comes while none may be sealed.
    var memtableCapacity: Int { memtableBytes + memtableBytes / 8 + 4096 }
}

/// How a tablet's background work fares.
package enum TabletState: Equatable, Sendable {
    /// All well.
    case healthy
    /// A flush found the disk full: it is retried, reads go on, writes go on while memtables have room.
    case diskFull
    /// A flush or compaction failed and is retried.
    case retrying(StorageError)
    /// A table's bytes are not what was written: this tablet must be fetched again from a peer.
    ///
    /// Reads that do not touch the bytes still answer.
    case damaged(StorageError)
    /// The manifest cannot be written: no flush can be recorded any more; reopen the tablet.
    case readOnly(StorageError)
}
