import Synchronization

extension Tablet {
    /// Brings the active memtable into tables where it has waited long enough: its deletions free much of what the
    /// tables hold, or it is old.
    ///
    /// Call it now and then (a second is often enough). Home scheduler only.
    package func flushIfDue() {
        guard !active.isClean else { return }
        let age = options.clock.monotonicNanoseconds &- active.bornNanoseconds
        guard age >= options.reclaimAgeNanoseconds else { return }
        if age >= options.memtableAgeNanoseconds || isWorthReclaiming { flush() }
    }

    /// Whether the active memtable's deletions remove a good part of what the tablet holds.
    private var isWorthReclaiming: Bool {
        var (entries, bytes) = (UInt64(active.entryCount), UInt64(active.used))
        for level in background.withLock({ $0.version }).levels {
            for file in level.files { entries += file.metadata.entryCount }
            bytes += level.bytes
        }
        guard bytes >= options.reclaimBytesMin else { return false }
        if active.rangeTombstones != nil { return true }
        return active.tombstoneCount > 0 && UInt64(active.tombstoneCount) * CompactionPicker.reclaimShare >= entries
    }
}
