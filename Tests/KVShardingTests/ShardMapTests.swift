import KVBase
import KVSharding
import Testing

private let owner = ShardMap.Owner(group: GroupID(1), epoch: Epoch(1))

private func decodedMap(_ bytes: [UInt8]) throws -> ShardMap {
    try bytes.withUnsafeBytes { (buffer) throws in
        var reader = ByteReader(buffer)
        let map = try ShardMap(&reader)
        guard reader.isAtEnd else { throw DecodingError.invalid(offset: reader.offset, what: "left over") }
        return map
    }
}

@Test(arguments: [1, 2, 3, 7, 16, 100, 1000, 4096])
func `ranges are contiguous, cover every slot once, and agree with shard(of:)`(count: Int) throws {
    let map = try ShardMap(shardCount: count, group: GroupID(1))
    var next = 0
    for number in 0..<count {
        let shard = ShardID(UInt32(number))
        let slots = map.slots(of: shard)
        #expect(slots.lowerBound == next)
        #expect(!slots.isEmpty)
        next = slots.upperBound
        for slot in slots { #expect(map.shard(of: Slot(rawValue: UInt16(slot))) == shard) }
    }
    #expect(next == Slot.count)
}

@Test func `a map needs between one and the greatest number of shards`() {
    for count in [-1, 0, 4097] {
        #expect(throws: ShardMapError.badShardCount(count)) { try ShardMap(shardCount: count, group: GroupID(1)) }
    }
}

@Test func `group 0 and epoch 0 own nothing`() {
    #expect(throws: ShardMapError.ownedByController(ShardID(0))) { try ShardMap(shardCount: 2, group: .controller) }
    #expect(throws: ShardMapError.staleEpoch(ShardID(1), Epoch(0))) {
        try ShardMap(owners: [owner, ShardMap.Owner(group: GroupID(1), epoch: Epoch(0))])
    }
}

@Test func `a move needs a higher epoch`() throws {
    var map = try ShardMap(shardCount: 4, group: GroupID(1))
    try map.move(ShardID(2), to: GroupID(5), epoch: Epoch(3))
    #expect(map.owner(of: ShardID(2)) == ShardMap.Owner(group: GroupID(5), epoch: Epoch(3)))
    #expect(map.shards(of: GroupID(1)) == [ShardID(0), ShardID(1), ShardID(3)])
    #expect(throws: ShardMapError.staleEpoch(ShardID(2), Epoch(3))) {
        try map.move(ShardID(2), to: GroupID(1), epoch: Epoch(3))
    }
    #expect(throws: ShardMapError.unknownShard(ShardID(4))) {
        try map.move(ShardID(4), to: GroupID(1), epoch: Epoch(9))
    }
    #expect(throws: ShardMapError.ownedByController(ShardID(1))) {
        try map.move(ShardID(1), to: .controller, epoch: Epoch(9))
    }
}

@Test func `a map comes back from its bytes, and every truncation is refused`() throws {
    var map = try ShardMap(shardCount: 16, group: GroupID(1))
    try map.move(ShardID(9), to: GroupID(300), epoch: Epoch(.max))
    var bytes: [UInt8] = []
    map.encode(into: &bytes)
    #expect(try decodedMap(bytes) == map)
    for count in 0..<bytes.count { #expect(throws: DecodingError.self) { try decodedMap(Array(bytes[..<count])) } }
}
