import CMemory
import Synchronization

/// A skip list in one block of memory, named by its base pointer: nodes are u32 offsets, so a link is four bytes, a
/// walk retains nothing and checks no exclusivity.
///
/// One writer inserts; any number of readers walk at the same time.
///
/// The list proper holds each key once, in the node of the first version that came, its *anchor*. Later versions hang behind
/// it, newest first, down to the anchor itself. So the list is as long as there are keys, however often they are written, and a
/// key that is written again costs one search that ends where it meets the key.
///
/// ```
/// node n, four-byte aligned                     an anchor's tower grows down, so the key's place does not depend on it
///   n - 4·level   u32  next anchor on that level  (atomic; 0: none)
///   n             u32  anchor: next anchor on level 0 (atomic) · version: the next older one
///   n +  4        u32  key length; top bit: a version behind an anchor
///   n +  8        u32  row r: at the other end of the memory, away from what searches touch
///   n + 12        key
///
/// row r, eight-byte aligned
///   r             u64  tag: sequence << 8 | kind
///   r +  8        u32  value length
///   r + 12        u32  anchor: the newest version   (atomic; 0: the anchor itself)
///   r + 16        u32  the next newer version       (atomic; 0: none)
///   r + 20        value
/// ```
///
/// 1. A node is filled completely, then linked with releasing stores, an anchor from level 0 upwards; readers load links
///    with acquiring loads. So whoever sees a node sees its bytes.
/// 2. Nothing is ever removed or moved; the memory goes as a whole when its memtable goes.
/// 3. Order of entries: key ascending, tag descending: the newest version of a key comes first.
///
/// A reader of an old snapshot walks a key's newer versions one by one: it pays for what was written since, as an iterator does.
///
/// SAFETY: `base` is `Memtable`'s allocation; every offset was handed out by its writer below the allocation's end,
/// and the holder of a list holds the memtable.
struct SkipList {
    /// 2²⁰ keys, as many as the largest memtable is likely to hold, make that many levels.
    static let heightMax = 20
    /// The head: a node without key.
    ///
    /// 76 bytes of tower lie before it.
    static let head: UInt32 = 128
    /// What a node takes beside tower, key and value.
    static let nodeHeader = 12
    /// What a row takes beside the value.
    static let rowHeader = 20
    /// Where the first node may start.
    static let firstFree = 160
    /// In the key length of a version that stands behind an anchor.
    static let versionBit: UInt32 = 1 << 31

    let base: UnsafeMutableRawPointer
    let index: AnchorIndex

    @inline(__always)
    func link(_ node: UInt32, _ level: Int) -> UnsafeMutablePointer<Atomic<UInt32>> {
        (base + (Int(node) &- (level &<< 2))).assumingMemoryBound(to: Atomic<UInt32>.self)
    }

    @inline(__always)
    private func row(_ node: UInt32) -> UnsafeMutableRawPointer {
        base + Int((base + Int(node)).load(fromByteOffset: 8, as: UInt32.self))
    }

    @inline(__always)
    func newestLink(_ anchor: UInt32) -> UnsafeMutablePointer<Atomic<UInt32>> {
        (row(anchor) + 12).assumingMemoryBound(to: Atomic<UInt32>.self)
    }

    @inline(__always)
    func newerLink(_ node: UInt32) -> UnsafeMutablePointer<Atomic<UInt32>> {
        (row(node) + 16).assumingMemoryBound(to: Atomic<UInt32>.self)
    }

    @inline(__always)
    func nextAnchor(_ anchor: UInt32, _ level: Int) -> UInt32 {
        link(anchor, level).pointee.load(ordering: .acquiring)
    }

    /// Starts to bring the anchor into the cache that a search looks at where the one on `level` turns out to come after.
    ///
    /// A search waits for memory at nearly every anchor; so every second of these waits is over when it would begin.
    @inline(__always)
    func prefetchBelow(_ anchor: UInt32, _ level: Int) {
        guard level > 0 else { return }
        kv_prefetch(base + Int(nextAnchor(anchor, level &- 1)))
    }

    /// The newest version of an anchor's key.
    @inline(__always)
    func newest(_ anchor: UInt32) -> UInt32 {
        let newest = newestLink(anchor).pointee.load(ordering: .acquiring)
        return newest == 0 ? anchor : newest
    }

    @inline(__always)
    private func keyLength(_ node: UInt32) -> UInt32 { (base + Int(node)).load(fromByteOffset: 4, as: UInt32.self) }

    @inline(__always)
    private func isAnchor(_ node: UInt32) -> Bool { keyLength(node) & Self.versionBit == 0 }

