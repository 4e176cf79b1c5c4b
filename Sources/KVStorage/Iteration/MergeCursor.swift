/// Merges memtables and table runs into one sequence of entries: key ascending, tag descending, both ways.
///
/// 1. Every source is a struct in one raw array: a memtable cursor (two words) or a block cursor with its run behind
///    it. The head of each source (key view, tag) is cached in another, so that comparing touches no source.
/// 2. A tournament tree of losers keeps the order: a step replays one path, ⌈log₂ k⌉ comparisons.
/// 3. Turning round repositions every source at the current entry.
///
/// SAFETY: sources and heads are allocated in `init` and freed in `deinit`; views into memtables and blocks live
/// because `memtables` and `runs` (which pin their block) are held here.
final class MergeCursor {
    private struct Source {
        var list: SkipList?
        var node: UInt32 = 0
        /// Where only newest versions are wanted, that of the node's key.
        var anchor: UInt32 = 0
        var block: BlockCursor
        var run: Unmanaged<TableRun>?
    }

    private struct Head {
        var key: ByteView
        var tag: UInt64
        var isValid: Bool
    }

    private enum Direction {
        case forward
        case backward
    }

    private let count: Int
    private let sources: UnsafeMutablePointer<Source>
    private let heads: UnsafeMutablePointer<Head>
    /// `losers[0]` is the winner; `losers[1 ..< count]` the loser of each inner node.
    private let losers: UnsafeMutablePointer<Int32>
    private let memtables: [Memtable]
    private let runs: [TableRun]
    private let turnKey = GrowBuffer(capacity: 0)
    private var direction = Direction.forward

    private let newestOnly: Bool

    /// - Parameters:
    ///   - memtables: The memtables, newest first.
    ///   - runs: The table runs, newest first.
    ///   - newestOnly: Whether older versions in the same memtable are passed over unseen; then it goes forward only.
    init(memtables: [Memtable], runs: [TableRun], newestOnly: Bool = false) {
        self.newestOnly = newestOnly
        self.memtables = memtables
        self.runs = runs
        count = memtables.count + runs.count
        sources = .allocate(capacity: max(count, 1))
        heads = .allocate(capacity: max(count, 1))
        losers = .allocate(capacity: max(count, 1))
        for (position, memtable) in memtables.enumerated() {
            (sources + position).initialize(
                to: Source(list: memtable.list, block: BlockCursor(keyCapacity: 0), run: nil)
            )
        }
        for (position, run) in runs.enumerated() {
            (sources + memtables.count + position)
                .initialize(to: Source(list: nil, block: BlockCursor(), run: .passUnretained(run)))
        }
        let nothing = Head(key: turnKey.view, tag: 0, isValid: false)
        heads.initialize(repeating: nothing, count: max(count, 1))
        losers.initialize(repeating: 0, count: max(count, 1))
    }

    deinit {
        for position in 0..<count { sources[position].block.destroy() }
        sources.deinitialize(count: count)
        sources.deallocate()
        heads.deallocate()
        losers.deallocate()
    }

    @inline(__always)
    var isValid: Bool { count > 0 && heads[Int(losers[0])].isValid }
    @inline(__always)
    var key: ByteView { heads[Int(losers[0])].key }
    @inline(__always)
    var tag: UInt64 { heads[Int(losers[0])].tag }
    @inline(__always)
    var value: ByteView {
        let source = sources + Int(losers[0])
        if let list = source.pointee.list { return list.value(source.pointee.node) }
        return source.pointee.block.value
    }

    func seekToFirst() throws(StorageError) {
        direction = .forward
        for position in 0..<count {
            if let list = sources[position].list {
                sources[position].anchor = list.nextAnchor(SkipList.head, 0)
                sources[position].node = list.first()
            } else if let run = sources[position].run {
                try run.takeUnretainedValue().seekToFirst(&sources[position].block)
            }
            refresh(position)
        }
        rebuild()
    }

    func seekToLast() throws(StorageError) {
        direction = .backward
        for position in 0..<count {
            if let list = sources[position].list {
                sources[position].node = list.last()
            } else if let run = sources[position].run {
                try run.takeUnretainedValue().seekToLast(&sources[position].block)
            }
            refresh(position)
        }
        rebuild()
    }

