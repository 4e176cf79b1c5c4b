/// A table's index laid flat, made when the table is opened: for each data block eight bytes of its index key as a number, and
/// where the block lies. A search halves these numbers, which lie close together, and looks at keys only where numbers tie.
///
/// 1. All index keys lie between the first and the last, so they share what these two share; the numbers begin after it.
/// 2. A key that is shorter is filled with zeros. So a smaller number means a smaller key, and equal numbers mean nothing.
///
/// Sum: 16 bytes a block; half a megabyte for a gigabyte of blocks of 32 KiB, or 4 MiB for one of 4 KiB.
///
/// SAFETY: `numbers` and `places` are `count` long, filled in the initializer and freed in `deinit`, which also runs where the
/// initializer fails once both are set.
// SENDABLE: immutable after the initializer.
final class IndexFences: @unchecked Sendable {
    let count: Int
    private let shared: [UInt8]
    private let numbers: UnsafeMutablePointer<UInt64>
    private let places: UnsafeMutablePointer<UInt64>
    /// In `places`: what does not fit is read from the index itself.
    private static let unfit = UInt64.max

    /// The fences of an index block, or nil where its entries do not parse.
    init?(_ layout: BlockLayout) {
        let count = layout.limit > 0 ? layout.restartCount : 0
        var first = BlockEntry()
        var last = BlockEntry()
        if count > 0 {
            guard first.parse(layout.base, layout.restart(0), layout.limit), first.shared == 0,
                last.parse(layout.base, layout.restart(count - 1), layout.limit), last.shared == 0
            else { return nil }
        }
        let firstKey = ByteView(layout.base + first.keyOffset, first.unshared)
        let lastKey = ByteView(layout.base + last.keyOffset, last.unshared)
        shared = count > 0 ? ByteView(firstKey.base, sharedPrefix(firstKey, lastKey)).array : []
        numbers = .allocate(capacity: max(count, 1))
        places = .allocate(capacity: max(count, 1))
        self.count = count
        var entry = BlockEntry()
        for position in 0..<count {
            guard entry.parse(layout.base, layout.restart(position), layout.limit), entry.shared == 0,
                let handle = BlockHandle(ByteView(layout.base + entry.valueOffset, entry.valueLength))
            else { return nil }
            let key = ByteView(layout.base + entry.keyOffset, entry.unshared)
            numbers[position] = Self.number(key, from: min(shared.count, key.count))
            let fits = handle.offset < 1 << 40 && handle.length < 1 << 24
            places[position] = fits ? handle.offset << 24 | UInt64(handle.length) : Self.unfit
        }
    }

    deinit {
        numbers.deallocate()
        places.deallocate()
    }

    /// Where the data block `position` lies; nil where only the index says.
    @inline(__always)
    func handle(at position: Int) -> BlockHandle? {
        let place = places[position]
        guard place != Self.unfit else { return nil }
        return BlockHandle(offset: place >> 24, length: UInt32(truncatingIfNeeded: place & 0xff_ffff))
    }

    /// The positions among which the first index key not before `key` is, the upper bound included: those before the range
    /// are before the key, those from its upper bound on are not.
    @inline(__always)
    func candidates(_ key: ByteView) -> Range<Int> {
        let order = shared.withView { shared in
            compareBytes(ByteView(key.base, min(key.count, shared.count)), shared)
        }
        // Before what all share: before all; a key that is a part of it too.
        if order < 0 { return 0..<0 }
        if order > 0 { return count..<count }
        let number = Self.number(key, from: shared.count)
        var low = 0
        var high = count
        while low < high {
            let middle = (low &+ high) / 2
            if numbers[middle] < number { low = middle &+ 1 } else { high = middle }
        }
        guard low < count, numbers[low] == number else { return low..<low }
        // Ties are rare, or many: where keys share long parts.
        var end = count
        high = low &+ 1
        while high < end {
            let middle = (high &+ end) / 2
            if numbers[middle] == number { high = middle &+ 1 } else { end = middle }
        }
        return low..<high
    }

    /// Eight bytes of a key as a number that orders as they do; zeros after its end.
    @inline(__always)
    private static func number(_ key: ByteView, from start: Int) -> UInt64 {
        if start &+ 8 <= key.count {
            return UInt64(bigEndian: key.base.loadUnaligned(fromByteOffset: start, as: UInt64.self))
        }
        var number: UInt64 = 0
        var shift: UInt64 = 56
        for offset in start..<key.count {
            number |= UInt64(key.base.load(fromByteOffset: offset, as: UInt8.self)) << shift
            shift &-= 8
        }
        return number
    }
}
