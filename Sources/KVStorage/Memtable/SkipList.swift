import Synchronization

/// A skip list in one block of memory, named by its base pointer: nodes are u32 offsets, so a link is four bytes, a
/// walk retains nothing and checks no exclusivity.
///
/// One writer inserts; any number of readers walk at the same time.
///
/// ```
/// node n, eight-byte aligned                    tower grows down, so the key's place does not depend on the height
///   n - 4·level   u32  next node on that level  (atomic; 0: none)
///   n             u32  next node on level 0     (atomic)
///   n +  4        u32  key length
///   n +  8        u64  tag: sequence << 8 | kind
///   n + 16        u32  value length
///   n + 20        key, then value
/// ```
///
/// 1. A node is filled completely, then linked from level 0 upwards with releasing stores; readers load links with
///    acquiring loads. So whoever sees a node sees its bytes.
/// 2. Nothing is ever removed or moved; the memory goes as a whole when its memtable goes.
/// 3. Order: key ascending, tag descending: the newest version of a key comes first.
///
/// SAFETY: `base` is `Memtable`'s allocation; every offset was handed out by its writer below the allocation's end,
/// and the holder of a list holds the memtable.
struct SkipList {
    static let heightMax = 12
    /// The head: a node without key.
    ///
    /// 44 bytes of tower lie before it.
    static let head: UInt32 = 64
    /// What a node takes beside tower, key and value.
    static let nodeHeader = 20
    /// Where the first node may start.
    static let firstFree = 96

    let base: UnsafeMutableRawPointer

    @inline(__always)
    func link(_ node: UInt32, _ level: Int) -> UnsafeMutablePointer<Atomic<UInt32>> {
        (base + (Int(node) &- (level &<< 2))).assumingMemoryBound(to: Atomic<UInt32>.self)
    }

    @inline(__always)
    func next(_ node: UInt32, _ level: Int = 0) -> UInt32 {
        link(node, level).pointee.load(ordering: .acquiring)
    }

    @inline(__always)
    func key(_ node: UInt32) -> ByteView {
        let place = base + Int(node)
        return ByteView(
            UnsafeRawPointer(place + Self.nodeHeader),
            Int(place.load(fromByteOffset: 4, as: UInt32.self))
        )
    }

    @inline(__always)
    func tag(_ node: UInt32) -> UInt64 { (base + Int(node)).load(fromByteOffset: 8, as: UInt64.self) }

    @inline(__always)
    func value(_ node: UInt32) -> ByteView {
        let place = base + Int(node)
        let keyLength = Int(place.load(fromByteOffset: 4, as: UInt32.self))
        return ByteView(
            UnsafeRawPointer(place + (Self.nodeHeader &+ keyLength)),
            Int(place.load(fromByteOffset: 16, as: UInt32.self))
        )
    }

    /// Whether `node` comes before (key, tag).
    @inline(__always)
    func precedes(_ node: UInt32, _ key: ByteView, _ tag: UInt64) -> Bool {
        let order = compareBytes(self.key(node), key)
        return order != 0 ? order < 0 : self.tag(node) > tag
    }

    /// The first node that is not before (key, tag); 0 where there is none.
    @inline(__always)
    func firstNotBefore(_ key: ByteView, _ tag: UInt64) -> UInt32 {
        var node = Self.head
        var level = Self.heightMax - 1
        var known: UInt32 = 0  // Found not to precede (or the end): met again one level down, it needs no comparison.
        while true {
            let candidate = next(node, level)
            if candidate != known, candidate != 0, precedes(candidate, key, tag) {
                node = candidate
            } else {
                if level == 0 { return candidate }
                known = candidate
                level &-= 1
            }
        }
    }

    /// The last node before (key, tag); `head` where there is none.
    func lastBefore(_ key: ByteView, _ tag: UInt64) -> UInt32 {
        var node = Self.head
        var level = Self.heightMax - 1
        while true {
            let candidate = next(node, level)
            if candidate != 0, precedes(candidate, key, tag) {
                node = candidate
            } else {
                if level == 0 { return node }
                level &-= 1
            }
        }
    }

    /// The last node; `head` where the list is empty.
    func last() -> UInt32 {
        var node = Self.head
        var level = Self.heightMax - 1
        while true {
            let candidate = next(node, level)
            if candidate != 0 {
                node = candidate
            } else {
                if level == 0 { return node }
                level &-= 1
            }
        }
    }
}
