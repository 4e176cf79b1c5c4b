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
    /// Where the next round starts among the records.
    private var recordPosition: [UInt8] = RecordRows.sessionPrefix

    /// A sweeper at the start of a shard.
    package init() {}

    /// Looks at the next piece of the shard's sessions and tokens.
    ///
    /// For a worker thread. A shard that never held one is not looked at.
    ///
    /// - Parameters:
    ///   - shard: The shard, always the same one.
    ///   - time: What is expired by then is found.
    ///   - rowsMax: How many rows to look at.
    /// - Returns: The row keys of those that are expired.
    /// - Throws: where a row is damaged or a file cannot be read.
    package mutating func recordRound<Store: RowStore>(
        _ shard: PinnedShard<Store>,
        time: UInt64,
        rowsMax: Int = Self.rowsMax
    ) throws(ApplyError) -> [[UInt8]] {
        guard shard.mark.flags.contains(.holdsRecords) else { return [] }
        var found: [[UInt8]] = []
        do {
            var cursor = try shard.reader.store.makeCursor(at: shard.snapshot)
            try cursor.seek(to: recordPosition)
            var rows = 0
            while cursor.isValid, cursor.key.first == TabletRows.internalPrefix {
                let key = [UInt8](cursor.key)
                guard rows < rowsMax, found.count < Self.foundMax else {
                    recordPosition = key
                    return found
                }
                if try RecordRows.isExpired(key, cursor.value, at: time) { found.append(key) }
                rows += 1
                try cursor.next()
            }
        } catch let error as DecodingError {
            throw .damagedRow(shard.shard, error)
        } catch let error as StorageError {
            throw .storage(shard.shard, error)
        } catch {
            preconditionFailure("an error of another kind: \(error)")
        }
        recordPosition = RecordRows.sessionPrefix
        return found
    }

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
