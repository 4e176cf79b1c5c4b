import KVBase
import KVRaft
import KVReplication
import KVService
import KVStorage
import Testing

/// A random log: entries of a few commands each over few keys, with time that mostly grows.
func randomLog(seed: UInt64, entries: Int, shards: UInt32) -> [Entry] {
    var numbers = Numbers(seed: seed)
    var time: UInt64 = 1000
    return (1...entries).map { index in
        var builder = EntryBuilder()
        for _ in 0...numbers.below(6) {
            let key = "k\(numbers.below(8))"
            var batch = RequestBatch()
            let expiry: Expiry =
                switch numbers.below(5) {
                case 0: .after(milliseconds: UInt64(numbers.below(60)))
                case 1: .at(milliseconds: time &+ UInt64(numbers.below(80)) &- 20)
                case 2: .keep
                default: .none
                }
            let condition: Condition =
                switch numbers.below(6) {
                case 0: .absent
                case 1: .present
                case 2: .version(UInt64(numbers.below(40)))
                default: .none
                }
            let flags: RequestFlags = [RequestFlags.returnPrevious, .blind, []][numbers.below(3)]
            switch numbers.below(8) {
            case 0...2: batch.put(key, "\(numbers.below(100))", condition, expiry, flags.subtracting(.blind))
            case 3: batch.delete(key, condition, flags)
            case 4: batch.increment(key, Int64(numbers.below(9)) - 4)
            case 5: batch.append(key, "\(numbers.below(10))")
            case 6: batch.expire(key, expiry, [.always, .ifNone, .ifSome, .ifLater, .ifEarlier][numbers.below(5)])
            default: break
            }
            let epoch = Epoch(numbers.below(20) == 0 ? 2 : 1)
            let shard = ShardID(numbers.next() < 1 << 30 ? shards : UInt32(numbers.below(Int(shards))))
            for item in batch.items { builder.append(item, of: batch, shard: shard, epoch: epoch) }
            if batch.items.isEmpty {
                builder.appendSweep(Array(key.utf8), version: UInt64(numbers.below(60)), shard: shard, epoch: Epoch(1))
            }
        }
        time += UInt64(numbers.below(30))
        let logged = numbers.below(10) == 0 ? time - 50 : time
        return Entry(
            index: LogIndex(index),
            term: 1,
            kind: .commands,
            time: logged,
            checksum: 0,
            payload: builder.take()
        )
    }
}

func digests<Store: RowStore>(_ bench: ApplyBench<Store>) throws -> [ShardDigest] {
    try bench.applier.shards.map { try ShardScan.digest(of: $0.pin(), group: GroupID(1)) }
}

func apply<Store: RowStore>(_ log: ArraySlice<Entry>, to bench: ApplyBench<Store>) throws -> [[Answer]] {
    try log.map { entry in
        bench.time = entry.time
        return try bench.apply(entry.payload, at: entry.index)
    }
}

@Test(arguments: [1, 2, 3, 4, 5] as [UInt64])
func `replicas agree on rows, marks, hashes and replies, whatever is in their memory`(seed: UInt64) throws {
    let log = randomLog(seed: seed, entries: 300, shards: 3)
    let warm = (0..<3).map { _ in MemoryRowStore() }
    let cold = (0..<3).map { _ in MemoryRowStore() }
    for store in cold { store.change { $0.everyKeyIsCold = true } }
    let first = ApplyBench(warm)
    let second = ApplyBench(cold)
    #expect(try apply(log[...], to: first) == (try apply(log[...], to: second)))
    #expect(second.blocks > 0)
    #expect(warm.map(\.rows) == cold.map(\.rows))
    #expect(warm.map(\.mark) == cold.map(\.mark))
    #expect(try digests(first) == digests(second))
    #expect(first.applier.loggedTime == second.applier.loggedTime)
}

@Test(arguments: [11, 12, 13] as [UInt64])
func `a replay after a crash at any point ends where the others are`(seed: UInt64) throws {
    let log = randomLog(seed: seed, entries: 60, shards: 2)
    let straight = (0..<2).map { _ in MemoryRowStore() }
    _ = try apply(log[...], to: ApplyBench(straight))
    for crash in 0...log.count {
        for flush in Set([0, crash / 2, crash]) {
            let stores = (0..<2).map { _ in MemoryRowStore() }
            let bench = ApplyBench(stores)
            _ = try apply(log[..<flush], to: bench)
            // Tablets flush on their own: one holds more than the other, and the log is replayed from the older.
            stores[0].flush()
            _ = try apply(log[flush..<crash], to: bench)
            stores[1].flush()
            let reopened = stores.map { $0.reopened() }
            _ = try apply(log[...], to: ApplyBench(reopened))
            #expect(reopened.map(\.rows) == straight.map(\.rows))
            #expect(reopened.map(\.mark) == straight.map(\.mark))
        }
    }
}

@Test func `another order or another value shows in the chained hash`() throws {
    func hash(_ fill: (inout RequestBatch) -> Void) throws -> UInt64 {
        let store = MemoryRowStore()
        try ApplyBench([store]).run(fill)
        return store.mark.chainedHash
    }
    let hashes: [UInt64] = [
        try hash {
            $0.put("a", "1")
            $0.put("b", "1")
        },
        try hash {
            $0.put("b", "1")
            $0.put("a", "1")
        },
        try hash { $0.put("a", "1") },
        try hash { $0.put("a", "2") },
        try hash { $0.put("a", "1", .none, .after(milliseconds: 1)) },
        try hash { $0.delete("a", .none, .blind) },
        try hash { $0.get("nothing") },
    ]
    #expect(Set(hashes).count == hashes.count)
    #expect(hashes.last == 0)
}
