import KVEnvironment
import KVStorage

/// The bounds of every tablet of a node; what each means stands at `TabletOptions`.
package struct TabletSettings: Sendable {
    /// When a memtable is full, in bytes.
    package var memtableBytes = 16 << 20
    /// How many bytes all memtables of the node may take.
    package var memoryBudgetBytes = 512 << 20
    /// How many bytes a table has.
    package var tableBytes: UInt64 = 32 << 20
    /// How many bytes level 1 has before more go down.
    package var baseLevelBytes: UInt64 = 256 << 20
    /// Whether blocks are compressed.
    package var isCompressed = true
    /// From how many tables in level 0 on they are compacted.
    package var levelZeroCompactAt = 4
    /// From how many on writers feel it.
    package var levelZeroSlowAt = 8
    /// From how many on writers must stop.
    package var levelZeroStopAt = 20
    /// How many tables may be open.
    package var tablesOpenMax = 512

    /// The defaults.
    package init() {}

    func options(
        _ directory: String,
        _ environment: NodeEnvironment,
        _ shared: SharedResources,
        onDurable: @escaping @Sendable (TabletMark) -> Void
    ) -> TabletOptions {
        var options = TabletOptions(
            fileSystem: environment.fileSystem,
            directory: directory,
            workers: environment.background,
            clock: environment.clock,
            randomness: environment.randomness,
            shared: shared
        )
        options.memtableBytes = memtableBytes
        options.tableBytes = tableBytes
        options.baseLevelBytes = baseLevelBytes
        options.levelZeroCompactAt = levelZeroCompactAt
        options.levelZeroSlowAt = levelZeroSlowAt
        options.levelZeroStopAt = levelZeroStopAt
        if !isCompressed {
            options.upperCodec = .none
            options.bottomCodec = .none
        }
        options.onDurable = onDurable
        return options
    }
}

extension Tablet {
    /// What is wrong with it, in words; nil while all is well.
    var problem: String? { state.problem }
}

extension TabletState {
    /// What is wrong, in words; nil while all is well.
    var problem: String? {
        switch self {
        case .healthy: nil
        case .diskFull: "the disk is full: flushing waits for room"
        case .retrying(let error): "a background job failed and is retried: \(error)"
        case .damaged(let error): "the tablet is damaged and must be fetched again from a peer: \(error)"
        case .readOnly(let error): "the manifest cannot be written, restart the node: \(error)"
        }
    }
}
