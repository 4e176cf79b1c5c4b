import KVEnvironment

/// A key as a merge of tables shows it: all its stored entries, newest first.
package struct MergedKey: Equatable, Sendable {
    /// The stored key.
    package var key: [UInt8]
    /// Its entries over all tables, newest first, with the table each is in.
    package var entries: [(entry: InspectedEntry, table: Int)]
    /// The sequence of the newest range deletion that covers the key; 0 for none.
    package var rangeSequence: UInt64

    package static func == (a: Self, b: Self) -> Bool {
        a.key == b.key && a.rangeSequence == b.rangeSequence
            && a.entries.elementsEqual(b.entries) { $0.entry == $1.entry && $0.table == $1.table }
    }

    /// The entry that a reader sees; nil where the key is deleted.
    package var visible: InspectedEntry? {
        guard let newest = entries.first?.entry, !newest.isDeletion, newest.sequence > rangeSequence else { return nil }
        return newest
    }
}

/// Walks the keys of many tables in order, a block of each in memory at a time; blocks that do not read are left out and are
/// findings of their table.
package struct TableMerge {
    private var cursors: [Cursor]
    private let ranges: RangeTombstoneSet
    private let upper: [UInt8]?

    private struct Cursor {
        let table: TableInspector
        var blocks: ArraySlice<InspectedBlock>
        var entries: ArraySlice<InspectedEntry> = []

        /// Sees to it that an entry is there, unless the table is at its end.
        mutating func fill(from lower: [UInt8]?) {
            while entries.isEmpty, let block = blocks.popFirst() {
                var found = table.entries(of: block)?[...] ?? []
                if let lower { found = found.drop { compareKeys($0.key, lower) < 0 } }
                entries = found
            }
        }
    }

    /// A merge of these tables' keys from `lower`, inclusive, to `upper`, exclusive; `more` are range deletions from elsewhere.
    package init(
        _ tables: [TableInspector],
        from lower: [UInt8]? = nil,
        to upper: [UInt8]? = nil,
        ranges more: [InspectedRange] = []
    ) {
        self.upper = upper
        ranges = RangeTombstoneSet(
            (tables.flatMap(\.ranges) + more).map {
                RangeTombstone(start: $0.start, end: $0.end, sequence: $0.sequence)
            }
        )
        cursors = tables.map { table in
            var blocks = table.blocks.filter { $0.kind == .data }[...]
            if let lower {
                blocks = blocks.drop { block in block.separator.map { compareKeys($0, lower) < 0 } ?? false }
            }
            return Cursor(table: table, blocks: blocks)
        }
        for place in cursors.indices { cursors[place].fill(from: lower) }
    }

    /// The next key; nil at the end.
    package mutating func next() -> MergedKey? {
        var least: [UInt8]?
        for cursor in cursors {
            guard let key = cursor.entries.first?.key else { continue }
            if let found = least, compareKeys(found, key) <= 0 { continue }
            least = key
        }
        guard let least else { return nil }
        if let upper, compareKeys(least, upper) >= 0 { return nil }
        var merged = MergedKey(key: least, entries: [], rangeSequence: 0)
        for place in cursors.indices {
            while let entry = cursors[place].entries.first, entry.key == least {
                merged.entries.append((entry, place))
                cursors[place].entries.removeFirst()
                cursors[place].fill(from: nil)
            }
        }
        merged.entries.sort { $0.entry.sequence > $1.entry.sequence }
        merged.rangeSequence = least.withView { ranges.newestCovering($0, at: EntryTag.sequenceMax) }
        return merged
    }
}
