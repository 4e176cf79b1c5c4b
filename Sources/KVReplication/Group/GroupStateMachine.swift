package import KVBase
package import KVRaft
package import KVService
package import KVStorage

/// How far an entry got.
package enum ApplyOutcome {
    /// All of it took effect.
    case done
    /// Old values that it needs are on disk, or memtables are full: nothing of the blocked part was changed. `load` waits for what is
    /// missing and calls back on the home scheduler, with why not where that is; then `apply` is called again with the same entry.
    case blocked(load: (@escaping @Sendable ((any Error)?) -> Void) -> Void)
}

/// How a read went.
package enum ReadOutcome {
    /// The reply was handed over.
    case done
    /// A block is on disk: the reader answers on a worker.
    case onWorker(ShardReader<Tablet>, loggedTime: UInt64)
    /// The key's expiry has passed by the leader's clock but not by the log's: nobody may call it absent before the time is logged.
    case needsTime
}

/// What a group's committed entries change: the tablets of its shards, or the controller's state.
///
/// Home scheduler only.
package protocol GroupStateMachine: AnyObject {
    /// The tablets that hold the state, in a fixed order: what is flushed, cut for and copied in snapshots.
    var tablets: [HostedTablet] { get }
    /// Goes on from other tablets: those of an installed snapshot.
    /// - Throws: where their state cannot be read.
    func replace(_ tablets: [HostedTablet]) throws
    /// Applies an entry of kind `commands`. What a tablet has applied already is skipped by what the tablet itself says.
    /// `reply` hears the outcome of each command by its position in the entry once the entry is done.
    /// - Throws: where stored bytes cannot be read or the entry is no entry: the group stops applying.
    func apply(_ entry: Entry, wantsReplies: Bool, reply: (Int, borrowing Reply) -> Void) throws -> ApplyOutcome
    /// Serves a get or head. `now` is the leader's wall clock, or nil for a stale read, which goes by logged time.
    /// - Throws: where stored bytes cannot be read.
    func read(_ request: RoutedRequest, now: UInt64?, reply: (borrowing Reply) -> Void) throws -> ReadOutcome
    /// The highest logged time that was applied, in milliseconds since 1970.
    var loggedTime: UInt64 { get }
}

/// A tablet with the name under which the group's manifest knows it.
package struct HostedTablet: Sendable {
    /// Its directory's name.
    package let name: GroupManifestState.TabletName
    /// The tablet.
    package let tablet: Tablet

    /// A tablet of this name.
    package init(name: GroupManifestState.TabletName, tablet: Tablet) {
        self.name = name
        self.tablet = tablet
    }

    /// The shard whose data it holds.
    package var shard: ShardID { name.shard }
    /// The shard's epoch for which it was made.
    package var epoch: Epoch { name.epoch }
}
