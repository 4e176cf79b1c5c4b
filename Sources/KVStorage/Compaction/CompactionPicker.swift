/// What to compact next.
struct CompactionPlan {
    let inputLevel: Int
    let outputLevel: Int
    /// Tables of the input level; newest first for level 0.
    let inputs: [TableFile]
    /// Tables of the output level that overlap them.
    let overlapped: [TableFile]
    /// Tables one level further down, which bound how far an output may reach.
    let grandparents: [TableFile]
    /// Whether the table can change its level without being rewritten.
    let isTrivialMove: Bool
}

/// Chooses compactions: pure, from a version and the options; one at a time for each tablet.
///
/// 1. A score for each level: level 0 by number of tables, the others by bytes against their target. The greatest
///    score of at least 1 wins.
/// 2. Level 0: every table of it goes to the base level at once. Deeper: the table with the least overlap below for
///    its size.
/// 3. Where no level is over its target: tables with many deletions, for the space these free.
/// 4. The output level's overlapping tables join; so all versions of a key that lie at or above the output level and
///    are older than an input are either inputs or still above it.
struct CompactionPicker {
    let options: TabletOptions

    func plan(_ version: Version, oldestSnapshot: UInt64? = nil, isQuiet: Bool = false) -> CompactionPlan? {
        let targets = targets(version)
        var best: (score: Double, level: Int)?
        for level in 0..<(Version.levelCount - 1) {
            let score = self.score(version, level, targets)
            if score >= 1, score > best?.score ?? 0 { best = (score, level) }
        }
        guard let best else { return planReclaiming(version, oldestSnapshot: oldestSnapshot, isQuiet: isQuiet) }
        return best.level == 0 ? levelZero(version, targets.baseLevel) : deeper(version, best.level)
    }

    /// A compaction of everything above the last level that holds data, one level; nil where only one level holds
    /// any.
    func planForced(_ version: Version) -> CompactionPlan? {
        guard let deepest = version.levels.lastIndex(where: { !$0.files.isEmpty }) else { return nil }
        guard let level = version.levels.firstIndex(where: { !$0.files.isEmpty }), level < deepest || level == 0 else {
            return nil
        }
        if level == 0 {
            return levelZero(version, targets(version).baseLevel)
        }
        return deeper(version, level)
    }

    private func score(_ version: Version, _ level: Int, _ targets: LevelTargets) -> Double {
        if level == 0 { return Double(version.levels[0].files.count) / Double(options.levelZeroCompactAt) }
        guard targets.targets[level] > 0 else { return version.levels[level].bytes > 0 ? 1 : 0 }
        return Double(version.levels[level].bytes) / Double(targets.targets[level])
    }

    func targets(_ version: Version) -> LevelTargets {
        LevelTargets(
            sizes: version.levels.enumerated().map { $0 == 0 ? 0 : $1.bytes },
            base: options.baseLevelBytes,
            multiplier: options.levelMultiplier
        )
    }

    func levelZero(_ version: Version, _ baseLevel: Int) -> CompactionPlan {
        make(version, 0, baseLevel, version.levels[0].files)
    }

    private func deeper(_ version: Version, _ level: Int) -> CompactionPlan? {
        let next = version.levels[level + 1]
        var best: (ratio: Double, file: TableFile)?
        for file in version.levels[level].files {
            let metadata = file.metadata
            var overlap: UInt64 = 0
            var position = metadata.smallest.withView { next.firstNotBefore($0) }
            while position < next.files.count {
                let other = next.files[position].metadata
                guard compareKeys(other.smallest, metadata.largest) <= 0 else { break }
                overlap += other.size
                position += 1
            }
            let ratio = Double(overlap) / Double(max(metadata.size, 1))
            if ratio < best?.ratio ?? .infinity { best = (ratio, file) }
        }
        return best.map { make(version, level, level + 1, [$0.file]) }
    }

    func make(_ version: Version, _ level: Int, _ outputLevel: Int, _ inputs: [TableFile]) -> CompactionPlan {
        var smallest = inputs[0].metadata.smallest
        var largest = inputs[0].metadata.largest
        for file in inputs.dropFirst() {
            if compareKeys(file.metadata.smallest, smallest) < 0 { smallest = file.metadata.smallest }
            if compareKeys(file.metadata.largest, largest) > 0 { largest = file.metadata.largest }
        }
        let overlapped = version.levels[outputLevel].overlapping(smallest: smallest, largest: largest)
        for file in overlapped {
            if compareKeys(file.metadata.smallest, smallest) < 0 { smallest = file.metadata.smallest }
            if compareKeys(file.metadata.largest, largest) > 0 { largest = file.metadata.largest }
        }
        let grandparents =
            outputLevel + 1 < Version.levelCount
            ? version.levels[outputLevel + 1].overlapping(smallest: smallest, largest: largest) : []
        let grandparentBytes = grandparents.reduce(0) { $0 + $1.metadata.size }
        return CompactionPlan(
            inputLevel: level,
            outputLevel: outputLevel,
            inputs: inputs,
            overlapped: overlapped,
            grandparents: grandparents,
            isTrivialMove: inputs.count == 1 && overlapped.isEmpty && grandparentBytes <= 10 * options.tableBytes
        )
    }
}
