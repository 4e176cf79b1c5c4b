import CMemory
import Synchronization

/// The newest writes of a tablet, sorted, in memory: a skip list in an arena, beside it the range deletions.
///
/// 1. One writer (the tablet's home scheduler) inserts, until the memtable is sealed. Any thread reads at any time;
///    what a reader may see is bounded by sequence, not by this type.
/// 2. The arena is address space reserved at once and committed as it is touched; it never grows: `fits` says whether
///    a batch has room, and the tablet seals before it would not. Nodes with their keys go up from its start, rows with
///    the values come down from its end: a search touches nodes only, so that more of them are in the processor's cache.
/// 3. It keeps the mark of the last batch, which the flush makes durable together with the data, and the applied
///    index of the first, from which the Raft log must be kept while this memtable is not on disk.
///
// SENDABLE: `list` is safe for one writer and many readers; the writer's own fields are touched only on the tablet's
// home scheduler until the seal, which publishes them through the tablet's mutex; `ranges` has its own mutex.
final class Memtable: @unchecked Sendable {
    let id: UInt64
    let list: SkipList
    let capacity: Int

    // Owned by the writer until the seal.
    /// Where the next node may start.
    private var front = SkipList.firstFree
    /// Where the last value starts.
    private var back: Int
    private(set) var entryCount = 0
    private(set) var tombstoneCount = 0
    private(set) var mark: TabletMark
    private(set) var firstIndex: LogIndexOrNone = .none
    private(set) var lastSequence: UInt64
    /// Where the tablet has a log of its own: all records of this memtable lie before this segment.
    ///
    /// Set at the seal.
    var logNumberAfter: UInt64 = 0
    /// When the first batch came, by the monotonic clock.
    private(set) var bornNanoseconds: UInt64 = 0
    private let tails: UnsafeMutablePointer<UInt32>
    private var randomState: UInt64

    private let hasRanges = Atomic<Bool>(false)
    private let ranges = Mutex<RangeTombstoneSet>(RangeTombstoneSet([]))

    /// The applied index of a memtable's first batch, if there was one.
    typealias LogIndexOrNone = UInt64?

    private let shared: SharedResources
    /// What was added to the shared budget.
    private var charged = 0
    private var usesLargePages = false

    init(
        id: UInt64,
        capacity: Int,
        mark: TabletMark,
        lastSequence: UInt64,
        shared: SharedResources
    ) {
        precondition(capacity > SkipList.firstFree && capacity < Int(UInt32.max), "memtable of \(capacity) bytes")
        self.id = id
        self.capacity = capacity
        back = capacity
        self.mark = mark
        self.lastSequence = lastSequence
        self.shared = shared
        let alignment = capacity > 2 * Self.largePage ? Self.largePage : 64
        let memory = shared.arenas.take(capacity, alignment: alignment)
        list = SkipList(base: memory, index: AnchorIndex(capacity: capacity))
        for level in 0..<SkipList.heightMax { list.link(SkipList.head, level).initialize(to: Atomic(0)) }
        tails = .allocate(capacity: SkipList.heightMax)
        tails.initialize(repeating: SkipList.head, count: SkipList.heightMax)
        randomState = 0x2545_f491_4f6c_dd1d &* (id | 1)
    }

    deinit {
        shared.addMemtableBytes(-charged)
        shared.noteFreed(used)
        shared.arenas.give(list.base, capacity)
        list.index.deallocate()
        tails.deallocate()
    }

    /// How many bytes of the arena are taken.
    ///
    /// Writer only.
    var used: Int { front &+ (capacity &- back) }

    /// By how much it grew since the last call, now charged to the shared budget by the caller.
    ///
    /// Writer only.
    func chargeGrowth() -> Int {
        defer { charged = used }
        if used > 2 * Self.largePage, !usesLargePages { useLargePages() }
        return used - charged
    }

