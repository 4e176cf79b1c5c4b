import Synchronization

/// What a tablet counts.
///
/// Any thread.
final class TabletCounters: Sendable {
    let flushes = Atomic<UInt64>(0)
    let flushedBytes = Atomic<UInt64>(0)
    let compactions = Atomic<UInt64>(0)
    let trivialMoves = Atomic<UInt64>(0)
    let compactionBytesRead = Atomic<UInt64>(0)
    let compactionBytesWritten = Atomic<UInt64>(0)
    let stalls = Atomic<UInt64>(0)
    let failures = Atomic<UInt64>(0)
}

/// A tablet's numbers at one moment.
package struct TabletStatistics: Sendable, Equatable {
    /// Memtables written to level 0.
    package var flushes: UInt64
    /// Bytes of the tables they made.
    package var flushedBytes: UInt64
    /// Compactions that rewrote tables.
    package var compactions: UInt64
    /// Tables that changed their level without being rewritten.
    package var trivialMoves: UInt64
    /// Bytes that compactions read.
    package var compactionBytesRead: UInt64
    /// Bytes that compactions wrote.
    package var compactionBytesWritten: UInt64
    /// Writes refused because memtables were full.
    package var stalls: UInt64
    /// Background jobs that failed.
    package var failures: UInt64
    /// Tables in each level.
    package var tablesPerLevel: [Int]
    /// Bytes of tables in each level.
    package var bytesPerLevel: [UInt64]
    /// Memtables that wait for their flush.
    package var sealedMemtables: Int
    /// Bytes in the active memtable.
    package var activeMemtableBytes: Int
}

extension Tablet {
    /// The tablet's numbers now.
    ///
    /// Any thread.
    package var statistics: TabletStatistics {
        let (version, sealed) = background.withLock { ($0.version, $0.sealed.count) }
        return TabletStatistics(
            flushes: counters.flushes.load(ordering: .relaxed),
            flushedBytes: counters.flushedBytes.load(ordering: .relaxed),
            compactions: counters.compactions.load(ordering: .relaxed),
            trivialMoves: counters.trivialMoves.load(ordering: .relaxed),
            compactionBytesRead: counters.compactionBytesRead.load(ordering: .relaxed),
            compactionBytesWritten: counters.compactionBytesWritten.load(ordering: .relaxed),
            stalls: counters.stalls.load(ordering: .relaxed),
            failures: counters.failures.load(ordering: .relaxed),
            tablesPerLevel: version.levels.map(\.files.count),
            bytesPerLevel: version.levels.map(\.bytes),
            sealedMemtables: sealed,
            activeMemtableBytes: activeBytes.load(ordering: .relaxed)
        )
    }
}