    /// The first entry not before (key, tag).
    func seek(_ key: ByteView, _ tag: UInt64) throws(StorageError) {
        direction = .forward
        for position in 0..<count {
            if let list = sources[position].list {
                sources[position].node = list.firstNotBefore(key, tag)
            } else if let run = sources[position].run {
                try run.takeUnretainedValue().seek(key, tag, &sources[position].block)
            }
            refresh(position)
        }
        rebuild()
    }

    /// The last entry before (key, tag).
    func seekBefore(_ key: ByteView, _ tag: UInt64) throws(StorageError) {
        direction = .backward
        for position in 0..<count {
            if let list = sources[position].list {
                sources[position].node = list.lastBefore(key, tag)
            } else if let run = sources[position].run {
                try run.takeUnretainedValue().seekBefore(key, tag, &sources[position].block)
            }
            refresh(position)
        }
        rebuild()
    }

    @inline(__always)
    func next() throws(StorageError) {
        if direction == .backward {
            let tag = saveCurrent()
            try seek(turnKey.view, tag)
            // The current entry is found again; the step goes past it.
        }
        let position = Int(losers[0])
        if let list = sources[position].list {
            if newestOnly {
                let anchor = list.nextAnchor(sources[position].anchor, 0)
                sources[position].anchor = anchor
                sources[position].node = anchor == 0 ? 0 : list.newest(anchor)
            } else {
                sources[position].node = list.entry(after: sources[position].node)
            }
        } else {
            sources[position].block.next()
            if !sources[position].block.isValid { try turnBlock(position) }
        }
        refresh(position)
        replay(position)
    }

    @inline(__always)
    func previous() throws(StorageError) {
        if direction == .forward {
            let tag = saveCurrent()
            return try seekBefore(turnKey.view, tag)
        }
        let position = Int(losers[0])
        if let list = sources[position].list {
            sources[position].node = list.entry(before: sources[position].node)
        } else {
            sources[position].block.previous()
            if !sources[position].block.isValid { try turnBlock(position) }
        }
        refresh(position)
        replay(position)
    }

    @inline(never)
    private func turnBlock(_ position: Int) throws(StorageError) {
        guard let run = sources[position].run?.takeUnretainedValue() else { return }
        try run.check(sources[position].block)
        switch direction {
        case .forward: try run.advance(&sources[position].block)
        case .backward: try run.retreat(&sources[position].block)
        }
    }

    private func saveCurrent() -> UInt64 {
        turnKey.removeAll()
        turnKey.append(key)
        return tag
    }

    @inline(__always)
    private func refresh(_ position: Int) {
        let source = sources + position
        if let list = source.pointee.list {
            let node = source.pointee.node
            if node != 0 {
                heads[position] = Head(key: list.key(node), tag: list.tag(node), isValid: true)
            } else {
                heads[position].isValid = false
            }
        } else if source.pointee.block.isValid {
            heads[position] = Head(key: source.pointee.block.key, tag: source.pointee.block.tag, isValid: true)
        } else {
            heads[position].isValid = false
        }
    }

    /// Whether the head of `a` comes before that of `b` in the direction of travel; an exhausted source comes last.
    @inline(__always)
    private func wins(_ a: Int32, _ b: Int32) -> Bool {
        let x = heads + Int(a)
        let y = heads + Int(b)
        if !x.pointee.isValid { return false }
        if !y.pointee.isValid { return true }
        let order = compareBytes(x.pointee.key, y.pointee.key)
        if direction == .forward { return order != 0 ? order < 0 : x.pointee.tag > y.pointee.tag }
        return order != 0 ? order > 0 : x.pointee.tag < y.pointee.tag
    }

    /// Leaf `i` is node `count + i`; node `n` has parent `n / 2`; `losers[1]` is the root.
    @inline(__always)
    private func replay(_ position: Int) {
        var winner = Int32(truncatingIfNeeded: position)
        var node = (position &+ count) / 2
        while node >= 1 {
            if wins(losers[node], winner) { swap(&losers[node], &winner) }
            node /= 2
        }
        losers[0] = winner
    }

    private func rebuild() {
        guard count > 1 else {
            if count == 1 { losers[0] = 0 }
            return
        }
        withUnsafeTemporaryAllocation(of: Int32.self, capacity: 2 * count) { winners in
            for position in 0..<count { winners[count + position] = Int32(position) }
            for node in stride(from: count - 1, through: 1, by: -1) {
                let a = winners[2 * node]
                let b = winners[2 * node + 1]
                let first = wins(a, b)
                winners[node] = first ? a : b
                losers[node] = first ? b : a
            }
            losers[0] = winners[1]
        }
    }
}