    /// The size of a large page of memory.
    private static let largePage = 2 << 20

    /// Makes the arena's pages large ones, where it is in use: a search touches many of them.
    ///
    /// An idle tablet takes little, and one that is written to now and then no more than what is in it: two of its ends are touched,
    /// and each would take a large page.
    private func useLargePages() {
        usesLargePages = true
        guard capacity > 2 * Self.largePage else { return }
        kv_use_large_pages(list.base, capacity, Self.largePage)
    }

    /// Whether nothing was written, not even a mark.
    var isClean: Bool { firstIndex == nil }

    /// Whether it holds neither keys nor range deletions (it may still carry a newer mark).
    var isEmpty: Bool { entryCount == 0 && !hasRanges.load(ordering: .acquiring) }

    /// Whether it outgrew the processor's own cache, so that a search waits for memory.
    var isWorthPrefetching: Bool { used > 256 << 10 }

    /// Whether `entries` entries with `bytes` of keys and values have room for certain.
    func fits(entries: Int, bytes: Int) -> Bool { fits(bytes: Self.worstCase(entries: entries, bytes: bytes)) }

    /// Whether entries that take at most `bytes` bytes here have room.
    func fits(bytes: Int) -> Bool { used + bytes <= capacity }

    /// The room that entries may take: their bytes, node and row, a full tower, alignment of both.
    static func worstCase(entries: Int, bytes: Int) -> Int {
        bytes + entries * (SkipList.nodeHeader + SkipList.rowHeader + 4 * (SkipList.heightMax - 1) + 12)
    }

    /// Notes that a batch with this mark is in.
    ///
    /// Writer only.
    func advance(to mark: TabletMark, lastSequence: UInt64, nowNanoseconds: UInt64) {
        if firstIndex == nil {
            firstIndex = mark.appliedIndex
            bornNanoseconds = nowNanoseconds
        }
        self.mark = mark
        self.lastSequence = lastSequence
    }

    /// Takes over what finished tables brought.
    ///
    /// Writer only.
    /// - Precondition: nothing was written to it.
    func adopt(mark: TabletMark, lastSequence: UInt64) {
        precondition(isClean, "tables were taken in under a memtable that was written to")
        self.mark = mark
        self.lastSequence = lastSequence
    }

    /// Inserts an entry.
    ///
    /// Writer only.
    /// - Precondition: it fits, and no entry of this key has this tag or a newer one.
    func insert(_ key: ByteView, _ tag: UInt64, _ value: ByteView) {
        entryCount &+= 1
        if EntryKind.put != EntryTag.kind(tag) { tombstoneCount &+= 1 }
        // Keys often arrive in order: then the predecessors are the last anchors of each level.
        let tail = tails[0]
        let order = tail == SkipList.head ? -1 : compareBytes(list.key(tail), key)
        if order == 0 { return addVersion(tail, key, tag, value) }
        let hash = hashKey(key)
        if order < 0 {
            let (node, height) = makeAnchor(key, tag, value)
            for level in 0..<height {
                list.link(node, level).initialize(to: Atomic(0))
                list.link(tails[level], level).pointee.store(node, ordering: .releasing)
                tails[level] = node
            }
            return list.index.remember(node, hash)
        }
        let anchor = list.index.candidate(hash)
        if anchor != 0, compareBytes(list.key(anchor), key) == 0 { return addVersion(anchor, key, tag, value) }
        withUnsafeTemporaryAllocation(of: UInt32.self, capacity: SkipList.heightMax) { before in
            var current = SkipList.head
            var known: UInt32 = 0
            var level = SkipList.heightMax - 1
            while level >= 0 {
                let candidate = list.nextAnchor(current, level)
                if candidate != known, candidate != 0 {
                    list.prefetchBelow(current, level)
                    let order = compareBytes(list.key(candidate), key)
                    if order < 0 {
                        current = candidate
                        continue
                    }
                    if order == 0 {
                        addVersion(candidate, key, tag, value)
                        return list.index.remember(candidate, hash)
                    }
                }
                before[level] = current
                known = candidate
                level &-= 1
            }
            let (node, height) = makeAnchor(key, tag, value)
            for level in 0..<height {
                let after = list.nextAnchor(before[level], level)
                list.link(node, level).initialize(to: Atomic(after))
                list.link(before[level], level).pointee.store(node, ordering: .releasing)
                if after == 0 { tails[level] = node }
            }
            list.index.remember(node, hash)
        }
    }