    @inline(__always)
    func key(_ node: UInt32) -> ByteView {
        ByteView(
            UnsafeRawPointer(base + (Int(node) &+ Self.nodeHeader)),
            Int(keyLength(node) & ~Self.versionBit)
        )
    }

    @inline(__always)
    func tag(_ node: UInt32) -> UInt64 { row(node).load(as: UInt64.self) }

    @inline(__always)
    func value(_ node: UInt32) -> ByteView {
        let row = row(node)
        return ByteView(
            UnsafeRawPointer(row + Self.rowHeader),
            Int(row.load(fromByteOffset: 8, as: UInt32.self))
        )
    }

    /// The first entry; 0 where the list is empty.
    @inline(__always)
    func first() -> UInt32 {
        let anchor = nextAnchor(Self.head, 0)
        return anchor == 0 ? 0 : newest(anchor)
    }

    /// The entry after `node`; 0 where there is none.
    @inline(__always)
    func entry(after node: UInt32) -> UInt32 {
        let next = nextAnchor(node, 0)
        return next == 0 || !isAnchor(node) ? next : newest(next)
    }

    /// The entry before `node`; 0 where there is none.
    @inline(__always)
    func entry(before node: UInt32) -> UInt32 {
        let newer = newerLink(node).pointee.load(ordering: .acquiring)
        return newer != 0 ? newer : lastAnchor(before: key(node))
    }

    /// The first entry that is not before (key, tag); 0 where there is none.
    @inline(__always)
    func firstNotBefore(_ key: ByteView, _ tag: UInt64) -> UInt32 {
        var anchor = Self.head
        var level = Self.heightMax - 1
        var known: UInt32 = 0  // Found to come after (or the end): met again one level down, it needs no comparison.
        while true {
            let candidate = nextAnchor(anchor, level)
            if candidate != known, candidate != 0 {
                prefetchBelow(anchor, level)
                let order = compareBytes(self.key(candidate), key)
                if order < 0 {
                    anchor = candidate
                    continue
                }
                if order == 0 { return version(of: candidate, notBefore: tag) }
            }
            if level == 0 { return candidate == 0 ? 0 : newest(candidate) }
            known = candidate
            level &-= 1
        }
    }

    /// The newest version of `key`, whose hash is `hash`, at or below `tag`; 0 where there is none.
    @inline(__always)
    func find(_ key: ByteView, _ hash: UInt64, _ tag: UInt64) -> UInt32 {
        let anchor = index.candidate(hash)
        if anchor == 0 || compareBytes(self.key(anchor), key) != 0 {
            let node = firstNotBefore(key, tag)
            return node != 0 && compareBytes(self.key(node), key) == 0 ? node : 0
        }
        var node = newest(anchor)
        while self.tag(node) > tag {
            if node == anchor { return 0 }
            node = entry(after: node)
        }
        return node
    }

    /// The newest version at or below `tag`, or the entry after all of them.
    @inline(__always)
    private func version(of anchor: UInt32, notBefore tag: UInt64) -> UInt32 {
        var node = newest(anchor)
        while self.tag(node) > tag {
            let isLast = node == anchor
            node = entry(after: node)
            if isLast { break }
        }
        return node
    }

    /// The last entry before (key, tag); 0 where there is none.
    func lastBefore(_ key: ByteView, _ tag: UInt64) -> UInt32 {
        let before = lastAnchor(before: key)
        let anchor = nextAnchor(before == 0 ? Self.head : before, 0)
        guard anchor != 0, compareBytes(self.key(anchor), key) == 0 else { return before }
        // The oldest version is the anchor itself: where even that one is before the tag, there is nothing to walk.
        if self.tag(anchor) > tag { return anchor }
        var found = before
        var node = newest(anchor)
        while self.tag(node) > tag {
            found = node
            node = entry(after: node)
        }
        return found
    }

    /// The anchor of the last key before `key`, which is its oldest version; 0 where there is none.
    private func lastAnchor(before key: ByteView) -> UInt32 {
        var anchor = Self.head
        var level = Self.heightMax - 1
        while true {
            let candidate = nextAnchor(anchor, level)
            prefetchBelow(anchor, level)
            if candidate != 0, compareBytes(self.key(candidate), key) < 0 {
                anchor = candidate
            } else {
                if level == 0 { return anchor == Self.head ? 0 : anchor }
                level &-= 1
            }
        }
    }

    /// The last entry; 0 where the list is empty.
    func last() -> UInt32 {
        var anchor = Self.head
        var level = Self.heightMax - 1
        while true {
            let candidate = nextAnchor(anchor, level)
            if candidate != 0 {
                anchor = candidate
            } else {
                if level == 0 { return anchor == Self.head ? 0 : anchor }
                level &-= 1
            }
        }
    }
}
