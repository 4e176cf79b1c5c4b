import KVBase
import KVStorage

/// Looks for expired keys of one shard, a bounded piece at a time, so that the leader can log their removal.
///
/// The leader runs a `round` on a worker with its logged time, proposes a sweep command for each key found
/// (`EntryBuilder.appendSweep`), and goes on with the sweeper that the round left. What is removed is decided when the command is
/// applied, from the row as it is then: a key that was written meanwhile has another version and stays.
package struct Sweeper: Sendable {
    /// A key that was expired when it was looked at.
    package struct Expired: Sendable, Equatable {
        /// The user's key.
        package let key: [UInt8]
        /// Its version.
        package let version: UInt64
    }

    /// How many rows a round looks at, at most.
    package static let rowsMax = 20_000
    /// How many keys a round finds, at most.
    package static let foundMax = 1024
    /// How many bytes the keys found have, at most, the last one aside: they go into one entry.
    package static let foundBytesMax = 128 << 10

    /// Where the next round starts: a row's key.
    private var position: [UInt8] = [TabletRows.userPrefix]

    /// A sweeper at the start of a shard.
    package init() {}

    /// Looks at the next piece of the shard.
    ///
    /// For a worker thread. A shard that never held an expiry is not looked at.
    ///
    /// - Parameters:
    ///   - shard: The shard, always the same one.
    ///   - time: What is expired by then is found; a time that is logged.
    ///   - rowsMax: How many rows to look at.
    /// - Returns: What was found, and whether the end was reached (the next round starts over).
    /// - Throws: where a row is damaged or a file cannot be read.
    package mutating func round<Store: RowStore>(
        _ shard: PinnedShard<Store>,
        time: UInt64,
        rowsMax: Int = Self.rowsMax
    ) throws(ApplyError) -> (found: [Expired], isAtEnd: Bool) {
        guard shard.mark.flags.contains(.holdsExpiries) else { return ([], true) }
        var found: [Expired] = []
        var walk = try ShardWalk(shard.reader, at: shard.snapshot, lower: position)
        var rows = 0
        var foundBytes = 0
        while walk.isInside {
            guard rows < rowsMax, found.count < Self.foundMax, foundBytes < Self.foundBytesMax else {
                position = TabletRows.key(walk.userKey)
                return (found, false)
            }
            let stored = try walk.row()
            if stored.isExpired(at: time) {
                found.append(Expired(key: [UInt8](walk.userKey), version: stored.version))
                foundBytes += walk.userKey.count
            }
            rows += 1
            try walk.step()
        }
        position = [TabletRows.userPrefix]
        return (found, true)
    }
}
