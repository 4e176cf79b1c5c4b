package import KVBase
package import KVStorage

/// What the state machine needs of a tablet.
///
/// Generic code over it is specialized for `Tablet`; tests put a dictionary in its place that says "needs the disk"
/// when the test wants it to.
package protocol RowStore: AnyObject, Sendable {
    /// A point-in-time view to read in key order.
    associatedtype Cursor: RowCursor
    /// A moment that a cursor can go back to, while it lives.
    associatedtype Snapshot: Sendable

    /// How far it is, with the data it holds. Changed by `write` alone; home scheduler only.
    var mark: TabletMark { get }

    /// Hands the value of a row to `body`, which copies what it needs. Any thread.
    ///
    /// - Parameters:
    ///   - key: The row's key, prefix included.
    ///   - memoryOnly: Whether to give up where a block would have to be read.
    ///   - body: Called with a view, at most once, before this returns.
    /// - Returns: Whether `body` was called, or why not.
    /// - Throws: where stored bytes are damaged or a file cannot be read.
    func withRow(
        _ key: UnsafeRawBufferPointer,
        memoryOnly: Bool,
        _ body: (UnsafeRawBufferPointer) -> Void
    ) throws(StorageError) -> RowPresence

    /// Makes a batch take effect at once, with the mark that describes it.
    ///
    /// - Throws: `memtablesFull` where it can be tried again; anything else is final.
    func write(_ batch: borrowing WriteBatch, mark: TabletMark) throws(StorageError)

    /// Says that `batch` will be written next, so that `prefetch` can bring what that looks at into the cache.
    func announce(_ batch: borrowing WriteBatch, to prefetch: inout WritePrefetch)

    /// Now, as a moment to go back to. Any thread.
    func snapshot() -> Snapshot

    /// A cursor over the rows as they were at `snapshot`, or are now. Any thread; the cursor is for one thread at a time.
    ///
    /// - Throws: where the store is closed or a file cannot be read.
    func makeCursor(at snapshot: Snapshot?) throws(StorageError) -> Cursor
}

extension RowStore {
    /// Nothing to fetch.
    package func announce(_ batch: borrowing WriteBatch, to prefetch: inout WritePrefetch) {}
}

/// Whether a row is there.
package enum RowPresence: Sendable, Equatable {
    case found
    case absent
    /// Not known without reading a block.
    case needsDisk
}

/// Walks rows in key order, either way.
///
/// For one thread at a time; may read from the disk.
package protocol RowCursor {
    /// Whether it stands on a row.
    var isValid: Bool { get }
    /// The row's key, prefix included; valid until the cursor moves.
    var key: UnsafeRawBufferPointer { get }
    /// The row's value; valid until the cursor moves.
    var value: UnsafeRawBufferPointer { get }
    /// Goes to the first row at or after `key`.
    mutating func seek(to key: [UInt8]) throws(StorageError)
    /// Goes to the last row before `key`.
    mutating func seek(before key: [UInt8]) throws(StorageError)
    /// Goes to the next row.
    mutating func next() throws(StorageError)
    /// Goes to the row before.
    mutating func previous() throws(StorageError)
}

/// Why a committed entry could not be applied.
///
/// The tablet stops; no entry is skipped.
package enum ApplyError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The payload is not what any version writes, or a newer version wrote it.
    case unreadableEntry(index: LogIndex, DecodingError)
    /// A command is not what any version writes, or a newer version wrote it.
    case unreadableCommand(index: LogIndex, ordinal: UInt32, DecodingError)
    /// A row of the shard is damaged.
    case damagedRow(ShardID, DecodingError)
    /// The storage failed.
    case storage(ShardID, StorageError)
    /// The cluster uses what this program does not know yet.
    case newerFeatureLevel(UInt32, supported: UInt32)

    /// One line for a person.
    package var description: String {
        switch self {
        case .unreadableEntry(let index, let error):
            "entry \(index) cannot be read (\(error)): is a peer newer than this program?"
        case .unreadableCommand(let index, let ordinal, let error):
            "command \(ordinal) of entry \(index) cannot be read (\(error)): is a peer newer than this program?"
        case .damagedRow(let shard, let error): "a row of shard \(shard) is damaged (\(error)); rebuild it from a peer"
        case .storage(let shard, let error): "shard \(shard): \(error)"
        case .newerFeatureLevel(let level, let supported):
            "the cluster uses feature level \(level), this version supports \(supported): run a newer version"
        }
    }
}
