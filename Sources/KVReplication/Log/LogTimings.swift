package import KVBase

/// What writing the log costs: fed once a batch on the home scheduler, read when somebody asks.
package struct LogTimings: Sendable {
    /// From taking what waits until the system had it.
    package var writes = Distribution.latency
    /// The syncs that followed.
    package var syncs = Distribution.latency
    /// Entries that one write and one sync served.
    package var entriesPerSync = Distribution.count
    /// Bytes written.
    package var bytes: UInt64 = 0

    /// Counts a batch that became durable, unless it wrote nothing.
    mutating func record(_ batch: LogLane.Batch) {
        guard !batch.done.isEmpty, batch.times.synced >= batch.times.written else { return }
        writes.observe(batch.times.written - min(batch.times.began, batch.times.written))
        syncs.observe(batch.times.synced - batch.times.written)
        var entries: UInt64 = 0
        for case .append(let work, _) in batch.done { entries += UInt64(work.entries.count) }
        if entries > 0 { entriesPerSync.observe(entries) }
        bytes += batch.bytes
    }
}
