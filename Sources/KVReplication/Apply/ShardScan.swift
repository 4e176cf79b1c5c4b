package import KVBase
package import KVService
import KVStorage

// Reads over whole ranges, for a worker: they walk tables and may read from the disk at every step.

extension ScanRequest {
    /// How many bytes of keys and values a page holds at most, give or take one row.
    package static let pageBytesMax = 4 << 20
    /// How many rows a page holds at most.
    package static let limitMax = 10_000

    /// The rows' keys from which on and before which to read.
    fileprivate var rowBounds: (lower: [UInt8], upper: [UInt8]) {
        let lower = start.lexicographicallyPrecedes(prefix) ? prefix : start
        var upper = end.map { [TabletRows.userPrefix] + $0 } ?? [TabletRows.userEnd]
        let behindPrefix = ([TabletRows.userPrefix] + prefix).successorOfPrefix
        if behindPrefix.lexicographicallyPrecedes(upper) { upper = behindPrefix }
        return ([TabletRows.userPrefix] + lower, upper)
    }
}

extension [UInt8] {
    /// The least byte string that is greater than all that start with this one.
    ///
    /// - Precondition: one byte is below 255 (a user's row key starts with 1).
    fileprivate var successorOfPrefix: [UInt8] {
        var bytes = self
        while bytes.last == .max { bytes.removeLast() }
        precondition(!bytes.isEmpty, "nothing is greater than all bytes")
        bytes[bytes.count - 1] += 1
        return bytes
    }
}

/// Reads ranges of several shards as if they were one.
package enum ShardScan {
    /// Reads a page, merged over the shards in key order.
    ///
    /// For a worker thread.
    ///
    /// - Parameters:
    ///   - request: Which keys. Its limit counts as at least 1 and at most `ScanRequest.limitMax`.
    ///   - shards: The shards to merge; each is read at one moment of its own.
    ///   - time: What is expired by then is left out.
    /// - Returns: The page.
    /// - Throws: where a row is damaged or a file cannot be read.
    package static func page<Store: RowStore>(
        _ request: ScanRequest,
        over shards: [PinnedShard<Store>],
        time: UInt64
    ) throws(ApplyError) -> ScanPage {
        let (lower, upper) = request.rowBounds
        var page = ScanPage(rows: [], hasMore: false)
        guard lower.lexicographicallyPrecedes(upper) else { return page }
        var walks: [ShardWalk<Store>] = []
        for shard in shards {
            walks.append(
                try ShardWalk(
                    shard.reader,
                    at: shard.snapshot,
                    lower: lower,
                    upper: upper,
                    isReversed: request.isReversed
                )
            )
        }
        let limit = min(max(request.limit, 1), ScanRequest.limitMax)
        var bytes = 0
        while let place = nearest(walks, request.isReversed) {
            let stored = try walks[place].row()
            if !stored.isExpired(at: time) {
                guard page.rows.count < limit, bytes < ScanRequest.pageBytesMax else {
                    page.hasMore = true
                    break
                }
                let key = [UInt8](walks[place].userKey)
                let value = request.keysOnly ? [] : [UInt8](stored.bytes)
                bytes += key.count + value.count + 32
                page.rows.append(
                    ScanPage.Row(key: key, value: value, version: stored.version, expiresAt: stored.expiresAt)
                )
            }
            try walks[place].step()
        }
        return page
    }

    /// Counts the keys that are not expired by `time`.
    ///
    /// For a worker thread.
    ///
    /// - Complexity: O(rows).
    /// - Throws: where a row is damaged or a file cannot be read.
    package static func count<Store: RowStore>(
        over shards: [PinnedShard<Store>],
        time: UInt64
    ) throws(ApplyError) -> UInt64 {
        var count: UInt64 = 0
        for shard in shards {
            var walk = try ShardWalk(shard.reader, at: shard.snapshot)
            while walk.isInside {
                if !(try walk.row()).isExpired(at: time) { count += 1 }
                try walk.step()
            }
        }
        return count
    }

    /// Counts and hashes the rows of a shard, expired ones that are not swept included: what replicas at one applied
    /// index have in common.
    ///
    /// For a worker thread.
    ///
    /// - Complexity: O(bytes).
    /// - Throws: where a row is damaged or a file cannot be read.
    package static func digest<Store: RowStore>(
        of shard: PinnedShard<Store>,
        group: GroupID
    ) throws(ApplyError) -> ShardDigest {
        var walk = try ShardWalk(shard.reader, at: shard.snapshot)
        var hash = ContentHash()
        var keys: UInt64 = 0
        while walk.isInside {
            let stored = try walk.row()
            hash.add(walk.userKey)
            hash.add(stored.version)
            hash.add(stored.expiresAt)
            hash.add(stored.bytes)
            keys += 1
            try walk.step()
        }
        return ShardDigest(
            group: group,
            shard: shard.shard,
            appliedIndex: shard.mark.appliedIndex,
            keys: keys,
            hash: hash.value
        )
    }

    /// The walk that stands on the next row of all; nil where all have ended.
    private static func nearest<Store: RowStore>(_ walks: [ShardWalk<Store>], _ isReversed: Bool) -> Int? {
        var best: Int?
        for place in walks.indices where walks[place].isInside {
            guard let present = best else {
                best = place
                continue
            }
            let isBefore = walks[place].userKey.lexicographicallyPrecedes(walks[present].userKey)
            // No key is in two shards, so "not before" is "after".
            if isBefore != isReversed { best = place }
        }
        return best
    }
}

/// A walk over the users' rows of one shard, between two row keys, one way.
struct ShardWalk<Store: RowStore> {
    /// Whether it stands on a row between the bounds.
    private(set) var isInside = false
    private let shard: ShardID
    private var cursor: Store.Cursor
    private let lower: [UInt8]
    private let upper: [UInt8]
    private let isReversed: Bool

    /// A walk over all rows between the bounds, by default over all users' rows.
    init(
        _ reader: ShardReader<Store>,
        at snapshot: Store.Snapshot? = nil,
        lower: [UInt8] = [TabletRows.userPrefix],
        upper: [UInt8] = [TabletRows.userEnd],
        isReversed: Bool = false
    ) throws(ApplyError) {
        shard = reader.shard
        self.lower = lower
        self.upper = upper
        self.isReversed = isReversed
        do {
            cursor = try reader.store.makeCursor(at: snapshot)
            if isReversed { try cursor.seek(before: upper) } else { try cursor.seek(to: lower) }
        } catch {
            throw .storage(reader.shard, error)
        }
        settle()
    }

    /// The user's key; valid until the next step.
    var userKey: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: cursor.key[1...]) }

    /// The row; valid until the next step.
    func row() throws(ApplyError) -> StoredValue {
        do {
            return try StoredValue(cursor.value)
        } catch {
            throw .damagedRow(shard, error)
        }
    }

    mutating func step() throws(ApplyError) {
        do {
            if isReversed { try cursor.previous() } else { try cursor.next() }
        } catch {
            throw .storage(shard, error)
        }
        settle()
    }

    private mutating func settle() {
        guard cursor.isValid else {
            isInside = false
            return
        }
        isInside =
            isReversed ? !cursor.key.lexicographicallyPrecedes(lower) : cursor.key.lexicographicallyPrecedes(upper)
    }
}
