/// One shard of the block cache: a hash table with open addressing, and a clock hand that goes round it.
///
/// 1. A look-up touches one entry, mostly in one cache line, and marks it as used: nothing is relinked, so a hit writes to
///    no memory but that line (a list by last use writes to three entries far apart).
/// 2. Where room is needed the hand goes on: what was used since it last passed loses a mark, what has none goes.
/// 3. Removal moves the entries behind back (Knuth, volume 3, algorithm 6.4 R): there are no tombstones, and a look-up
///    ends at the first empty place.
///
/// Invariants: `charge` is the sum over the blocks, and at most `bytesMax` after each insert; at most three quarters of
/// the places are taken; a block is retained once by its entry.
///
/// SAFETY: `entries` holds `mask + 1` initialized entries; every index is masked.
// SENDABLE: used under the shard's mutex only.
final class BlockCacheShard: @unchecked Sendable {
    private struct Entry {
        var key = BlockKey(uid: 0, offset: 0)
        /// Nil: an empty place.
        var block: Unmanaged<Block.Storage>?
        /// How often the hand spares it.
        var marks: UInt8 = 0
    }

    /// A block that is asked for again and again survives that many rounds without being asked for.
    private static let marksMax: UInt8 = 2

    private let bytesMax: Int
    private var entries: UnsafeMutablePointer<Entry>
    private var mask: Int
    private var hand = 0
    private(set) var count = 0
    private(set) var charge = 0
    private(set) var hits: UInt64 = 0
    private(set) var misses: UInt64 = 0

    init(bytesMax: Int) {
        self.bytesMax = bytesMax
        mask = 63
        entries = .allocate(capacity: 64)
        entries.initialize(repeating: Entry(), count: 64)
    }

    deinit {
        for index in 0...mask { entries[index].block?.release() }
        entries.deallocate()
    }

    @inline(__always)
    func find(_ key: BlockKey, _ hash: UInt64) -> Block? {
        let index = place(of: key, hash)
        guard let block = entries[index].block else {
            misses &+= 1
            return nil
        }
        hits &+= 1
        if entries[index].marks < Self.marksMax { entries[index].marks &+= 1 }
        return Block(block.takeUnretainedValue())
    }

    /// Keeps `block`; returns the blocks that had to go.
    func insert(_ key: BlockKey, _ hash: UInt64, _ block: Block) -> [Block] {
        var evicted: [Block] = []
        let present = place(of: key, hash)
        if entries[present].block != nil { remove(at: present, &evicted) }
        guard block.charge <= bytesMax else { return evicted }
        while charge + block.charge > bytesMax { evictNext(&evicted) }
        if count * 4 >= (mask + 1) * 3 { grow() }
        let index = place(of: key, hash)
        entries[index] = Entry(key: key, block: .passRetained(block.storage), marks: 0)
        count += 1
        charge += block.charge
        return evicted
    }

    /// Lets go of the blocks of these files.
    func removeAll(of uids: Set<UInt64>) -> [Block] {
        var evicted: [Block] = []
        var index = 0
        while index <= mask {
            // After a removal another entry may have come to this place.
            if entries[index].block != nil, uids.contains(entries[index].key.uid) {
                remove(at: index, &evicted)
            } else {
                index += 1
            }
        }
        // An entry that wrapped round may have come to a place already passed.
        for index in stride(from: mask, through: 0, by: -1)
        where entries[index].block != nil && uids.contains(entries[index].key.uid) {
            remove(at: index, &evicted)
        }
        return evicted
    }

    /// Where the key is, or the empty place where it would be.
    @inline(__always)
    private func place(of key: BlockKey, _ hash: UInt64) -> Int {
        var index = Int(truncatingIfNeeded: hash) & mask
        while entries[index].block != nil, entries[index].key != key { index = (index &+ 1) & mask }
        return index
    }

    /// Lets the hand go on to the next block that has no mark, which goes.
    ///
    /// - Precondition: there is one block at least.
    private func evictNext(_ evicted: inout [Block]) {
        precondition(count > 0, "\(charge) bytes in a cache without blocks")
        while true {
            let index = hand & mask
            if entries[index].block == nil {
                hand = index &+ 1
            } else if entries[index].marks > 0 {
                entries[index].marks &-= 1
                hand = index &+ 1
            } else {
                return remove(at: index, &evicted)
            }
        }
    }

    private func remove(at index: Int, _ evicted: inout [Block]) {
        guard let block = entries[index].block.map({ Block($0.takeRetainedValue()) }) else { return }
        charge -= block.charge
        count -= 1
        evicted.append(block)
        var hole = index
        var next = (hole &+ 1) & mask
        while entries[next].block != nil {
            let home = Int(truncatingIfNeeded: entries[next].key.hash) & mask
            // It may move back to the hole unless its home lies behind the hole.
            if (next &- home) & mask >= (next &- hole) & mask {
                entries[hole] = entries[next]
                hole = next
            }
            next = (next &+ 1) & mask
        }
        entries[hole] = Entry()
    }

    private func grow() {
        let old = entries
        let oldCount = mask + 1
        mask = oldCount * 2 - 1
        entries = .allocate(capacity: mask + 1)
        entries.initialize(repeating: Entry(), count: mask + 1)
        for index in 0..<oldCount where old[index].block != nil {
            entries[place(of: old[index].key, old[index].key.hash)] = old[index]
        }
        old.deallocate()
        hand = 0
    }
}
