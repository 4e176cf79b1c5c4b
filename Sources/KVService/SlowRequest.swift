package import KVBase

/// A request that took longer than the configured bound, with where its time went: what the slow log keeps.
///
/// Writes share entries: the one that waited longest in an entry stands for all of it.
package struct SlowRequest: Sendable, Equatable {
    /// The time of each stage, in nanoseconds, one after the other.
    package struct Stages: Sendable, Equatable {
        /// From its arrival at the group's leader until its entry was proposed, or its round began.
        package var queue: UInt64 = 0
        /// Until the log thread began to write the entry; 0 for reads.
        package var propose: UInt64 = 0
        /// Until it was on stable storage here; 0 for reads.
        package var sync: UInt64 = 0
        /// Until a majority had it; for reads until a majority confirmed the leader.
        package var replicate: UInt64 = 0
        /// Until it was applied and answered.
        package var apply: UInt64 = 0

        /// No time spent.
        package init() {}

        /// All stages together.
        package var total: UInt64 { queue &+ propose &+ sync &+ replicate &+ apply }

        /// The stages by name, in order.
        package var named: [(name: String, nanoseconds: UInt64)] {
            [("queue", queue), ("propose", propose), ("sync", sync), ("replicate", replicate), ("apply", apply)]
        }
    }

    /// Grows by one with each; tells it from others of this process.
    package var id: UInt64
    /// When it was answered, in milliseconds since 1970.
    package var finishedAt: UInt64
    /// Its group.
    package var group: GroupID
    /// Its shard.
    package var shard: ShardID
    /// What it did.
    package var operation: Operation
    /// Its key, cut off after `keyBytesMax`.
    package var key: [UInt8]
    /// How many requests shared its entry or round, itself included.
    package var requests: Int
    /// The index of its entry; for reads the index that they waited for.
    package var index: LogIndex
    /// Where its time went.
    package var stages: Stages

    /// How much of a key is kept.
    package static let keyBytesMax = 64

    /// A slow request with these parts.
    package init(
        id: UInt64,
        finishedAt: UInt64,
        group: GroupID,
        shard: ShardID,
        operation: Operation,
        key: [UInt8],
        requests: Int,
        index: LogIndex,
        stages: Stages
    ) {
        self.id = id
        self.finishedAt = finishedAt
        self.group = group
        self.shard = shard
        self.operation = operation
        self.key = Array(key.prefix(Self.keyBytesMax))
        self.requests = requests
        self.index = index
        self.stages = stages
    }
}

extension SlowRequest {
    /// The key as text, with what is no printable ASCII as `\xNN`.
    package var keyText: String {
        var text = ""
        for byte in key {
            if byte > 0x20, byte < 0x7f, byte != UInt8(ascii: "\\") {
                text.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                text += "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        }
        return text
    }
}

extension KeyValueService {
    /// A service that keeps no times has no slow requests.
    package func slowRequests(completion: @escaping @Sendable ([SlowRequest]) -> Void) { completion([]) }

    /// The slow requests that this node keeps, newest first.
    package func slowRequests() async -> [SlowRequest] {
        await withCheckedContinuation { continuation in
            slowRequests { continuation.resume(returning: $0) }
        }
    }
}
