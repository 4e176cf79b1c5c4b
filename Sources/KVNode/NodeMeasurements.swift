package import KVBase
package import KVReplication
package import KVService

/// All numbers of a node at one moment, gathered when somebody asks: the modules only count.
package struct NodeMeasurements: Sendable {
    /// One group's replica.
    package struct Group: Sendable {
        /// The group.
        package var id: GroupID
        /// Elections that this replica began.
        package var elections: UInt64
        /// How often it heard of another leader.
        package var leaderChanges: UInt64
        /// Appends dropped because an entry failed its checksum.
        package var damagedMessages: UInt64
        /// Messages that the core refused.
        package var strayMessages: UInt64
        /// For how long nothing was proposed because storage is behind, in nanoseconds.
        package var stalledNanoseconds: UInt64
    }

    /// One shard's tablet.
    package struct Shard: Sendable {
        /// Its group.
        package var group: GroupID
        /// The shard.
        package var shard: ShardID
        /// Bytes of its tables.
        package var bytes: UInt64
        /// Bytes of the memtable that takes writes.
        package var memtableBytes: UInt64
    }

    /// All tablets together, and what they share.
    package struct Storage: Sendable {
        /// Bytes that flushes wrote.
        package var flushedBytes: UInt64 = 0
        /// Tables that changed their level without being rewritten.
        package var trivialMoves: UInt64 = 0
        /// Bytes that compactions read.
        package var compactionBytesRead: UInt64 = 0
        /// Bytes that compactions wrote.
        package var compactionBytesWritten: UInt64 = 0
        /// Bytes of tables that wait for compaction.
        package var compactionBacklogBytes: UInt64 = 0
        /// Batches refused because memtables were full.
        package var stalls: UInt64 = 0
        /// Background jobs that failed.
        package var failures: UInt64 = 0
        /// Memtables that wait for their flush.
        package var sealedMemtables: UInt64 = 0
        /// How far the most pressed tablet is behind, 0 … 1.
        package var pressure: Double = 0
        /// Tables by level.
        package var tablesPerLevel: [UInt64] = []
        /// Bytes of tables by level.
        package var bytesPerLevel: [UInt64] = []
        /// Bytes in memtables, and how many there may be.
        package var memtableBytes: UInt64 = 0
        /// The bound of `memtableBytes`.
        package var memtableBytesMax: UInt64 = 0
        /// Blocks found in the cache.
        package var cacheHits: UInt64 = 0
        /// Blocks not found there.
        package var cacheMisses: UInt64 = 0
        /// Bytes in the cache.
        package var cacheBytes: UInt64 = 0
        /// The bound of `cacheBytes`.
        package var cacheBytesMax: UInt64 = 0
        /// Tables that filters spared a lookup.
        package var filterNegatives: UInt64 = 0
        /// Tables searched in vain.
        package var filterFalsePositives: UInt64 = 0
    }

    /// What waits in this node.
    package struct Queues: Sendable {
        /// Requests without a leader.
        package var leader = 0
        /// Requests sent on to another node.
        package var proxied = 0
        /// Reads whose round or index is awaited.
        package var reads = 0
        /// Scans and counts whose index is awaited.
        package var barriers = 0
        /// Committed entries that are not applied.
        package var apply = 0
        /// Bytes of writes that are not committed.
        package var proposalBytes = 0
        /// Bytes of the log that are not durable.
        package var logBytes = 0
    }

    /// What every edge can ask for.
    package var status: NodeStatus
    /// The feature level that the cluster uses; 0 before the node knows a cluster.
    package var featureLevel: UInt32 = 0
    /// The alarms that stand.
    package var alarms: Set<NodeAlarm>
    /// The groups, by id.
    package var groups: [Group] = []
    /// The shards, by group and id.
    package var shards: [Shard] = []
    /// Storage.
    package var storage = Storage()
    /// What waits.
    package var queues = Queues()
    /// Where the time of requests goes.
    package var timings: GroupTimings
    /// What writing the log costs.
    package var log: LogTimings
    /// Files of the log.
    package var logSegments: Int
    /// Snapshots sent and installed elsewhere, given up, and under way.
    package var snapshots: (sent: UInt64, failed: UInt64, transfers: Int)
}
