/// A cursor over a tablet's keys at one moment, both ways.
///
/// One thread at a time.
///
/// Key and value are views that are good until the next move. After a move threw, it stands nowhere.
// SENDABLE: handed from thread to thread whole; the holder sees to it that one uses it at a time.
package final class TabletIterator: @unchecked Sendable {
    private let cursor: VisibleCursor
    private let view: ReadView
    private let snapshot: Snapshot?
    private let tablet: Tablet

    init(
        _ view: ReadView,
        of tablet: Tablet,
        snapshot: Snapshot?,
        sequence: UInt64,
        lower: [UInt8]?,
        upper: [UInt8]?,
        fillCache: Bool
    ) throws(StorageError) {
        self.view = view
        self.snapshot = snapshot
        self.tablet = tablet
        var runs: [TableRun] = []
        var tombstones: [RangeTombstone] = []
        var memtables: [Memtable] = []
        for memtable in view.memtables {
            if let ranges = memtable.rangeTombstones { tombstones += ranges.tombstones }
            // What comes to a memtable that is empty now is later than `sequence`, which was read before.
            if memtable.list.first() != 0 { memtables.append(memtable) }
        }
        for number in 0..<Version.levelCount {
            let level = view.version.levels[number]
            if level.files.isEmpty { continue }
            let chosen = Self.tables(of: level, lower, upper)
            if chosen.isEmpty { continue }
            if level.hasRanges {
                for position in chosen where level.files[position].metadata.rangeCount > 0 {
                    if let ranges = try level.files[position].openReader().ranges { tombstones += ranges.tombstones }
                }
            }
            if number == 0 {
                for position in chosen where Self.mayHold(level, position, lower, upper) {
                    runs.append(TableRun(level, position..<(position + 1), fillCache: fillCache))
                }
            } else {
                runs.append(TableRun(level, chosen, fillCache: fillCache))
            }
        }
        let relevant = tombstones.isEmpty ? [] : tombstones.filter { $0.sequence <= sequence }
        cursor = VisibleCursor(
            MergeCursor(memtables: memtables, runs: runs),
            sequence: sequence,
            ranges: relevant.isEmpty ? nil : RangeTombstoneSet(relevant),
            lower: lower,
            upper: upper
        )
    }

    /// The tables from the first to the last that may hold keys between the bounds.
    private static func tables(of level: Level, _ lower: [UInt8]?, _ upper: [UInt8]?) -> Range<Int> {
        if lower == nil, upper == nil { return level.files.indices }
        let indices = level.files.indices
        guard let first = indices.first(where: { mayHold(level, $0, lower, upper) }),
            let last = indices.last(where: { mayHold(level, $0, lower, upper) })
        else { return 0..<0 }
        return first..<(last + 1)
    }

    private static func mayHold(_ level: Level, _ position: Int, _ lower: [UInt8]?, _ upper: [UInt8]?) -> Bool {
        if let upper, compareKeys(level.files[position].metadata.smallest, upper) >= 0 { return false }
        if let lower, level.files[position].metadata.endsBefore(lower) { return false }
        return true
    }

    /// Whether it stands on a key.
    package var isValid: Bool { cursor.isValid }

    /// The key it stands on.
    ///
    /// - Precondition: `isValid`.
    package var key: UnsafeRawBufferPointer { cursor.key.buffer }

    /// That key's value.
    ///
    /// - Precondition: `isValid`.
    package var value: UnsafeRawBufferPointer { cursor.value.buffer }

    /// Goes to the first key.
    package func seekToFirst() throws(StorageError) {
        do throws(StorageError) { try cursor.seekToFirst() } catch { throw noted(error) }
    }

    /// Goes to the last key.
    package func seekToLast() throws(StorageError) {
        do throws(StorageError) { try cursor.seekToLast() } catch { throw noted(error) }
    }

    /// Goes to the first key not before `key`.
    package func seek(_ key: UnsafeRawBufferPointer) throws(StorageError) {
        do throws(StorageError) { try cursor.seek(ByteView(key)) } catch { throw noted(error) }
    }

    /// Goes to the last key not after `key`.
    package func seekForPrevious(_ key: UnsafeRawBufferPointer) throws(StorageError) {
        do throws(StorageError) { try cursor.seekForPrevious(ByteView(key)) } catch { throw noted(error) }
    }

    /// Goes to the next key.
    package func next() throws(StorageError) {
        do throws(StorageError) { try cursor.next() } catch { throw noted(error) }
    }

    /// Goes to the key before.
    package func previous() throws(StorageError) {
        do throws(StorageError) { try cursor.previous() } catch { throw noted(error) }
    }

    /// Goes to the first key not before `key`.
    package func seek(_ key: [UInt8]) throws(StorageError) {
        try key.withUnsafeBufferPointer { (bytes) throws(StorageError) in try seek(UnsafeRawBufferPointer(bytes)) }
    }

    /// Goes to the last key not after `key`.
    package func seekForPrevious(_ key: [UInt8]) throws(StorageError) {
        try key.withUnsafeBufferPointer { (bytes) throws(StorageError) in
            try seekForPrevious(UnsafeRawBufferPointer(bytes))
        }
    }

    private func noted(_ error: StorageError) -> StorageError {
        tablet.noteReadError(error)
        return error
    }
}
