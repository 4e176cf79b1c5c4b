/// How large each level may be, from the size of the last one: then the last level holds about nine tenths of the
/// data however much there is (dynamic level sizes).
struct LevelTargets: Equatable {
    /// Where level 0 is compacted to; levels between hold nothing.
    let baseLevel: Int
    /// Per level; 0 above the base.
    let targets: [UInt64]

    /// - Parameters:
    /// - sizes: the bytes in each level.
    /// - base: the greatest size of the base level.
    /// - multiplier: how many times larger each level is than the one above.
    init(sizes: [UInt64], base: UInt64, multiplier: UInt64) {
        let last = sizes.count - 1
        var targets = [UInt64](repeating: 0, count: sizes.count)
        targets[last] = max(sizes.max() ?? 0, base)
        var level = last
        while level > 1, targets[level] > base {
            targets[level - 1] = max(targets[level] / multiplier, 1)
            level -= 1
        }
        // A level that holds tables is never skipped: what comes from level 0 is newer than all of it.
        if let firstUsed = sizes.indices.dropFirst().first(where: { sizes[$0] > 0 }), firstUsed < level {
            for missing in stride(from: level - 1, through: firstUsed, by: -1) {
                targets[missing] = max(targets[missing + 1] / multiplier, 1)
            }
            level = firstUsed
        }
        baseLevel = level
        self.targets = targets
    }
}
