import CMemory

// Bringing nodes into the cache before they are looked at.
//
// A search in a large list waits for memory at nearly every node, and the next node is known only once the last has come. Searches
// for several keys do not depend on each other: done in turns, their waits overlap.

extension SkipList {
    /// How many searches are under way at once.
    static let lanes = 8

    /// Walks to where each key belongs in its list, all in turns, so that insertions there find the nodes in the cache.
    ///
    /// Changes nothing. `next` gives the keys one after the other, nil at the end.
    static func prefetchPaths(_ next: () -> (SkipList, ByteView)?) {
        withUnsafeTemporaryAllocation(of: Walk.self, capacity: Self.lanes) { walks in
            guard let base = walks.baseAddress else { return }
            var count = 0
            while count < Self.lanes, let (list, key) = next() {
                (base + count).initialize(to: Walk(key, in: list))
                count &+= 1
            }
            while count > 0 {
                var lane = 0
                while lane < count {
                    if base[lane].step() {
                        lane &+= 1
                    } else if let (list, key) = next() {
                        base[lane] = Walk(key, in: list)
                        lane &+= 1
                    } else {
                        count &-= 1
                        base[lane] = base[count]
                    }
                }
            }
        }
    }

    /// A search between two of its steps: what it looks at next is on its way into the cache.
    private struct Walk {
        private enum Stage {
            case slot
            case remembered
            case searching
        }

        private let list: SkipList
        private let key: ByteView
        private let hash: UInt64
        private var stage = Stage.slot
        private var node = SkipList.head
        private var level = SkipList.heightMax
        private var known: UInt32 = 0
        private var candidate: UInt32 = 0

        @inline(__always)
        init(_ key: ByteView, in list: SkipList) {
            self.list = list
            self.key = key
            hash = hashKey(key)
            list.index.prefetch(hash)
        }

        /// Looks at what was fetched and fetches the next; false where the search is over.
        @inline(__always)
        mutating func step() -> Bool {
            switch stage {
            case .slot:
                candidate = list.index.candidate(hash)
                if candidate == 0 { return search() }
                stage = .remembered
                fetch(candidate)
                return true
            case .remembered:
                if compareBytes(list.key(candidate), key) != 0 {
                    candidate = 0
                    return search()
                }
                return fetchNewest()
            case .searching:
                return search()
            }
        }

        /// A step of the search in the list proper.
        @inline(__always)
        private mutating func search() -> Bool {
            stage = .searching
            var order = 1
            if candidate != 0, candidate != known { order = compareBytes(list.key(candidate), key) }
            if order < 0 {
                node = candidate
            } else if order == 0 {
                return fetchNewest()
            } else {
                known = candidate
                level &-= 1
            }
            while level >= 0 {
                candidate = list.nextAnchor(node, level)
                if candidate != 0, candidate != known {
                    fetch(candidate)
                    if level > 2 { kv_prefetch(list.base + (Int(candidate) &- (level &<< 2))) }
                    return true
                }
                level &-= 1
            }
            return false
        }

        /// The next version is linked to the newest.
        @inline(__always)
        private func fetchNewest() -> Bool {
            let newest = list.newest(candidate)
            if newest != candidate { kv_prefetch(list.base + Int(newest)) }
            return false
        }

        @inline(__always)
        private func fetch(_ anchor: UInt32) {
            let place = list.base + Int(anchor)
            kv_prefetch(place)
            kv_prefetch(place + 28)
        }
    }
}
