import Synchronization

/// Which block of which file: files are told apart by their uid, so tablets share one cache.
struct BlockKey: Equatable {
    let uid: UInt64
    let offset: UInt64

    @inline(__always)
    var hash: UInt64 {
        var x = uid ^ (offset &* 0x9e37_79b9_7f4a_7c15)
        x ^= x >> 32
        x = x &* 0xd6e8_feb8_6659_fd93
        x ^= x >> 32
        return x
    }
}

/// The blocks in memory, of all tablets of a node: bounded by charge, in shards with a lock each, least recently used
/// first out.
///
/// A block that somebody reads stays alive through the reader's reference after it left the cache, so nothing here
/// waits for readers. Any thread.
package final class BlockCache: Sendable {
    private let shards: [Shard]
    private let negatives = Atomic<UInt64>(0)
    private let falsePositives = Atomic<UInt64>(0)
    /// How many bytes of blocks are kept at most.
    package let bytesMax: Int

    private final class Shard: Sendable {
        let state: Mutex<BlockCacheShard>
        init(bytesMax: Int) { state = Mutex(BlockCacheShard(bytesMax: bytesMax)) }
    }

    /// A cache of at most `bytesMax` bytes.
    package init(bytesMax: Int, shardCount: Int = 16) {
        precondition(
            shardCount > 0 && shardCount & (shardCount - 1) == 0,
            "\(shardCount) shards: a power of two is needed"
        )
        self.bytesMax = bytesMax
        shards = (0..<shardCount).map { _ in Shard(bytesMax: bytesMax / shardCount) }
    }

    func find(_ key: BlockKey) -> Block? {
        let hash = key.hash
        return shards[Int(hash >> 56) & (shards.count - 1)].state.withLock { $0.find(key, hash) }
    }

    func insert(_ key: BlockKey, _ block: Block) {
        let hash = key.hash
        // The evicted blocks are let go after the lock.
        let evicted = shards[Int(hash >> 56) & (shards.count - 1)].state.withLock { $0.insert(key, hash, block) }
        withExtendedLifetime(evicted) {}
    }

    /// Lets go of the blocks of these files; returns how many bytes they took.
    func removeAll(of uids: Set<UInt64>) -> Int {
        shards.reduce(0) { sum, shard in
            let evicted = shard.state.withLock { $0.removeAll(of: uids) }
            return sum + evicted.reduce(0) { $0 + $1.charge }
        }
    }

    /// The charge of all blocks.
    package var bytes: Int { shards.reduce(0) { $0 + $1.state.withLock { $0.charge } } }

    /// Look-ups that found their block, and that did not.
    package var lookups: (hits: UInt64, misses: UInt64) {
        shards.reduce((0, 0)) { sum, shard in
            shard.state.withLock { (sum.hits + $0.hits, sum.misses + $0.misses) }
        }
    }

    /// Counts a table that its filter spared a lookup.
    ///
    /// Not a locked addition: it is on the path of every read, and of two threads that count at once one may be lost.
    @inline(__always)
    func countFilterNegative() {
        negatives.store(negatives.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
    }

    /// Counts a table that was searched in vain although its filter let the key through.
    func countFalsePositive() { falsePositives.add(1, ordering: .relaxed) }

    /// Tables that filters spared lookups, about.
    package var filterNegatives: UInt64 { negatives.load(ordering: .relaxed) }
    /// Tables that lookups searched in vain.
    package var filterFalsePositives: UInt64 { falsePositives.load(ordering: .relaxed) }
}

/// One shard: a chained hash table and a list by last use, both as indexes into one array of slots.
///
/// Invariants: every used slot is in exactly one chain and in the list once; `charge` is the sum over used slots, and
/// at most `bytesMax` after each insert unless a single block is larger.
struct BlockCacheShard {
    private struct Slot {
        var key = BlockKey(uid: 0, offset: 0)
        var block: Block?
        var chain: Int32 = -1
        var newer: Int32 = -1
        var older: Int32 = -1
    }

    private let bytesMax: Int
    private var slots: [Slot] = []
    private var free: [Int32] = []
    private var buckets: [Int32]
    private var newest: Int32 = -1
    private var oldest: Int32 = -1
    private(set) var charge = 0
    private(set) var hits: UInt64 = 0
    private(set) var misses: UInt64 = 0

    init(bytesMax: Int) {
        self.bytesMax = bytesMax
        buckets = [Int32](repeating: -1, count: 64)
    }

    var count: Int { slots.count - free.count }

    mutating func find(_ key: BlockKey, _ hash: UInt64) -> Block? {
        let index = slot(of: key, hash)
        guard index >= 0 else {
            misses &+= 1
            return nil
        }
        hits &+= 1
        if newest != index {
            unlink(index)
            pushNewest(index)
        }
        return slots[Int(index)].block
    }

    /// Keeps `block`; returns the blocks that had to go.
    mutating func insert(_ key: BlockKey, _ hash: UInt64, _ block: Block) -> [Block] {
        var evicted: [Block] = []
        let present = slot(of: key, hash)
        if present >= 0 { remove(present, hash, &evicted) }
        while charge + block.charge > bytesMax, oldest >= 0 {
            remove(oldest, slots[Int(oldest)].key.hash, &evicted)
        }
        guard charge + block.charge <= bytesMax else { return evicted }
        if count >= buckets.count { rehash() }
        let index: Int32
        if let reused = free.popLast() {
            index = reused
        } else {
            index = Int32(slots.count)
            slots.append(Slot())
        }
        let bucket = Int(truncatingIfNeeded: hash) & (buckets.count - 1)
        slots[Int(index)].key = key
        slots[Int(index)].block = block
        slots[Int(index)].chain = buckets[bucket]
        buckets[bucket] = index
        pushNewest(index)
        charge += block.charge
        return evicted
    }

    /// Removes the blocks of these files and returns them.
    mutating func removeAll(of uids: Set<UInt64>) -> [Block] {
        var evicted: [Block] = []
        var index = newest
        while index >= 0 {
            let (key, older) = (slots[Int(index)].key, slots[Int(index)].older)
            if uids.contains(key.uid) { remove(index, key.hash, &evicted) }
            index = older
        }
        return evicted
    }

    private func slot(of key: BlockKey, _ hash: UInt64) -> Int32 {
        var index = buckets[Int(truncatingIfNeeded: hash) & (buckets.count - 1)]
        while index >= 0, slots[Int(index)].key != key { index = slots[Int(index)].chain }
        return index
    }

    private mutating func remove(_ index: Int32, _ hash: UInt64, _ evicted: inout [Block]) {
        let bucket = Int(truncatingIfNeeded: hash) & (buckets.count - 1)
        if buckets[bucket] == index {
            buckets[bucket] = slots[Int(index)].chain
        } else {
            var before = buckets[bucket]
            while slots[Int(before)].chain != index { before = slots[Int(before)].chain }
            slots[Int(before)].chain = slots[Int(index)].chain
        }
        unlink(index)
        if let block = slots[Int(index)].block {
            charge -= block.charge
            evicted.append(block)
        }
        slots[Int(index)].block = nil
        free.append(index)
    }

    private mutating func unlink(_ index: Int32) {
        let slot = slots[Int(index)]
        if slot.newer >= 0 { slots[Int(slot.newer)].older = slot.older } else { newest = slot.older }
        if slot.older >= 0 { slots[Int(slot.older)].newer = slot.newer } else { oldest = slot.newer }
    }

    private mutating func pushNewest(_ index: Int32) {
        slots[Int(index)].newer = -1
        slots[Int(index)].older = newest
        if newest >= 0 { slots[Int(newest)].newer = index } else { oldest = index }
        newest = index
    }

    private mutating func rehash() {
        buckets = [Int32](repeating: -1, count: buckets.count * 2)
        var index = newest
        while index >= 0 {
            let bucket = Int(truncatingIfNeeded: slots[Int(index)].key.hash) & (buckets.count - 1)
            slots[Int(index)].chain = buckets[bucket]
            buckets[bucket] = index
            index = slots[Int(index)].older
        }
    }
}
