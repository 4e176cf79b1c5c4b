package import KVBase

/// What an operator may ask of one process: its settings, a change of those that can change, and compaction.
///
/// Any thread.
package protocol OperationsService: AnyObject, Sendable {
    /// Every setting in the order of the reference file.
    var settings: [SettingDescription] { get }

    /// Changes a setting until the process ends.
    /// - Throws: `notFound` for an unknown name, `badRequest` for a value that it does not take, `conflict` where it cannot change.
    func changeSetting(_ name: String, to value: String) throws(ServiceError) -> SettingDescription

    /// Rewrites this node's own tablets (one shard's, where named) without what deletions and older versions take; answered when
    /// that is done.
    func compact(
        _ shard: ShardID?,
        completion: @escaping @Sendable (Result<[CompactedShard], ServiceError>) -> Void
    )
}

/// A setting of a running process.
package struct SettingDescription: Sendable, Equatable {
    /// The keys from the root, joined by dots.
    package var name: String
    /// What it is, as a flag would say it; nil where nobody set it and there is no default.
    package var value: String?
    /// Where the value comes from.
    package var origin: String
    /// Whether it can change while the process runs.
    package var isLive: Bool

    /// A setting with these parts.
    package init(name: String, value: String?, origin: String, isLive: Bool) {
        self.name = name
        self.value = value
        self.origin = origin
        self.isLive = isLive
    }
}

/// What a compaction of a tablet did to its tables.
package struct CompactedShard: Sendable, Equatable {
    /// The group.
    package var group: GroupID
    /// The shard.
    package var shard: ShardID
    /// The bytes of its tables before.
    package var bytesBefore: UInt64
    /// The bytes of its tables after.
    package var bytesAfter: UInt64

    /// A compaction with this outcome.
    package init(group: GroupID, shard: ShardID, bytesBefore: UInt64, bytesAfter: UInt64) {
        self.group = group
        self.shard = shard
        self.bytesBefore = bytesBefore
        self.bytesAfter = bytesAfter
    }
}