    /// A key's first version, not linked yet, with a tower of the height that is returned.
    @inline(__always)
    private func makeAnchor(_ key: ByteView, _ tag: UInt64, _ value: ByteView) -> (UInt32, Int) {
        let height = randomHeight()
        let node = place(above: 4 &* (height &- 1), key, tag, value, flag: 0)
        return (node, height)
    }

    /// Hangs a newer version behind the anchor of its key.
    @inline(__always)
    private func addVersion(_ anchor: UInt32, _ key: ByteView, _ tag: UInt64, _ value: ByteView) {
        let older = list.newest(anchor)
        precondition(list.tag(older) < tag, "version \(tag) after \(list.tag(older))")
        let node = place(above: 0, key, tag, value, flag: SkipList.versionBit)
        list.link(node, 0).initialize(to: Atomic(older))
        list.newestLink(anchor).pointee.store(node, ordering: .releasing)
        list.newerLink(older).pointee.store(node, ordering: .releasing)
    }

    /// Takes room for a node, `tower` bytes below it, and fills it but for its links to others.
    @inline(__always)
    private func place(
        above tower: Int,
        _ key: ByteView,
        _ tag: UInt64,
        _ value: ByteView,
        flag: UInt32
    ) -> UInt32 {
        let node = (front &+ tower &+ 3) & ~3
        let end = node &+ SkipList.nodeHeader &+ key.count
        let row = (back &- SkipList.rowHeader &- value.count) & ~7
        precondition(end <= row, "memtable of \(capacity) bytes overrun at \(end), \(row)")
        front = end
        back = row
        let offset = UInt32(truncatingIfNeeded: node)
        let place = list.base + node
        place.storeBytes(of: UInt32(truncatingIfNeeded: key.count) | flag, toByteOffset: 4, as: UInt32.self)
        place.storeBytes(of: UInt32(truncatingIfNeeded: row), toByteOffset: 8, as: UInt32.self)
        (place + SkipList.nodeHeader).copyMemory(from: key.base, byteCount: key.count)
        let rest = list.base + row
        rest.storeBytes(of: tag, as: UInt64.self)
        rest.storeBytes(of: UInt32(truncatingIfNeeded: value.count), toByteOffset: 8, as: UInt32.self)
        list.newestLink(offset).initialize(to: Atomic(0))
        list.newerLink(offset).initialize(to: Atomic(0))
        (rest + SkipList.rowHeader).copyMemory(from: value.base, byteCount: value.count)
        return offset
    }

    /// Adds a range deletion.
    ///
    /// Writer only.
    func insertRange(_ tombstone: RangeTombstone) {
        ranges.withLock { $0 = $0.adding(tombstone) }
        hasRanges.store(true, ordering: .releasing)
    }

    /// The range deletions so far.
    ///
    /// Any thread.
    var rangeTombstones: RangeTombstoneSet? {
        guard hasRanges.load(ordering: .acquiring) else { return nil }
        return ranges.withLock { $0 }
    }

    /// 1 … 20, each level half of the one below.
    private func randomHeight() -> Int {
        randomState ^= randomState &<< 13
        randomState ^= randomState &>> 7
        randomState ^= randomState &<< 17
        return 1 &+ (randomState | 1 &<< UInt64(SkipList.heightMax &- 1)).trailingZeroBitCount
    }
}
