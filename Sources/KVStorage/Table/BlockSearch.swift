/// Finds one key in a block without building any key.
enum BlockSearch {
    enum Outcome {
        case absent
        case found(tag: UInt64, value: ByteView)
        case corrupt
    }

    /// The newest entry of `key` whose sequence is at most that of `seekTag`.
    ///
    /// 1. Halve the restarts (whole keys there) to the last one before (key, tag).
    /// 2. Walk on, keeping `matched`: how many bytes the last key, which was smaller, has in common with `key`. For
    ///    an entry that shares `s` bytes with the last key: `s > matched`: it differs from `key` where the last one
    ///    did, so it is smaller too; `s < matched`: it outgrew the last key inside the common part, so it is greater:
    ///    absent; `s = matched`: compare the rest. That holds because the builder always shares the most there is; at
    ///    a restart the comparison starts anew.
    static func newest(_ bytes: ByteView, _ key: ByteView, _ seekTag: UInt64) -> Outcome {
        guard let layout = BlockLayout(bytes) else { return .corrupt }
        var entry = BlockEntry()
        guard let restart = lastRestartBefore(layout, key, seekTag, &entry) else { return .corrupt }
        var nextRestart = restart + 1
        var restartAt = nextRestart < layout.restartCount ? layout.restart(nextRestart) : -1
        var position = layout.restart(restart)
        var matched = 0
        while position < layout.limit {
            guard entry.parse(layout.base, position, layout.limit) else { return .corrupt }
            if position == restartAt {
                matched = 0
                nextRestart += 1
                restartAt = nextRestart < layout.restartCount ? layout.restart(nextRestart) : -1
            }
            position = entry.end
            if entry.shared > matched { continue }
            if entry.shared < matched { return .absent }
            let suffix = ByteView(layout.base + entry.keyOffset, entry.unshared)
            let rest = ByteView(key.base + matched, key.count &- matched)
            let common = sharedPrefix(suffix, rest)
            if common == suffix.count && common == rest.count {
                if entry.tag <= seekTag {
                    return .found(
                        tag: entry.tag,
                        value: ByteView(layout.base + entry.valueOffset, entry.valueLength)
                    )
                }
                matched = key.count
            } else if common == rest.count {
                return .absent
            } else if common == suffix.count {
                matched &+= common
            } else if suffix.base.load(fromByteOffset: common, as: UInt8.self)
                < rest.base.load(fromByteOffset: common, as: UInt8.self)
            {
                matched &+= common
            } else {
                return .absent
            }
        }
        return .absent
    }

    /// The last restart whose entry is before (key, tag), 0 where none is; nil where the block is corrupt.
    @inline(__always)
    static func lastRestartBefore(
        _ layout: BlockLayout,
        _ key: ByteView,
        _ tag: UInt64,
        _ entry: inout BlockEntry
    ) -> Int? {
        var low = 0
        var high = layout.restartCount &- 1
        while low < high {
            let middle = (low &+ high &+ 1) / 2
            guard entry.parse(layout.base, layout.restart(middle), layout.limit), entry.shared == 0 else { return nil }
            let order = compareBytes(ByteView(layout.base + entry.keyOffset, entry.unshared), key)
            if order < 0 || (order == 0 && entry.tag > tag) { low = middle } else { high = middle &- 1 }
        }
        return low
    }
}
