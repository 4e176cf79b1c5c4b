/// Brings what the coming writes to several tablets will look at into the cache, all of them in turns: a batch that is spread
/// thinly over many tablets has as much to overlap as one that goes to a single tablet.
///
/// Collect with `Tablet.announce`, then `run`, then write. Reuse one: it keeps its memory. Not for use by several threads.
package struct WritePrefetch {
    private var keys: [UInt8] = []
    private var walks: [(memtable: Memtable, offset: Int, count: Int)] = []

    /// Without anything to fetch.
    package init() {}

    mutating func add(_ batch: StagedBatch, to memtable: Memtable) {
        var cursor = WriteBatchCursor(batch.bytes)
        while cursor.next({ _, key, _ in
            walks.append((memtable, keys.count, key.count))
            keys.append(contentsOf: key.buffer)
        }) {}
    }

    /// Fetches for everything announced since the last run, and forgets it.
    package mutating func run() {
        defer {
            keys.removeAll(keepingCapacity: true)
            walks.removeAll(keepingCapacity: true)
        }
        guard walks.count > 1 else { return }
        keys.withView { bytes in
            var position = 0
            SkipList.prefetchPaths {
                guard position < walks.count else { return nil }
                let walk = walks[position]
                position &+= 1
                return (walk.memtable.list, ByteView(bytes.base + walk.offset, walk.count))
            }
        }
    }
}

extension Tablet {
    /// Says that `batch` will be written next: `prefetch` fetches what that looks at, with what others announce.
    ///
    /// Home scheduler only.
    package func announce(_ batch: borrowing WriteBatch, to prefetch: inout WritePrefetch) {
        guard batch.count > 0, active.isWorthPrefetching else { return }
        isAnnounced = true
        batch.withStaged { prefetch.add($0, to: active) }
    }
}
