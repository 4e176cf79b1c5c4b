/// Which versions of a key a rewrite (flush or compaction) may leave out.
///
/// Pure; never by time.
///
/// Snapshots cut the sequences into stripes: two versions in one stripe are seen by the same readers, so the older
/// one is never seen. A deletion itself may go only where every reader is at or past it and nothing below the output
/// can hold the key.
struct DropRules {
    /// Sequences that readers are pinned at, rising.
    let snapshots: [UInt64]
    /// Range deletions of the inputs.
    let ranges: RangeTombstoneSet
    /// The levels below the output, whose tables may hold older versions; empty for the last level, nil where
    /// anything may.
    let below: [Level]?

    private let currentKey = GrowBuffer(capacity: 256)
    private var hasCurrentKey = false
    private var lastSequence: UInt64 = 0

    init(snapshots: [UInt64], ranges: RangeTombstoneSet, below: [Level]?) {
        self.snapshots = snapshots
        self.ranges = ranges
        self.below = below
    }

    /// Whether the next entry of the merge must be written.
    ///
    /// `isNewKey` is set where it is the first of its key.
    @inline(__always)
    mutating func keeps(_ key: ByteView, _ tag: UInt64, isNewKey: inout Bool) -> Bool {
        let sequence = EntryTag.sequence(tag)
        if !hasCurrentKey || compareBytes(currentKey.view, key) != 0 {
            currentKey.removeAll()
            currentKey.append(key)
            hasCurrentKey = true
            isNewKey = true
        } else {
            isNewKey = false
            let isShadowed = stripe(lastSequence) == stripe(sequence)
            lastSequence = sequence
            if isShadowed { return false }
        }
        lastSequence = sequence
        if !ranges.isEmpty, isCovered(key, sequence) { return false }
        if EntryTag.kind(tag) == EntryKind.delete, stripe(sequence) == 0, isAbsentBelow(key) { return false }
        return true
    }

    /// The range deletions that must be written, as fragments.
    func keptRanges() -> [RangeTombstone] {
        var kept: [RangeTombstone] = []
        for fragment in ranges.fragments {
            var last: Int?
            for sequence in fragment.sequences {
                let stripe = self.stripe(sequence)
                if stripe == last { continue }
                last = stripe
                if stripe == 0, isRangeAbsentBelow(fragment.start, fragment.end) { continue }
                kept.append(RangeTombstone(start: fragment.start, end: fragment.end, sequence: sequence))
            }
        }
        return kept
    }

    /// How many snapshots are older than `sequence`: those that do not see it.
    @inline(__always)
    private func stripe(_ sequence: UInt64) -> Int {
        if snapshots.isEmpty { return 0 }
        var low = 0
        var high = snapshots.count
        while low < high {
            let middle = (low &+ high) / 2
            if snapshots[middle] < sequence { low = middle &+ 1 } else { high = middle }
        }
        return low
    }

    private func isCovered(_ key: ByteView, _ sequence: UInt64) -> Bool {
        guard let index = ranges.fragmentIndex(covering: key) else { return false }
        let stripe = self.stripe(sequence)
        return ranges.fragments[index].sequences.contains { $0 > sequence && self.stripe($0) == stripe }
    }

    private func isAbsentBelow(_ key: ByteView) -> Bool {
        guard let below else { return false }
        for level in below {
            let position = level.firstNotBefore(key)
            if position < level.files.count, level.mayHold(position, key) { return false }
        }
        return true
    }

    private func isRangeAbsentBelow(_ start: [UInt8], _ end: [UInt8]) -> Bool {
        guard let below else { return false }
        return below.allSatisfy { $0.overlapping(smallest: start, largest: end).isEmpty }
    }
}
