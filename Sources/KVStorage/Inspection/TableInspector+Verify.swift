/// What the data blocks of a table added up to.
package struct TableCounts: Equatable, Sendable {
    /// Data blocks that read.
    package var blocks = 0
    /// Entries in them.
    package var entries: UInt64 = 0
    /// Deletions among these.
    package var deletions: UInt64 = 0

    /// Of nothing.
    package init() {}
}

extension TableInspector {
    /// Reads every data block: checksums, the order of the entries, the index and the filter that lead to each, the bounds that
    /// properties and manifest give, and the counts.
    ///
    /// What is wrong comes into `findings`.
    package func verify() -> TableCounts {
        var counts = TableCounts()
        var last: InspectedEntry?
        var lostBlocks = 0
        for block in blocks where block.kind == .data {
            guard let entries = entries(of: block) else {
                lostBlocks += 1
                continue
            }
            counts.blocks += 1
            counts.entries += UInt64(entries.count)
            for entry in entries {
                if entry.isDeletion { counts.deletions += 1 }
                if let problem = problem(entry, after: last, in: block) {
                    add(block, problem)
                    break
                }
                last = entry
            }
        }
        let stated = properties?.entryCount ?? expected?.entryCount
        if let stated, lostBlocks == 0, isIndexed {
            let other = expected?.entryCount ?? stated
            if stated != counts.entries || other != counts.entries {
                add(0, size, "\(counts.entries) entries, properties \(stated), manifest \(other)", part: "file")
            }
        }
        noteLosses(stated, counts, lostBlocks)
        return counts
    }

    private func noteLosses(_ stated: UInt64?, _ counts: TableCounts, _ lostBlocks: Int) {
        guard lostBlocks > 0, let stated, stated >= counts.entries else { return }
        setLost("\(stated - counts.entries) entries in \(lostBlocks) data blocks of this table do not read")
    }

    private func problem(_ entry: InspectedEntry, after last: InspectedEntry?, in block: InspectedBlock) -> String? {
        if let last {
            let order = compareKeys(last.key, entry.key)
            if order > 0 || (order == 0 && last.sequence <= entry.sequence) { return "entries out of order" }
        }
        if let bounds = expected?.metadata {
            if compareKeys(entry.key, bounds.smallest) < 0 || bounds.endsBefore(entry.key) {
                return "a key outside the bounds that the manifest gives the table"
            }
            if entry.sequence < bounds.sequenceMin || entry.sequence > bounds.sequenceMax {
                return
                    "sequence \(entry.sequence) outside \(bounds.sequenceMin) … \(bounds.sequenceMax) of the manifest"
            }
        }
        if let separator = block.separator, compareKeys(entry.key, separator) > 0 {
            return "the index does not lead to a key: it is behind the block's index key"
        }
        let before = previousSeparator(of: block)
        if let before, compareKeys(entry.key, before) <= 0 {
            return "the index does not lead to a key: it is not behind the index key of the block before"
        }
        if let filter, !entry.key.withView({ filter.mayContain(hashKey($0)) }) { return "the filter denies a key" }
        return nil
    }

    private func previousSeparator(of block: InspectedBlock) -> [UInt8]? {
        guard block.number > 0 else { return nil }
        // Data blocks come first and in order.
        let place = block.number - 1
        guard place < blocks.count, blocks[place].kind == .data else { return nil }
        return blocks[place].separator
    }

    /// The share of absent keys that the filter lets pass, measured; nil where it does not read.
    package func filterFalsePositiveRate() -> Double? { filter?.falsePositiveRate() }

    /// Whether the filter may hold the stored key; nil where it does not read.
    package func filterMayContain(_ key: [UInt8]) -> Bool? {
        filter.map { f in key.withView { f.mayContain(hashKey($0)) } }
    }

    /// What the table says of itself, by name; empty where the properties do not read.
    package var propertyRows: [(name: String, value: PropertyValue)] {
        guard let properties else { return [] }
        let reason = TableReason(rawValue: properties.reason).map { "\($0)" } ?? "reason \(properties.reason)"
        let codec = properties.codecLevel == 0 ? "none" : "zstd \(Int64(clamping: properties.codecLevel) - 100)"
        return [
            ("entries", .number(properties.entryCount)), ("keys", .number(properties.keyCount)),
            ("deletions", .number(properties.tombstoneCount)), ("rangeDeletions", .number(properties.rangeCount)),
            ("keyBytes", .number(properties.rawKeyBytes)), ("valueBytes", .number(properties.rawValueBytes)),
            ("dataBytes", .number(properties.dataBytes)), ("sequenceMin", .number(properties.sequenceMin)),
            ("sequenceMax", .number(properties.sequenceMax)), ("level", .number(properties.level)),
            ("reason", .text(reason)), ("job", .number(properties.job)), ("codec", .text(codec)),
            ("smallest", .key(properties.smallest)), ("largest", .key(properties.largest)),
            ("largestIsExclusive", .flag(properties.largestIsExclusive)),
        ]
    }

    /// The bytes of keys and values before compression; nil where the properties do not read.
    package var rawBytes: UInt64? { properties.map { $0.rawKeyBytes &+ $0.rawValueBytes } }
    /// Entries and deletions by the properties; nil where they do not read.
    package var statedCounts: (entries: UInt64, deletions: UInt64)? {
        properties.map { ($0.entryCount, $0.tombstoneCount) }
    }
    /// The stored keys between which all of the table's lie; nil where the properties do not read.
    package var bounds: (smallest: [UInt8], largest: [UInt8])? { properties.map { ($0.smallest, $0.largest) } }
}

/// A property's value.
package enum PropertyValue: Equatable, Sendable {
    case number(UInt64)
    case text(String)
    case key([UInt8])
    case flag(Bool)
}
