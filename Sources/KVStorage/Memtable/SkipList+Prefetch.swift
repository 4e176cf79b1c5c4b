import CMemory

// Bringing nodes into the cache before they are looked at.
//
// A search in a large list waits for memory at nearly every node, and the next node is known only once the last has come. Searches
// for several keys do not depend on each other: done in turns, their waits overlap.

extension SkipList {
    /// How many searches are under way at once.
    static let lanes = 8

    /// Walks to where each key belongs, all in turns, so that insertions there find the nodes in the cache.
    ///
    /// Changes nothing. `next` gives the keys one after the other, nil at the end.
    func prefetchPaths(_ next: () -> ByteView?) {
        withUnsafeTemporaryAllocation(of: Walk.self, capacity: Self.lanes) { walks in
            guard let base = walks.baseAddress else { return }
            var count = 0
            while count < Self.lanes, let key = next() {
                (base + count).initialize(to: Walk(key, in: self))
                count &+= 1
            }
            while count > 0 {
                var lane = 0
                while lane < count {
                    if base[lane].step(in: self) {
                        lane &+= 1
                    } else if let key = next() {
                        base[lane] = Walk(key, in: self)
                        lane &+= 1
                    } else {
                        count &-= 1
                        base[lane] = base[count]
                    }
                }
            }
        }
    }

    /// A search between two of its steps: `candidate` is on its way into the cache.
    private struct Walk {
        let key: ByteView
        var node = SkipList.head
        var level = SkipList.heightMax &- 1
        var known: UInt32 = 0
        var candidate: UInt32

        @inline(__always)
        init(_ key: ByteView, in list: SkipList) {
            self.key = key
            candidate = list.nextAnchor(SkipList.head, SkipList.heightMax &- 1)
        }

        /// Looks at the candidate and finds the next; false where the search is over.
        @inline(__always)
        mutating func step(in list: SkipList) -> Bool {
            var order = 1
            if candidate != 0, candidate != known { order = compareBytes(list.key(candidate), key) }
            if order < 0 {
                node = candidate
            } else if order == 0 {
                // The next version is linked to the newest.
                kv_prefetch(list.base + Int(list.newest(candidate)))
                return false
            } else {
                known = candidate
                level &-= 1
            }
            while level >= 0 {
                candidate = list.nextAnchor(node, level)
                if candidate != 0, candidate != known {
                    let place = list.base + Int(candidate)
                    kv_prefetch(place)
                    kv_prefetch(place + 40)
                    if level > 1 { kv_prefetch(place - (level &<< 2)) }
                    return true
                }
                level &-= 1
            }
            return false
        }
    }
}
