import CMemory
import Synchronization

/// Remembers where the anchors of keys are, so that a key which is written or read again is found without a search.
///
/// A cache: one slot for each hash, the last anchor to want it stays. What it does not know must be searched for. Each slot
/// holds an anchor's place and eight bits of its key's hash, so that other keys are rarely looked at:
/// `bits 0 … 23: offset / 4 · bits 24 … 31: hash`.
///
/// One writer; any number of readers at the same time.
///
/// SAFETY: `slots` is `Memtable`'s allocation, `mask + 1` of them; the holder of an index holds the memtable.
struct AnchorIndex {
    private let slots: UnsafeMutablePointer<Atomic<UInt32>>
    private let mask: Int

    /// An empty index for an arena of `capacity` bytes: a slot for every 2 KiB, 256 at least.
    init(capacity: Int) {
        var count = 256
        while count < 1 << 20, count &* 2048 < capacity { count &*= 2 }
        mask = count - 1
        slots = .allocate(capacity: count)
        for slot in 0..<count { (slots + slot).initialize(to: Atomic(0)) }
    }

    func deallocate() { slots.deallocate() }

    /// The anchor that was last remembered for such a hash, whose key may be another; 0 where there is none.
    @inline(__always)
    func candidate(_ hash: UInt64) -> UInt32 {
        let slot = slots[Int(truncatingIfNeeded: hash) & mask].load(ordering: .acquiring)
        return slot &>> 24 == UInt32(truncatingIfNeeded: hash &>> 56) ? (slot & 0xff_ffff) &<< 2 : 0
    }

    /// Remembers an anchor that is in the list.
    @inline(__always)
    func remember(_ anchor: UInt32, _ hash: UInt64) {
        guard anchor < 1 << 26 else { return }
        let slot = UInt32(truncatingIfNeeded: hash &>> 56) &<< 24 | anchor &>> 2
        slots[Int(truncatingIfNeeded: hash) & mask].store(slot, ordering: .releasing)
    }

    @inline(__always)
    func prefetch(_ hash: UInt64) { kv_prefetch(slots + (Int(truncatingIfNeeded: hash) & mask)) }
}
