import KVBase
import KVRaft
import KVReplication
import KVService
import KVStorage
import Testing

@Test func `versions count mutations, and replies carry them`() throws {
    let bench = ApplyBench([MemoryRowStore()])
    #expect(
        try bench.run {
            $0.put("a", "1")
            $0.put("b", "2")
        } == [.done(0, 1), .done(1, 2)]
    )
    #expect(
        try bench.run {
            $0.delete("a")
            $0.put("a", "3", .none, .none, .returnPrevious)
        } == [.done(0, 0), .done(1, 4)]
    )
    #expect(try bench.get("a") == OwnedReply(.found, version: 4, integer: 1, value: Array("3".utf8)))
    #expect(bench.applier[ShardID(0)]?.mark.revision == 4)
}

@Test func `commands of one entry see each other`() throws {
    let bench = ApplyBench([MemoryRowStore()])
    let answers = try bench.run {
        $0.put("k", "10")
        $0.increment("k")
        $0.increment("k")
        $0.append("k", "0")
        $0.put("k", "x", .version(4), .after(milliseconds: 50), .returnPrevious)
        $0.put("k", "y", .absent)
        $0.delete("k", .none, .returnPrevious)
        $0.increment("k", 7)
        $0.delete("k", .none, .blind)
        $0.put("k", "z", .present)
    }
    #expect(
        answers == [
            .done(0, 1), .number(1, 11, 2), .number(2, 12, 3), .number(3, 3, 4),
            .done(4, 5, value: "120", expiresAt: 1050),
            Answer(ordinal: 5, reply: OwnedReply(.conditionFailed, version: 5, expiresAt: 1050)),
            .done(6, 0, value: "x"), .number(7, 7, 7), .done(8, 0),
            Answer(ordinal: 9, reply: OwnedReply(.conditionFailed)),
        ]
    )
    #expect(try bench.get("k") == OwnedReply(.absent))
}

@Test func `a blind write before a read in the same entry is seen`() throws {
    let bench = ApplyBench([MemoryRowStore()])
    try bench.run { $0.put("k", "old") }
    let answers = try bench.run {
        $0.put("k", "5")
        $0.put("other", "6")
        $0.increment("k")
        $0.delete("other", .none, .blind)
        $0.append("other", "x")
    }
    #expect(
        answers == [.done(0, 2), .done(1, 3), .number(2, 6, 4), .done(3, 0), .number(4, 1, 6)]
    )
}

@Test func `expiry goes by the entry's time, which never runs backwards`() throws {
    let bench = ApplyBench([MemoryRowStore()])
    try bench.run { $0.put("k", "v", .none, .after(milliseconds: 100)) }
    bench.time = 1099
    #expect(try bench.run { $0.put("k", "w", .absent) }.first?.reply.outcome == .conditionFailed)
    bench.time = 1100
    #expect(try bench.run { $0.delete("k") } == [.absent(0)])
    // A new leader's clock is behind: the shard's time stays.
    bench.time = 500
    #expect(try bench.run { $0.delete("k") } == [.absent(0)])
    #expect(bench.applier[ShardID(0)]?.mark.loggedTime == 1100)
    #expect(try bench.run { $0.put("k", "w", .absent, .after(milliseconds: 1)) } == [.done(0, 2, expiresAt: 1101)])
}

@Test func `a command of another epoch, shard or a frozen tablet changes nothing`() throws {
    let store = MemoryRowStore()
    let bench = ApplyBench([store])
    #expect(try bench.apply(bench.payload(epoch: Epoch(2)) { $0.increment("k") }) == [.failed(0, .moving)])
    #expect(try bench.apply(bench.payload(shard: 9) { $0.put("k", "v") }) == [.failed(0, .moving)])
    #expect(store.rows.isEmpty)
    store.change { $0.mark.flags.insert(.frozen) }
    let frozen = ApplyBench([store])
    #expect(try frozen.run { $0.put("k", "v") } == [.failed(0, .moving)])
    #expect(store.rows.isEmpty)
}

@Test func `plain puts and blind deletes read nothing`() throws {
    let store = MemoryRowStore()
    store.change { $0.everyKeyIsCold = true }
    let bench = ApplyBench([store])
    try bench.run {
        $0.put("a", "1", .none, .after(milliseconds: 5))
        $0.delete("b", .none, .blind)
    }
    #expect(bench.blocks == 0)
    #expect(store.state.withLock { $0.diskReads } == 0)
}

