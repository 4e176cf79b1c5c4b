import CMemory

/// A memtable by itself, for the figures of `kvbench engine`: what an insert costs without log, batch or tablet.
///
/// One thread uses it.
package final class MemtableProbe {
    private let memtable: Memtable
    private var sequence: UInt64 = 0

    /// An empty memtable with room for `capacity` bytes.
    package init(capacity: Int) {
        memtable = Memtable(
            id: 1,
            capacity: capacity,
            mark: TabletMark(),
            lastSequence: 0,
            shared: SharedResources(blockCacheBytes: 0)
        )
    }

    /// Inserts a key with a sequence of its own, and settles with the memory's budget, as a tablet does for each batch.
    ///
    /// - Precondition: there is room: 68 bytes and the key's and the value's.
    @inline(never)
    package func insert(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        sequence &+= 1
        memtable.insert(ByteView(key), EntryTag.make(sequence, EntryKind.put), ByteView(value))
        _ = memtable.chargeGrowth()
    }

    /// How many bytes of the process's heap are handed out now.
    package static var heapBytes: Int { Int(kv_heap_bytes()) }

    /// How many entries it holds.
    package var count: Int { memtable.entryCount }

    /// How many bytes of its arena are used.
    package var used: Int { memtable.used }
}
