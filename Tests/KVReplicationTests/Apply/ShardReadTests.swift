import KVBase
import KVReplication
import KVService
import KVStorage
import Testing

/// Three shards with keys dealt out in turn, and internal rows that nobody may see.
private func benchWithKeys(_ keys: [String]) throws -> (ApplyBench<MemoryRowStore>, [PinnedShard<MemoryRowStore>]) {
    let stores = (0..<3).map { _ in MemoryRowStore() }
    for store in stores {
        store.change {
            $0.rows[TabletRows.internalKey("controller")] = [9]
            $0.rows[[0]] = []
            $0.rows[[2, 0]] = [0xff]
        }
    }
    let bench = ApplyBench(stores)
    for (place, key) in keys.enumerated() {
        try bench.apply(
            bench.payload(shard: UInt32(place % 3)) {
                $0.put(key, "v" + key, .none, key.hasPrefix("mortal") ? .at(milliseconds: 5000) : .none)
            }
        )
    }
    return (bench, bench.applier.shards.map { $0.pin() })
}

private func text(_ page: ScanPage) -> [String] { page.rows.map { String(decoding: $0.key, as: UTF8.self) } }

private let keys = (0..<20).map { "k" + String($0 + 10) } + ["a", "mortal1", "mortal2", "z", "", "k"]

@Test func `a scan merges shards in key order, either way, and hides what is not the users'`() throws {
    let (_, shards) = try benchWithKeys(keys)
    let forward = try ShardScan.page(ScanRequest(limit: 1000), over: shards, time: 0)
    #expect(text(forward) == keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) })
    #expect(!forward.hasMore)
    let backward = try ShardScan.page(ScanRequest(limit: 1000, isReversed: true), over: shards, time: 0)
    #expect(backward.rows == forward.rows.reversed())
    #expect(forward.rows[1].value == Array("va".utf8))
    #expect(forward.rows.first { $0.key == Array("mortal1".utf8) }?.expiresAt == 5000)
}

@Test func `bounds, prefix and limit cut a scan`() throws {
    let (_, shards) = try benchWithKeys(keys)
    func scan(_ request: ScanRequest) throws -> ([String], Bool) {
        let page = try ShardScan.page(request, over: shards, time: 0)
        return (text(page), page.hasMore)
    }
    let k1 = Array("k1".utf8)
    #expect(try scan(ScanRequest(prefix: k1)).0 == (10..<20).map { "k\($0)" })
    #expect(try scan(ScanRequest(prefix: k1, limit: 3)) == (["k10", "k11", "k12"], true))
    #expect(try scan(ScanRequest(start: Array("k18".utf8), prefix: k1)).0 == ["k18", "k19"])
    #expect(try scan(ScanRequest(start: Array("a".utf8), end: Array("k11".utf8), prefix: k1)).0 == ["k10"])
    #expect(try scan(ScanRequest(start: Array("y".utf8), end: Array("b".utf8))).0 == [])
    #expect(try scan(ScanRequest(limit: -5)).0 == [""])
    #expect(try scan(ScanRequest(end: k1, limit: 2, isReversed: true)) == (["k", "a"], true))
    #expect(try scan(ScanRequest(prefix: [0xff, 0xff])).0 == [])
}

@Test func `pages join without gap or repetition`() throws {
    let (_, shards) = try benchWithKeys(keys)
    var all: [String] = []
    var start: [UInt8] = []
    while true {
        let page = try ShardScan.page(ScanRequest(start: start, limit: 4), over: shards, time: 0)
        all += text(page)
        guard page.hasMore, let last = page.rows.last else { break }
        start = last.key + [0]
    }
    #expect(all == keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) })
}

@Test func `a page ends after about four megabytes`() throws {
    let stores = [MemoryRowStore()]
    let bench = ApplyBench(stores)
    for place in 0..<6 { try bench.run { $0.put("k\(place)", String(repeating: "x", count: 1 << 20)) } }
    let shards = bench.applier.shards.map { $0.pin() }
    let page = try ShardScan.page(ScanRequest(), over: shards, time: 0)
    #expect(page.rows.count == 4)
    #expect(page.hasMore)
    #expect(try ShardScan.page(ScanRequest(keysOnly: true), over: shards, time: 0).rows.count == 6)
}

@Test func `expired keys are neither scanned nor counted, but hashed until they are swept`() throws {
    let (_, shards) = try benchWithKeys(keys)
    let before = try ShardScan.digest(of: shards[0], group: GroupID(1))
    #expect(try ShardScan.count(over: shards, time: 4999) == 26)
    #expect(try ShardScan.count(over: shards, time: 5000) == 24)
    #expect(try !text(ShardScan.page(ScanRequest(), over: shards, time: 5000)).contains("mortal1"))
    #expect(try ShardScan.digest(of: shards[0], group: GroupID(1)) == before)
    #expect(try shards.reduce(0) { $0 + (try ShardScan.digest(of: $1, group: GroupID(1)).keys) } == 26)
}