@Test func `an entry that needs the disk asks for all its rows at once and changes nothing before`() throws {
    let store = MemoryRowStore()
    let bench = ApplyBench([store])
    try bench.run {
        $0.put("a", "1")
        $0.put("b", "2")
    }
    store.change { $0.everyKeyIsCold = true }
    let payload = bench.payload {
        $0.put("c", "3")
        $0.increment("a")
        $0.increment("b")
        $0.increment("a")
        $0.increment("c")
        $0.increment("nothing")
    }
    let before = store.rows
    let entry = Entry(index: 2, term: 3, kind: .commands, time: 1000, checksum: 0, payload: payload)
    guard case .blocked(let missing) = try bench.applier.apply(entry, wantsReplies: true) else {
        Issue.record("not blocked")
        return
    }
    #expect(missing.count == 1)
    #expect(missing[0].keys.map { String(decoding: $0.dropFirst(), as: UTF8.self) } == ["a", "b", "nothing"])
    #expect(store.rows == before)
    #expect(bench.answers().isEmpty)
    // The rows were fetched once and nothing is warm: the retry succeeds all the same.
    #expect(
        try bench.apply(payload, at: 2) == [
            .done(0, 3), .number(1, 2, 4), .number(2, 3, 5), .number(3, 3, 6), .number(4, 4, 7), .number(5, 1, 8),
        ]
    )
    #expect(bench.blocks == 1)
}

@Test func `rows that turn cold between attempts are fetched as well`() throws {
    let store = MemoryRowStore()
    let bench = ApplyBench([store])
    try bench.run {
        $0.put("a", "1")
        $0.put("b", "2")
    }
    store.change { $0.coldKeys = [[1] + Array("a".utf8)] }
    let payload = bench.payload {
        $0.increment("a")
        $0.increment("b")
    }
    let entry = Entry(index: 2, term: 3, kind: .commands, time: 1000, checksum: 0, payload: payload)
    guard case .blocked(let first) = try bench.applier.apply(entry, wantsReplies: true) else {
        Issue.record("not blocked")
        return
    }
    for part in first { bench.applier.deliver(try part.fetch(), for: part.shard) }
    store.change { $0.everyKeyIsCold = true }
    guard case .blocked(let second) = try bench.applier.apply(entry, wantsReplies: true) else {
        Issue.record("not blocked")
        return
    }
    #expect(second[0].keys == [[1] + Array("b".utf8)])
    for part in second { bench.applier.deliver(try part.fetch(), for: part.shard) }
    guard case .applied = try bench.applier.apply(entry, wantsReplies: true) else {
        Issue.record("not applied")
        return
    }
    #expect(bench.answers() == [.number(0, 2, 3), .number(1, 3, 4)])
}

@Test func `no shard is written before every shard of the entry is prepared`() throws {
    let stores = [MemoryRowStore(), MemoryRowStore()]
    let bench = ApplyBench(stores)
    stores[1].change { $0.everyKeyIsCold = true }
    let payload = bench.payload(shard: 0) { $0.put("a", "1") } + bench.payload(shard: 1) { $0.increment("b") }
    let entry = Entry(index: 1, term: 3, kind: .commands, time: 1000, checksum: 0, payload: payload)
    guard case .blocked = try bench.applier.apply(entry, wantsReplies: true) else {
        Issue.record("not blocked")
        return
    }
    #expect(stores[0].rows.isEmpty)
    try bench.apply(payload)
    #expect(stores[0].rows.count == 1)
    #expect(stores[1].rows.count == 1)
}

@Test func `full memtables stall an entry, which then goes on and answers all`() throws {
    let stores = [MemoryRowStore(), MemoryRowStore()]
    let bench = ApplyBench(stores)
    stores[1].change { $0.writeFailure = .memtablesFull }
    let payload = bench.payload(shard: 0) { $0.increment("a") } + bench.payload(shard: 1) { $0.increment("b") }
    let answers = try bench.apply(payload)
    #expect(answers == [.number(0, 1, 1), .number(1, 1, 1)])
    #expect(stores[0].state.withLock { $0.writes } == 1)
    #expect(stores[1].state.withLock { $0.writes } == 1)
}

