/// Walks a block of entries both ways, building each key in a buffer of its own.
///
/// A struct that lives in its holder's raw memory.
///
/// Invariant: `isValid` implies that `entry` was parsed whole inside the block and `key` is its full key.
///
/// SAFETY: the holder keeps the block alive while the cursor is on it, and calls `destroy` once.
struct BlockCursor {
    private var layout: BlockLayout?
    private var entry = BlockEntry()
    private var position = 0
    /// The restart at or before `position`; kept only for walking back.
    private var keyBuffer: UnsafeMutableRawPointer
    private var keyCapacity: Int
    private var keyLength = 0
    private(set) var isValid = false
    /// Whether the bytes turned out not to be a block of entries.
    private(set) var isCorrupt = false

    /// With `keyCapacity` 0 nothing is allocated before the first key comes.
    init(keyCapacity: Int = 256) {
        self.keyCapacity = keyCapacity
        keyBuffer =
            keyCapacity == 0
            ? UnsafeMutableRawPointer(mutating: noBytes.pointer) : .allocate(byteCount: keyCapacity, alignment: 16)
    }

    func destroy() { if keyCapacity > 0 { keyBuffer.deallocate() } }

    @inline(__always)
    var key: ByteView { ByteView(UnsafeRawPointer(keyBuffer), keyLength) }
    @inline(__always)
    var tag: UInt64 { entry.tag }
    @inline(__always)
    var value: ByteView {
        guard let layout else { return ByteView(UnsafeRawPointer(keyBuffer), 0) }
        return ByteView(layout.base + entry.valueOffset, entry.valueLength)
    }

    /// Takes another block; not valid before a seek.
    mutating func open(_ bytes: ByteView) {
        layout = BlockLayout(bytes)
        isValid = false
        isCorrupt = layout == nil
    }

    mutating func close() {
        layout = nil
        isValid = false
    }

    mutating func seekToFirst() {
        guard let layout else { return }
        startAt(layout.restart(0), layout)
    }

    mutating func seekToLast() {
        guard let layout else { return }
        startAt(layout.restart(layout.restartCount &- 1), layout)
        while isValid, entry.end < layout.limit { next() }
    }

    /// The first entry not before (key, tag).
    mutating func seek(_ key: ByteView, _ tag: UInt64) {
        guard let layout else { return }
        guard let restart = BlockSearch.lastRestartBefore(layout, key, tag, &entry) else { return fail() }
        startAt(layout.restart(restart), layout)
        while isValid, isBefore(key, tag) { next() }
    }

    /// The last entry before (key, tag).
    mutating func seekBefore(_ key: ByteView, _ tag: UInt64) {
        seek(key, tag)
        if isCorrupt { return }
        if isValid { previous() } else { seekToLast() }
    }

    @inline(__always)
    mutating func next() {
        guard let layout else { return }
        position = entry.end
        if position >= layout.limit {
            isValid = false
        } else {
            load(layout)
        }
    }

    mutating func previous() {
        guard let layout, isValid else { return }
        let target = position
        // The last restart before the entry.
        var low = 0
        var high = layout.restartCount &- 1
        while low < high {
            let middle = (low &+ high &+ 1) / 2
            if layout.restart(middle) < target { low = middle } else { high = middle &- 1 }
        }
        let start = layout.restart(low)
        guard start < target else {
            isValid = false
            return
        }
        startAt(start, layout)
        while isValid, entry.end < target { next() }
    }

    @inline(__always)
    private func isBefore(_ key: ByteView, _ tag: UInt64) -> Bool {
        let order = compareBytes(self.key, key)
        return order != 0 ? order < 0 : entry.tag > tag
    }

    private mutating func startAt(_ offset: Int, _ layout: BlockLayout) {
        position = offset
        keyLength = 0
        if offset >= layout.limit {
            isValid = false
            // A block without entries has one restart, at 0.
            if offset > layout.limit { fail() }
        } else {
            load(layout)
        }
    }

    @inline(__always)
    private mutating func load(_ layout: BlockLayout) {
        guard entry.parse(layout.base, position, layout.limit), entry.shared <= keyLength else { return fail() }
        let length = entry.shared &+ entry.unshared
        if length > keyCapacity { growKey(length) }
        (keyBuffer + entry.shared).copyMemory(from: layout.base + entry.keyOffset, byteCount: entry.unshared)
        keyLength = length
        isValid = true
    }

    private mutating func growKey(_ length: Int) {
        let larger = UnsafeMutableRawPointer.allocate(byteCount: length * 2, alignment: 16)
        larger.copyMemory(from: keyBuffer, byteCount: keyLength)
        if keyCapacity > 0 { keyBuffer.deallocate() }
        keyBuffer = larger
        keyCapacity = length * 2
    }

    private mutating func fail() {
        isValid = false
        isCorrupt = true
    }
}
