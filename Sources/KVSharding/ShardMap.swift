package import KVBase

/// Which group owns each shard, and under which epoch.
///
/// The number of shards is fixed when the cluster is created: shard s of n owns the slots from s·16,384/n up to, and without,
/// (s+1)·16,384/n, rounded down, so that ranges are contiguous, cover every slot once, and differ by at most one in length. What
/// changes over a cluster's life is only the owner: a move gives a shard another group and a higher epoch.
package struct ShardMap: Sendable, Equatable {
    /// Who owns a shard.
    package struct Owner: Sendable, Equatable {
        /// The group; never the controller.
        package var group: GroupID
        /// The ownership count, from 1.
        package var epoch: Epoch

        /// An owner with these parts.
        package init(group: GroupID, epoch: Epoch) {
            self.group = group
            self.epoch = epoch
        }
    }

    /// The owner of each shard, by the shard's number; never empty.
    package private(set) var owners: [Owner]

    /// A map with these owners.
    ///
    /// - Throws: why they cannot be a map.
    package init(owners: [Owner]) throws(ShardMapError) {
        guard (1...ShardMapFormat.shardsMax).contains(owners.count) else { throw .badShardCount(owners.count) }
        for (shard, owner) in owners.enumerated() {
            guard owner.group != .controller else { throw .ownedByController(ShardID(UInt32(shard))) }
            guard owner.epoch >= Epoch(1) else { throw .staleEpoch(ShardID(UInt32(shard)), owner.epoch) }
        }
        self.owners = owners
    }

    /// A new cluster's map: every shard belongs to one group under epoch 1.
    ///
    /// - Throws: why there cannot be such a map.
    package init(shardCount: Int, group: GroupID) throws(ShardMapError) {
        guard (1...ShardMapFormat.shardsMax).contains(shardCount) else { throw .badShardCount(shardCount) }
        try self.init(owners: Array(repeating: Owner(group: group, epoch: Epoch(1)), count: shardCount))
    }

    /// How many shards there are.
    package var shardCount: Int { owners.count }

    /// Which shard a slot belongs to.
    ///
    /// - Complexity: O(1).
    package func shard(of slot: Slot) -> ShardID {
        ShardID(UInt32(((Int(slot.rawValue) + 1) * owners.count - 1) / Slot.count))
    }

    /// Who owns a shard.
    ///
    /// - Precondition: `shard` is below `shardCount`.
    package func owner(of shard: ShardID) -> Owner {
        precondition(shard.rawValue < owners.count, "shard \(shard) of \(owners.count)")
        return owners[Int(shard.rawValue)]
    }

    /// The slots of a shard, as numbers.
    ///
    /// - Precondition: `shard` is below `shardCount`.
    package func slots(of shard: ShardID) -> Range<Int> {
        precondition(shard.rawValue < owners.count, "shard \(shard) of \(owners.count)")
        let number = Int(shard.rawValue)
        return number * Slot.count / owners.count..<(number + 1) * Slot.count / owners.count
    }

    /// The shards of a group, ascending.
    ///
    /// - Complexity: O(shards).
    package func shards(of group: GroupID) -> [ShardID] {
        owners.indices.filter { owners[$0].group == group }.map { ShardID(UInt32($0)) }
    }

    /// Gives a shard to a group.
    ///
    /// - Throws: where the shard is unknown, the group the controller, or the epoch not above the present one.
    package mutating func move(_ shard: ShardID, to group: GroupID, epoch: Epoch) throws(ShardMapError) {
        guard shard.rawValue < owners.count else { throw .unknownShard(shard) }
        guard group != .controller else { throw .ownedByController(shard) }
        guard epoch > owners[Int(shard.rawValue)].epoch else { throw .staleEpoch(shard, epoch) }
        owners[Int(shard.rawValue)] = Owner(group: group, epoch: epoch)
    }
}

/// Why something cannot be a shard map.
package enum ShardMapError: Error, Equatable, Sendable {
    /// Not between 1 and the greatest number of shards.
    case badShardCount(Int)
    /// The controller's group owns no shards.
    case ownedByController(ShardID)
    /// The epoch is zero, or not above the present one.
    case staleEpoch(ShardID, Epoch)
    /// There is no such shard.
    case unknownShard(ShardID)
}