@Test func `an unreadable block or row stops the shard and skips nothing`() throws {
    let store = MemoryRowStore()
    let bench = ApplyBench([store])
    try bench.run { $0.put("k", "1") }
    let damage = StorageError.corruption(file: "1.sst", offset: 5, length: 6, what: "checksum")
    store.change { $0.failure = damage }
    #expect(throws: ApplyError.storage(ShardID(0), damage)) { try bench.run { $0.increment("k") } }
    #expect(store.mark.appliedIndex == 1)
    store.change {
        $0.failure = nil
        $0.rows[[1] + Array("k".utf8)] = [0xff]
    }
    #expect(throws: ApplyError.self) { try bench.apply(bench.payload { $0.increment("k") }, at: 2) }
    #expect(store.mark.appliedIndex == 1)
}

@Test func `entries that are in are skipped without an answer`() throws {
    let store = MemoryRowStore()
    let bench = ApplyBench([store])
    let payload = bench.payload { $0.increment("k") }
    try bench.apply(payload)
    #expect(try bench.apply(payload, at: 1).isEmpty)
    #expect(store.mark.revision == 1)
    #expect(try bench.get("k")?.value == [UInt8(ascii: "1")])
}

@Test func `rewriting more than a batch holds fails the same commands everywhere`() throws {
    let store = MemoryRowStore()
    let bench = ApplyBench([store])
    let long = String(repeating: "x", count: 6 << 20)
    for key in ["a", "b", "c"] { try bench.run { $0.put(key, long) } }
    let answers = try bench.run {
        for key in ["a", "b", "c"] { $0.expire(key, .after(milliseconds: 500)) }
        $0.expire("a", .none)
        $0.put("small", "1")
    }
    #expect(
        answers == [
            .number(0, 1, 4, expiresAt: 1500), .number(1, 1, 5, expiresAt: 1500), .failed(2, .overloaded),
            .failed(3, .overloaded), .done(4, 6),
        ]
    )
    #expect(try bench.run { $0.put("big", String(repeating: "y", count: Limits.valueBytesMax)) } == [.done(0, 7)])
}

@Test func `what is written out in an entry fits behind what short commands made of long values`() throws {
    let bench = ApplyBench([MemoryRowStore()])
    let long = String(repeating: "x", count: 6 << 20)
    for key in ["a", "b"] { try bench.run { $0.put(key, long) } }
    let answers = try bench.run {
        for key in ["a", "b"] { $0.expire(key, .after(milliseconds: 500)) }
        for key in ["c", "d"] { $0.put(key, long) }
    }
    #expect(
        answers == [.number(0, 1, 3, expiresAt: 1500), .number(1, 1, 4, expiresAt: 1500), .done(2, 5), .done(3, 6)]
    )
}

@Test func `time passes by an entry of its own, and a sweep removes only what it saw`() throws {
    let store = MemoryRowStore()
    let bench = ApplyBench([store])
    try bench.run {
        $0.put("a", "1", .none, .after(milliseconds: 10))
        $0.put("b", "1", .none, .after(milliseconds: 10))
    }
    bench.time = 2000
    var builder = EntryBuilder()
    builder.appendAdvanceTime(shard: ShardID(0), epoch: Epoch(1))
    #expect(try bench.apply(builder.take()) == [.done(0, 0)])
    #expect(store.mark.loggedTime == 2000)
    #expect(store.rows.count == 2)
    let shard = try #require(bench.applier[ShardID(0)])
    var sweeper = Sweeper()
    let (found, isAtEnd) = try sweeper.round(shard.pin(), time: 2000)
    #expect(found.map(\.key) == [Array("a".utf8), Array("b".utf8)])
    #expect(isAtEnd)
    try bench.run { $0.put("b", "again") }
    for expired in found {
        builder.appendSweep(expired.key, version: expired.version, shard: ShardID(0), epoch: Epoch(1))
    }
    #expect(try bench.apply(builder.take()).map(\.reply.outcome) == [.done, .absent])
    #expect(try bench.get("a") == OwnedReply(.absent))
    #expect(try bench.get("b")?.value == Array("again".utf8))
}

@Test func `no garbage in an entry traps, and what cannot be read is not applied`() throws {
    var numbers = Numbers(seed: 77)
    let store = MemoryRowStore()
    let bench = ApplyBench([store])
    let good = bench.payload {
        $0.put("a", "1", .version(3), .after(milliseconds: 9), .returnPrevious)
        $0.increment("b")
        $0.append("a", "x")
        $0.expire("a", .at(milliseconds: 4000), .ifLater)
        $0.delete("b", .present)
    }
    for _ in 0..<5000 {
        var payload = good
        numbers.mutate(&payload)
        let before = store.mark.appliedIndex
        do {
            try bench.apply(payload)
        } catch is ApplyError {
            #expect(store.mark.appliedIndex == before)
        }
    }
}
