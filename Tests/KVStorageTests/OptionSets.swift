import Testing

@testable import KVStorage

/// Ways to set a tablet up that must make no difference to what it answers.
struct OptionSet: Sendable, CustomTestStringConvertible {
    let name: String
    let adjust: @Sendable (inout TabletOptions) -> Void

    var testDescription: String { name }

    init(_ name: String, _ adjust: @escaping @Sendable (inout TabletOptions) -> Void) {
        self.name = name
        self.adjust = adjust
    }

    static let all: [OptionSet] = [
        OptionSet("tiny") { _ in },
        OptionSet("as shipped") {
            let usual = TabletOptions(
                fileSystem: $0.fileSystem,
                directory: $0.directory,
                workers: $0.workers,
                clock: $0.clock,
                randomness: $0.randomness,
                shared: $0.shared
            )
            $0 = usual
        },
        OptionSet("no compression") {
            $0.upperCodec = .none
            $0.bottomCodec = .none
        },
        OptionSet("one entry a block") { $0.blockBytes = 1 },
        OptionSet("one entry a block, no compression") {
            $0.blockBytes = 1
            $0.upperCodec = .none
            $0.bottomCodec = .none
        },
        OptionSet("large blocks, strong compression") {
            $0.blockBytes = 16 << 10
            $0.upperCodec = .zstd(level: 3)
            $0.bottomCodec = .zstd(level: 9)
        },
        OptionSet("restart at every key") { $0.restartInterval = 1 },
        OptionSet("rare restarts") { $0.restartInterval = 128 },
        OptionSet("small tables") {
            $0.tableBytes = 512
            $0.levelMultiplier = 2
        },
        OptionSet("large tables") { $0.tableBytes = 1 << 20 },
        OptionSet("many levels") {
            $0.baseLevelBytes = 1 << 10
            $0.levelMultiplier = 2
            $0.tableBytes = 512
        },
        OptionSet("small memtable") { $0.memtableBytes = 256 },
        OptionSet("large memtable, late compaction") {
            $0.memtableBytes = 32 << 10
            $0.levelZeroCompactAt = 8
        },
        OptionSet("everything in the memtable") { $0.memtableBytes = 4 << 20 },
        OptionSet("compaction at every table") { $0.levelZeroCompactAt = 1 },
        OptionSet("no compaction by itself") { $0.compactsAutomatically = false },
        OptionSet("no cache") { $0.shared = SharedResources(blockCacheBytes: 0, tablesOpenMax: 8) },
        OptionSet("one open table") { $0.shared = SharedResources(blockCacheBytes: 64 << 10, tablesOpenMax: 1) },
        OptionSet("no cache, one open table, small blocks") {
            $0.shared = SharedResources(blockCacheBytes: 0, tablesOpenMax: 1)
            $0.blockBytes = 64
        },
        OptionSet("a small memory budget") {
            $0.shared = SharedResources(blockCacheBytes: 4 << 10, tablesOpenMax: 4, memtableBytesMax: 4 << 10)
            $0.memtableBytes = 64 << 10
        },
        OptionSet("own log, synced") {
            $0.durability = .log(synchronizes: true)
            $0.logSegmentBytes = 8 << 10
        },
        OptionSet("own log, written") {
            $0.durability = .log(synchronizes: false)
            $0.logSegmentBytes = 4 << 10
        },
        OptionSet("own log, segments made when needed, small memtable") {
            $0.durability = .log(synchronizes: true)
            $0.logSegmentBytes = 4 << 10
            $0.preparesLogSegments = false
            $0.memtableBytes = 512
        },
        OptionSet("own log, everything in the memtable") {
            $0.durability = .log(synchronizes: false)
            $0.memtableBytes = 4 << 20
        },
    ]
}
