import KVBase
import KVReplication
import KVService
import Testing

/// Numbers from a seed (a linear congruential generator, the upper bits).
struct Numbers {
    private var state: UInt64
    init(seed: UInt64) { state = seed &* 2 &+ 1 }
    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state >> 32
    }
    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
    mutating func byte() -> UInt8 { UInt8(truncatingIfNeeded: next()) }

    /// Changes, inserts or removes a few bytes.
    mutating func mutate(_ bytes: inout [UInt8]) {
        for _ in 0...below(3) where !bytes.isEmpty {
            switch below(3) {
            case 0: bytes[below(bytes.count)] = byte()
            case 1: bytes.insert(byte(), at: below(bytes.count + 1))
            default: bytes.remove(at: below(bytes.count))
            }
        }
    }
}

private func mixedBatch() -> RequestBatch {
    var batch = RequestBatch()
    Array("key".utf8).withUnsafeBytes { key in
        Array("value".utf8).withUnsafeBytes { value in
            batch.put(key, value, tag: 10, condition: .version(9), expiry: .at(milliseconds: 77))
            batch.get(key, tag: 11, consistency: .stale)
            batch.put(key, value, tag: 12, joinsPrevious: true)
            batch.append(key, value, tag: 13)
            batch.increment(key, by: -5, tag: 14)
        }
    }
    return batch
}

private struct Copied: Equatable {
    var tag: UInt64
    var reply: OwnedReply
    var error: ServiceError?
}

private func decodedReplies(_ payload: [UInt8]) throws -> [Copied] {
    var copies: [Copied] = []
    try payload.withUnsafeBytes { (buffer) throws in
        try ProxyFormat.decodeReplies(buffer) { tag, reply in
            copies.append(Copied(tag: tag, reply: OwnedReply(copying: reply), error: reply.error))
        }
    }
    return copies
}

private func decodedRequests(_ payload: [UInt8]) throws -> RequestBatch {
    var batch = RequestBatch()
    try payload.withUnsafeBytes { (buffer) throws in try ProxyFormat.decodeRequests(buffer, into: &batch) }
    return batch
}

private func commands(_ payload: [UInt8]) throws -> [EntryCommand] {
    try payload.withUnsafeBytes { (buffer) throws in
        var reader = EntryReader(buffer)
        var all: [EntryCommand] = []
        while let command = try reader.next() { all.append(command) }
        return all
    }
}

@Test func `an entry holds each request as it was encoded, with its shard and epoch`() throws {
    let batch = mixedBatch()
    var builder = EntryBuilder()
    for (place, item) in batch.items.enumerated() {
        #expect(builder.append(item, of: batch, shard: ShardID(UInt32(place)), epoch: Epoch(.max)) == place)
    }
    #expect(builder.appendAdvanceTime(shard: ShardID(99), epoch: Epoch(1)) == 5)
    #expect(builder.appendSweep([1, 2], version: 8, shard: ShardID(.max), epoch: Epoch(1)) == 6)
    #expect(builder.count == 7)
    let payload = builder.take()
    #expect(builder.isEmpty && builder.size == 0)
    let all = try commands(payload)
    #expect(all.map(\.ordinal) == Array(0..<7))
    try payload.withUnsafeBytes { (buffer) throws in
        for (place, item) in batch.items.enumerated() {
            #expect(all[place].shard == ShardID(UInt32(place)))
            #expect(all[place].epoch == Epoch(.max))
            let range = Int(item.offset)..<Int(item.offset + item.length)
            #expect(Array(all[place].request(in: buffer)) == Array(batch.bytes[range]))
        }
        let sweep = try Request(all[6].request(in: buffer), from: .logged)
        #expect(Array(sweep.key) == [1, 2])
        #expect(try Request(all[5].request(in: buffer), from: .logged).operation == .advanceTime)
        #expect(throws: DecodingError.self) { try Request(all[5].request(in: buffer)) }
    }
}

@Test func `requests cross to a leader with their treatment`() throws {
    let batch = mixedBatch()
    var payload: [UInt8] = []
    for item in batch.items { ProxyFormat.append(item, of: batch, to: &payload) }
    let read = try decodedRequests(payload)
    #expect(read.bytes == batch.bytes)
    #expect(read.items.map(\.tag) == [0, 1, 2, 3, 4])
    #expect(read.items.map(\.consistency) == batch.items.map(\.consistency))
    #expect(read.items.map(\.joinsPrevious) == batch.items.map(\.joinsPrevious))
}

