package import KVBase
package import KVRaft
package import KVStorage

/// Applies log entries to one shard's tablet outside a node, by the node's own state machine.
///
/// Single-threaded: `settle` runs the tablet's background work where an entry waits for it.
package final class TabletReplay {
    private let applier: EntryApplier<Tablet>
    private let shard: ShardID
    private let settle: () -> Void
    /// How often an entry may find memtables full before the replay gives up.
    private static let stallsMax = 1_000

    /// A replay into `tablet`, which holds `shard` as of `epoch`.
    package init(_ tablet: Tablet, shard: ShardID, epoch: Epoch, settle: @escaping () -> Void) {
        self.shard = shard
        self.settle = settle
        applier = EntryApplier([ShardStateMachine(shard: shard, store: tablet, epoch: epoch)])
    }

    /// How far the shard is.
    package var mark: TabletMark { applier[shard]?.mark ?? TabletMark() }

    /// Applies the next entry; one that the tablet holds already changes nothing.
    ///
    /// - Throws: why it cannot be applied.
    package func apply(_ entry: Entry) throws(ApplyError) {
        var stalls = 0
        while true {
            switch try applier.apply(entry, wantsReplies: false) {
            case .applied: return
            case .blocked(let missing):
                for rows in missing {
                    do throws(StorageError) { applier.deliver(try rows.fetch(), for: rows.shard) } catch {
                        throw .storage(shard, error)
                    }
                }
            case .stalled:
                stalls += 1
                guard stalls < Self.stallsMax else { throw .storage(shard, .memtablesFull) }
                settle()
            }
        }
    }
}