@Test func `a key that only the leader's clock calls expired asks for its time to be logged`() throws {
    let store = MemoryRowStore()
    let bench = ApplyBench([store])
    try bench.run { $0.put("k", "v", .none, .at(milliseconds: 1500)) }
    var batch = RequestBatch()
    batch.get("k")
    batch.head("k")
    let reader = ShardReader(shard: ShardID(0), store: store)
    let bytes = batch.bytes
    func read(
        _ place: Int,
        _ logged: UInt64,
        _ wall: UInt64,
        memoryOnly: Bool = true
    ) throws -> (
        ShardReader<MemoryRowStore>.Progress, OwnedReply?
    ) {
        let item = batch.items[place]
        var copy: OwnedReply?
        let progress = try bytes.withUnsafeBytes { (buffer) throws in
            let range = Int(item.offset)..<Int(item.offset + item.length)
            let request = try Request(UnsafeRawBufferPointer(rebasing: buffer[range]))
            return try reader.read(request, loggedTime: logged, wallTime: wall, memoryOnly: memoryOnly) {
                copy = OwnedReply(copying: $0)
            }
        }
        return (progress, copy)
    }
    let found = OwnedReply(.found, version: 1, expiresAt: 1500, integer: 1, value: Array("v".utf8))
    #expect(try read(0, 1499, 1499) == (.answered, found))
    #expect(try read(1, 1499, 1499) == (.answered, OwnedReply(.found, version: 1, expiresAt: 1500, integer: 1)))
    #expect(try read(0, 1499, 1500) == (.needsTime, nil))
    #expect(try read(0, 1500, 1500) == (.answered, OwnedReply(.absent)))
    store.change { $0.everyKeyIsCold = true }
    #expect(try read(0, 0, 0) == (.needsDisk, nil))
    #expect(try read(0, 0, 0, memoryOnly: false) == (.answered, found))
    store.change { $0.rows[[1] + Array("k".utf8)] = [4, 4] }
    #expect(throws: ApplyError.self) { try read(0, 0, 0, memoryOnly: false) }
}

@Test func `a sweeper goes through a shard in pieces and starts over`() throws {
    let store = MemoryRowStore()
    let bench = ApplyBench([store])
    for place in 10..<30 {
        try bench.run { $0.put("k\(place)", "v", .none, place % 4 == 0 ? .at(milliseconds: 2000) : .none) }
    }
    let shard = try #require(bench.applier[ShardID(0)])
    var sweeper = Sweeper()
    var found: [String] = []
    var rounds = 0
    while rounds < 10 {
        let (part, isAtEnd) = try sweeper.round(shard.pin(), time: 2000, rowsMax: 7)
        found += part.map { String(decoding: $0.key, as: UTF8.self) }
        rounds += 1
        if isAtEnd { break }
    }
    #expect(found == ["k12", "k16", "k20", "k24", "k28"])
    #expect(rounds == 3)
    #expect(
        try sweeper.round(shard.pin(), time: 2000, rowsMax: 7).found.map(\.key) == [
            Array("k12".utf8), Array("k16".utf8),
        ]
    )
    #expect(try sweeper.round(shard.pin(), time: 1999).found.isEmpty)
}

@Test func `a sweeper's piece is bounded by the bytes of the keys it finds`() throws {
    let store = MemoryRowStore()
    let bench = ApplyBench([store])
    let long = String(repeating: "x", count: 2000)
    for place in 100..<200 { try bench.run { $0.put("\(place)" + long, "v", .none, .at(milliseconds: 2000)) } }
    let shard = try #require(bench.applier[ShardID(0)])
    var sweeper = Sweeper()
    let (first, isFirstAtEnd) = try sweeper.round(shard.pin(), time: 2000)
    let (second, isSecondAtEnd) = try sweeper.round(shard.pin(), time: 2000)
    #expect(first.count == (Sweeper.foundBytesMax + 2002) / 2003)
    #expect(!isFirstAtEnd && isSecondAtEnd)
    #expect(Set((first + second).map(\.key)).count == 100)
}

@Test func `a shard without expiries is not swept`() throws {
    let store = MemoryRowStore()
    let bench = ApplyBench([store])
    try bench.run { $0.put("k", "v") }
    // A row that cannot be read would be noticed.
    store.change { $0.rows[[1, 1]] = [0xff] }
    let shard = try #require(bench.applier[ShardID(0)])
    var sweeper = Sweeper()
    #expect(try sweeper.round(shard.pin(), time: .max).isAtEnd)
}

extension RequestBatch {
    fileprivate mutating func head(_ key: String) {
        Array(key.utf8).withUnsafeBytes { head($0, tag: 1) }
    }
}