@Test func `a peer cannot submit internal operations or join nothing`() {
    var builder = EntryBuilder()
    builder.appendAdvanceTime(shard: ShardID(0), epoch: Epoch(1))
    let request = Array(builder.take().suffix(5))
    #expect(throws: DecodingError.self) { try decodedRequests([0, 5] + request) }
    var payload: [UInt8] = []
    let batch = mixedBatch()
    ProxyFormat.append(batch.items[2], of: batch, to: &payload)
    #expect(throws: DecodingError.invalid(offset: 0, what: "request flags 4")) { try decodedRequests(payload) }
    #expect(throws: DecodingError.self) { try decodedRequests([3, 0]) }
}

@Test func `replies cross back with all their parts`() throws {
    var payload: [UInt8] = []
    ProxyFormat.append(Reply(.done, version: .max), tag: 0, to: &payload)
    [UInt8]().withUnsafeBytes {
        ProxyFormat.append(Reply(.found, version: 1, expiresAt: 2, integer: .min, value: $0), tag: 300, to: &payload)
    }
    ProxyFormat.append(Reply(.absent), tag: 2, to: &payload)
    let error = ServiceError(.noLeader, "münze", leader: NodeID(3))
    ProxyFormat.append(.failed(error), tag: 4, to: &payload)
    ProxyFormat.append(.failed(ServiceError(.timeout, "")), tag: 5, to: &payload)
    #expect(
        try decodedReplies(payload) == [
            Copied(tag: 0, reply: OwnedReply(.done, version: .max)),
            Copied(tag: 300, reply: OwnedReply(.found, version: 1, expiresAt: 2, integer: .min, value: [])),
            Copied(tag: 2, reply: OwnedReply(.absent)),
            Copied(tag: 4, reply: OwnedReply(.failed), error: error),
            Copied(tag: 5, reply: OwnedReply(.failed), error: ServiceError(.timeout, "")),
        ]
    )
}

@Test func `no garbage traps a decoder`() {
    var numbers = Numbers(seed: 5)
    let batch = mixedBatch()
    var requests: [UInt8] = []
    var replies: [UInt8] = []
    var builder = EntryBuilder()
    for item in batch.items {
        ProxyFormat.append(item, of: batch, to: &requests)
        builder.append(item, of: batch, shard: ShardID(3), epoch: Epoch(200))
        ProxyFormat.append(.failed(ServiceError(.moving, "m", leader: NodeID(4))), tag: item.tag, to: &replies)
        ProxyFormat.append(Reply(.number, version: 4, integer: 5), tag: item.tag, to: &replies)
    }
    let entry = builder.take()
    for _ in 0..<10_000 {
        var mutated = requests
        numbers.mutate(&mutated)
        _ = try? decodedRequests(mutated)
        mutated = replies
        numbers.mutate(&mutated)
        _ = try? decodedReplies(mutated)
        mutated = entry
        numbers.mutate(&mutated)
        _ = try? commands(mutated)
        mutated = (0..<numbers.below(40)).map { _ in numbers.byte() }
        _ = try? decodedRequests(mutated)
        _ = try? decodedReplies(mutated)
        _ = try? commands(mutated)
        _ = mutated.withUnsafeBytes { try? StoredValue($0).bytes.count }
    }
}

@Test func `the content hash depends on every byte, on lengths and on order`() {
    func hash(_ parts: [[UInt8]]) -> UInt64 {
        var hash = ContentHash()
        for part in parts { part.withUnsafeBytes { hash.add($0) } }
        return hash.value
    }
    let parts: [[[UInt8]]] = [
        [], [[]], [[0]], [[0, 0]], [[], []], [[1], [2]], [[2], [1]], [[1, 2]], [Array(repeating: 0, count: 8)],
        [Array(repeating: 0, count: 16)], [Array(repeating: 0, count: 8), Array(repeating: 0, count: 8)],
    ]
    #expect(Set(parts.map(hash)).count == parts.count)
    let long = (0..<100).map { UInt8($0) }
    var seen: Set<UInt64> = [hash([long])]
    for place in long.indices {
        var other = long
        other[place] ^= 0x80
        #expect(seen.insert(hash([other])).inserted)
    }
}
