// Space that deletions free is given back without anybody asking: where no level is over its target, tables with many
// deletions are compacted towards the last level, and there they are rewritten without them.

extension CompactionPicker {
    /// Deletions count from this share of the entries on, one in so many, while nothing is written.
    static let reclaimShare: UInt64 = 8
    /// The same while writes go on: they bring compactions of their own.
    static let reclaimShareWhileBusy: UInt64 = 2

    /// A compaction for the sake of space only.
    ///
    /// - Parameters:
    ///   - version: The tables.
    ///   - oldestSnapshot: What readers are pinned at: deletions that are newer stay anyway.
    ///   - isQuiet: Whether nothing was written for a while.
    /// - Returns: nil where there is little to gain.
    func planReclaiming(_ version: Version, oldestSnapshot: UInt64?, isQuiet: Bool) -> CompactionPlan? {
        let share = isQuiet ? Self.reclaimShare : Self.reclaimShareWhileBusy
        let last = Version.levelCount - 1
        if isWorthReclaiming(version.levels[0].files, version, share) {
            return levelZero(version, targets(version).baseLevel)
        }
        for level in 1..<last {
            for file in version.levels[level].files where isDense(file, share) {
                return make(version, level, level + 1, [file])
            }
        }
        for file in version.levels[last].files where isDense(file, share) {
            guard file.metadata.sequenceMax <= oldestSnapshot ?? .max else { continue }
            return CompactionPlan(
                inputLevel: last,
                outputLevel: last,
                inputs: [file],
                overlapped: [],
                grandparents: [],
                isTrivialMove: false
            )
        }
        return nil
    }

    /// Whether the deletions in level 0 remove a good part of what the tablet holds.
    private func isWorthReclaiming(_ files: [TableFile], _ version: Version, _ share: UInt64) -> Bool {
        guard files.contains(where: { $0.metadata.tombstoneCount > 0 || $0.metadata.rangeCount > 0 }) else {
            return false
        }
        var entries: UInt64 = 0
        var bytes: UInt64 = 0
        for level in version.levels {
            for file in level.files { entries += file.metadata.entryCount }
            bytes += level.bytes
        }
        guard bytes >= options.reclaimBytesMin else { return false }
        if files.contains(where: { $0.metadata.rangeCount > 0 }) { return true }
        return files.reduce(0) { $0 + $1.metadata.tombstoneCount } * share >= entries
    }

    /// Whether a good part of a table are deletions.
    private func isDense(_ file: TableFile, _ share: UInt64) -> Bool {
        let metadata = file.metadata
        if metadata.rangeCount > 0 { return true }
        return metadata.tombstoneCount > 0 && metadata.tombstoneCount * share >= metadata.entryCount
    }
}
