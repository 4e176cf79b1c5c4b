import KVPosix
import KVStorage

/// How the engine is set up for a run; the defaults are the parity flags of db_bench (docs/operations/benchmarks.md).
struct EngineSettings {
    var directory: String
    var count: UInt64
    var reads: UInt64
    var writes: UInt64
    var keyBytes: Int
    var valueBytes: Int
    var threads: Int
    var seed: UInt64
    var synchronizes: Bool
    var disablesLog: Bool
    var cacheBytes: Int
    var blockBytes: Int
    var memtableBytes: Int
    var memtablesMax: Int
    var tableBytes: UInt64
    var baseLevelBytes: UInt64
    var logSegmentBytes: UInt64
    /// Zstandard's level; nil: blocks are stored as they are.
    var compressionLevel: Int?
    var usesExistingTablet: Bool
    var backgroundThreads: Int
    var fillsCache: Bool

    /// The tablet's options for a workload.
    func options(synchronizes: Bool, workers: ThreadWorkerPool) -> TabletOptions {
        var options = TabletOptions(
            fileSystem: PosixFileSystem(),
            directory: directory,
            workers: workers,
            clock: PosixClock(),
            randomness: SystemRandomness(),
            shared: SharedResources(
                blockCacheBytes: cacheBytes,
                tablesOpenMax: 4096,
                memtableBytesMax: memtableBytes * (memtablesMax + 2)
            )
        )
        options.durability = disablesLog ? .external : .log(synchronizes: synchronizes)
        options.memtableBytes = memtableBytes
        options.sealedMax = memtablesMax - 1
        options.sealedHardMax = memtablesMax - 1
        options.blockBytes = blockBytes
        options.tableBytes = tableBytes
        options.logSegmentBytes = logSegmentBytes
        options.baseLevelBytes = baseLevelBytes
        let codec = compressionLevel.map { BlockCodec.zstd(level: $0) } ?? .none
        options.upperCodec = codec
        options.bottomCodec = codec
        return options
    }
}
