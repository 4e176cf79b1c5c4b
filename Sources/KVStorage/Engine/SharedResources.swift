import Synchronization

/// What all tablets of a node share: block cache, open tables, and how much memory their memtables may take together.
package final class SharedResources: Sendable {
    /// The blocks in memory.
    package let blockCache: BlockCache
    /// The open tables.
    package let tableCache: TableCache
    /// How many bytes all memtables may take before the larger ones are sealed early.
    package let memtableBytesMax: Int
    let scratches = ReadScratchPool()
    private let memtableBytesUsed = Atomic<Int>(0)
    private let tabletCount = Atomic<Int>(0)

    /// Resources with these bounds.
    package init(
        blockCacheBytes: Int = 256 << 20,
        tablesOpenMax: Int = 512,
        memtableBytesMax: Int = 512 << 20
    ) {
        blockCache = BlockCache(bytesMax: blockCacheBytes)
        tableCache = TableCache(openMax: tablesOpenMax)
        self.memtableBytesMax = memtableBytesMax
    }

    /// The bytes in all memtables, sealed ones included.
    package var memtableBytes: Int { memtableBytesUsed.load(ordering: .relaxed) }

    func addMemtableBytes(_ bytes: Int) { memtableBytesUsed.add(bytes, ordering: .relaxed) }

    func addTablet(_ count: Int) { tabletCount.add(count, ordering: .relaxed) }

    /// Whether a tablet whose active memtable holds `bytes` should seal it for the budget's sake: three quarters are
    /// used and it holds at least an average share.
    func shouldSeal(_ bytes: Int) -> Bool {
        let used = memtableBytes
        guard used > memtableBytesMax / 4 * 3 else { return false }
        return bytes >= used / max(1, tabletCount.load(ordering: .relaxed))
    }

    /// 0 up to half the budget, 1 where it is all used.
    var pressure: Double {
        let half = Double(memtableBytesMax) / 2
        return min(1, max(0, (Double(memtableBytes) - half) / half))
    }
}
