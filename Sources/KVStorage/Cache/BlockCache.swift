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

/// The blocks in memory, of all tablets of a node: bounded by charge, in shards with a lock each; what was not used for
/// long goes first.
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
