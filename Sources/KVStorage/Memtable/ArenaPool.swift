import Synchronization

/// Keeps the memory of a few memtables that are gone for those that come next: memory that was touched before costs no page
/// faults and need not be cleared.
///
/// Bounded by number, and large ones are not kept: memory that waits here is memory that somebody else lacks, and a large arena is
/// mapped in large pages, of which few are to be cleared. `trim` lets go of what nobody took for a while.
final class ArenaPool: Sendable {
    // SENDABLE: the memory belongs to whoever has taken it out of here.
    private struct Arena: @unchecked Sendable {
        let memory: UnsafeMutableRawPointer
        let capacity: Int
        var isOld = false
    }

    /// How many are kept.
    private static let countMax = 8
    /// Larger ones are not kept: one would be more than all others together.
    private static let arenaBytesMax = 32 << 20
    /// Smaller ones are not worth keeping.
    private static let bytesMin = 1 << 20

    private let arenas = Mutex<[Arena]>([])

    deinit { arenas.withLock { for arena in $0 { arena.memory.deallocate() } } }

    /// `capacity` bytes of whatever content.
    func take(_ capacity: Int, alignment: Int) -> UnsafeMutableRawPointer {
        let kept = arenas.withLock { arenas in
            arenas.lastIndex { $0.capacity == capacity }.map { arenas.remove(at: $0) }
        }
        return kept?.memory ?? .allocate(byteCount: capacity, alignment: alignment)
    }

    /// Takes memory back that `take` gave with the same capacity.
    func give(_ memory: UnsafeMutableRawPointer, _ capacity: Int) {
        let arena = Arena(memory: memory, capacity: capacity)
        let dropped = arenas.withLock { arenas -> Arena? in
            guard capacity >= Self.bytesMin, capacity <= Self.arenaBytesMax else { return arena }
            arenas.append(arena)
            return arenas.count > Self.countMax ? arenas.removeFirst() : nil
        }
        dropped?.memory.deallocate()
    }

    /// Frees what was there at the last call already.
    ///
    /// - Returns: How many bytes of address space that was.
    func trim() -> Int {
        let old = arenas.withLock { arenas -> [Arena] in
            let old = arenas.filter(\.isOld)
            arenas.removeAll(where: \.isOld)
            for place in arenas.indices { arenas[place].isOld = true }
            return old
        }
        for arena in old { arena.memory.deallocate() }
        return old.reduce(0) { $0 + $1.capacity }
    }
}
