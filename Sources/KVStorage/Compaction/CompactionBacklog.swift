extension Tablet {
    /// Bytes of tables that are above their level's target and wait for compaction: all of level 0 from the number of tables on
    /// that starts one, and of every other level what is past its target.
    ///
    /// Any thread.
    package var compactionBacklogBytes: UInt64 {
        let version = background.withLock { $0.version }
        let sizes = version.levels.enumerated().map { $0 == 0 ? 0 : $1.bytes }
        let targets = LevelTargets(
            sizes: sizes,
            base: options.baseLevelBytes,
            multiplier: options.levelMultiplier
        ).targets
        let isLevelZeroDue = version.levels[0].files.count >= options.levelZeroCompactAt
        var backlog = isLevelZeroDue ? version.levels[0].bytes : 0
        for level in 1..<(sizes.count - 1) { backlog += sizes[level] - min(sizes[level], targets[level]) }
        return backlog
    }
}
