import CMemory
import Synchronization

/// What all tablets of a node share: block cache, open tables, and how much memory their memtables may take together.
package final class SharedResources: Sendable {
    /// The blocks in memory.
    package let blockCache: BlockCache
    /// The open tables.
    package let tableCache: TableCache
    /// How many bytes all memtables may take before the larger ones are sealed early.
    package let memtableBytesMax: Int
    /// Room on the disk to give back when it is full.
    package let ballast: Ballast?
    let scratches = ReadScratchPool()
    let arenas = ArenaPool()
    private let memtableBytesUsed = Atomic<Int>(0)
    private let tabletCount = Atomic<Int>(0)
    private let freedBytes = Atomic<Int>(0)
    private let arenasTrimmedAt = Atomic<UInt64>(0)

    /// Resources with these bounds.
    package init(
        blockCacheBytes: Int = 256 << 20,
        tablesOpenMax: Int = 512,
        memtableBytesMax: Int = 512 << 20,
        ballast: Ballast? = nil
    ) {
        blockCache = BlockCache(bytesMax: blockCacheBytes)
        tableCache = TableCache(openMax: tablesOpenMax)
        self.memtableBytesMax = memtableBytesMax
        self.ballast = ballast
    }

    /// The bytes in all memtables, sealed ones included.
    package var memtableBytes: Int { memtableBytesUsed.load(ordering: .relaxed) }

    func addMemtableBytes(_ bytes: Int) { memtableBytesUsed.add(bytes, ordering: .relaxed) }

    func addTablet(_ count: Int) { tabletCount.add(count, ordering: .relaxed) }

    /// Takes the blocks of removed tables out of the cache.
    func forgetBlocks(of uids: Set<UInt64>) { noteFreed(blockCache.removeAll(of: uids)) }

    func noteFreed(_ bytes: Int) { freedBytes.add(bytes, ordering: .relaxed) }

    /// Frees arenas that lay idle for some seconds.
    ///
    /// Any thread, as often as one likes.
    func trimArenas(_ nowNanoseconds: UInt64) {
        let last = arenasTrimmedAt.load(ordering: .relaxed)
        guard nowNanoseconds >= last &+ 5_000_000_000,
            arenasTrimmedAt.compareExchange(expected: last, desired: nowNanoseconds, ordering: .relaxed).exchanged
        else { return }
        noteFreed(arenas.trim())
    }

    /// From how many freed bytes on the allocator is asked to give memory back to the system.
    private static let trimBytesMin = 8 << 20

    /// Whether so much was freed since the last time that it is worth a walk over the heap; says so once.
    func shouldTrim() -> Bool {
        let freed = freedBytes.load(ordering: .relaxed)
        guard freed >= Self.trimBytesMin else { return false }
        return freedBytes.compareExchange(expected: freed, desired: 0, ordering: .relaxed).exchanged
    }

    /// Gives what the allocator holds free back to the system: a memtable or a thousand blocks leave holes in its heaps
    /// that it keeps otherwise.
    static func trim() { kv_memory_trim() }

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
