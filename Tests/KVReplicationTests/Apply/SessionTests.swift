import KVBase
import KVReplication
import KVService
import KVStorage
import Testing

private let slot = Slot(rawValue: 0)

extension RequestBatch {
    fileprivate mutating func open(_ session: UInt64, life: UInt64 = 1_000) {
        openSession(session, lifeMilliseconds: life, slot, tag: 0)
    }

    fileprivate mutating func inSession(_ session: UInt64, _ sequence: UInt64, lowest: UInt64 = 0) {
        putLastInSession(SessionStamp(session: session, sequence: sequence, lowestOutstanding: lowest))
    }

    fileprivate mutating func once(_ token: String, keep: UInt64 = 1_000) {
        doLastOnce(token: Array(token.utf8), keepMilliseconds: keep)
    }
}

@Suite struct SessionTests {
    @Test func `a retry gets the first answer and does nothing`() throws {
        let bench = ApplyBench([MemoryRowStore()])
        try bench.run { $0.open(1) }
        let retry: (inout RequestBatch) -> Void = {
            $0.increment("n")
            $0.inSession(1, 1)
        }
        #expect(try bench.run(retry) == [.number(0, 1, 1)])
        #expect(try bench.run(retry) == [.number(0, 1, 1)])
        #expect(try bench.run { $0.increment("n") } == [.number(0, 2, 2)])
        #expect(try bench.run(retry) == [.number(0, 1, 1)])
        let twice = try bench.run {
            retry(&$0)
            $0.increment("n")
            $0.inSession(1, 2)
            $0.increment("n")
            $0.inSession(1, 2)
        }
        #expect(twice == [.number(0, 1, 1), .number(1, 3, 3), .number(2, 3, 3)])
    }

    @Test func `failures and values are kept as well`() throws {
        let bench = ApplyBench([MemoryRowStore()])
        try bench.run {
            $0.open(1)
            $0.put("k", "text")
        }
        let requests: (inout RequestBatch) -> Void = {
            $0.increment("k")
            $0.inSession(1, 1)
            $0.put("k", "new", .none, .none, .returnPrevious)
            $0.inSession(1, 2)
            $0.transaction {
                $0.append("{a}", "x")
                $0.get("{a}")
            }
            $0.inSession(1, 3)
        }
        let first = try bench.run(requests)
        try bench.run { $0.put("k", "5") }
        #expect(try bench.run(requests) == first)
        #expect(first[0].code == .notAnInteger)
        #expect(first[1] == .done(1, 2, value: "text"))
        #expect(first[2].parts.last?.reply.value == Array("x".utf8))
    }

    @Test func `an unknown or expired session does nothing and says that the outcome is unknown`() throws {
        let bench = ApplyBench([MemoryRowStore()])
        #expect(
            try bench.run {
                $0.increment("n")
                $0.inSession(1, 1)
            } == [.failed(0, .unknownOutcome)]
        )
        try bench.run { $0.open(1, life: 1_000) }
        bench.time = 1_999
        try bench.run {
            $0.increment("n")
            $0.inSession(1, 1)
        }
        bench.time = 2_998
        try bench.run { $0.keepSession(1, slot, tag: 0) }
        bench.time = 3_997
        #expect(
            try bench.run {
                $0.increment("n")
                $0.inSession(1, 2)
            } == [.number(0, 2, 2)]
        )
        bench.time = 4_997
        for sequence in [UInt64(2), 3] {
            #expect(
                try bench.run {
                    $0.increment("n")
                    $0.inSession(1, sequence)
                } == [.failed(0, .unknownOutcome)]
            )
        }
        #expect(try bench.run { $0.keepSession(1, slot, tag: 0) } == [.absent(0)])
        #expect(try bench.get("n")?.value == Array("2".utf8))
    }

    @Test func `an ended session leaves no row`() throws {
        let store = MemoryRowStore()
        let bench = ApplyBench([store])
        try bench.run { $0.open(1) }
        for sequence in 1...5 as ClosedRange<UInt64> {
            try bench.run {
                $0.increment("n")
                $0.inSession(1, sequence)
            }
        }
        #expect(store.rows.count == 7)
        #expect(try bench.run { $0.endSession(1, slot, tag: 0) }.first?.reply.outcome == .done)
        #expect(store.rows.count == 1)
    }

    @Test func `results below the lowest outstanding are forgotten and never done again`() throws {
        let store = MemoryRowStore()
        let bench = ApplyBench([store])
        try bench.run { $0.open(1) }
        for sequence in 1...10 as ClosedRange<UInt64> {
            try bench.run {
                $0.increment("n")
                $0.inSession(1, sequence, lowest: sequence)
            }
        }
        #expect(store.rows.count == 3)
        #expect(
            try bench.run {
                $0.increment("n")
                $0.inSession(1, 9)
            } == [.failed(0, .unknownOutcome)]
        )
        #expect(try bench.get("n")?.value == Array("10".utf8))
    }

    @Test func `at most 256 results are kept, and one that was dropped is not done again`() throws {
        let store = MemoryRowStore()
        let bench = ApplyBench([store])
        try bench.run { $0.open(1) }
        try bench.run { batch in
            for sequence in 1...300 as ClosedRange<UInt64> {
                batch.increment("n")
                batch.inSession(1, sequence)
            }
        }
        #expect(store.rows.count == 2 + SessionLimits.resultsMax)
        let answers = try bench.run {
            $0.increment("n")
            $0.inSession(1, 44)
            $0.increment("n")
            $0.inSession(1, 45)
        }
        #expect(answers == [.failed(0, .unknownOutcome), .number(1, 45, 45)])
    }

    @Test func `at most a mebibyte of results is kept, and a longer answer only as done`() throws {
        let bench = ApplyBench([MemoryRowStore()])
        try bench.run {
            $0.open(1)
            $0.put("k", String(repeating: "x", count: 400_000))
            $0.put("long", String(repeating: "x", count: 600_000))
        }
        try bench.run { batch in
            for sequence in 1...3 as ClosedRange<UInt64> {
                batch.put("k", String(repeating: "y", count: 400_000), .none, .none, .returnPrevious)
                batch.inSession(1, sequence)
            }
        }
        let retry = try bench.run {
            $0.put("k", "z")
            $0.inSession(1, 1)
            $0.put("k", "z")
            $0.inSession(1, 2)
        }
        #expect(retry[0].code == .unknownOutcome)
        #expect(retry[1].reply.value?.count == 400_000)
        let long: (inout RequestBatch) -> Void = {
            $0.delete("long", .none, .returnPrevious)
            $0.inSession(1, 4)
        }
        #expect(try bench.run(long).first?.reply.value?.count == 600_000)
        #expect(try bench.run(long).first?.code == .unknownOutcome)
    }

    @Test func `sessions survive a crash with the data, exactly`() throws {
        let store = MemoryRowStore()
        let bench = ApplyBench([store])
        try bench.run { $0.open(1) }
        let first: (inout RequestBatch) -> Void = {
            $0.increment("n")
            $0.inSession(1, 1)
        }
        try bench.run(first)
        store.flush()
        try bench.run {
            $0.increment("n")
            $0.inSession(1, 2)
        }
        // What was not flushed is gone from data and session alike: the second request is new again.
        let again = ApplyBench([store.reopened()])
        #expect(try again.run(first) == [.number(0, 1, 1)])
        #expect(
            try again.run {
                $0.increment("n")
                $0.inSession(1, 2)
            } == [.number(0, 2, 2)]
        )
    }

    @Test func `rows of sessions are waited for where they are on the disk`() throws {
        let store = MemoryRowStore()
        let bench = ApplyBench([store])
        try bench.run { $0.open(1) }
        let first: (inout RequestBatch) -> Void = {
            $0.increment("n")
            $0.inSession(1, 1)
        }
        try bench.run(first)
        store.change { $0.everyKeyIsCold = true }
        #expect(try bench.run(first) == [.number(0, 1, 1)])
        #expect(bench.blocks == 2)
        #expect(
            try bench.run {
                $0.increment("n")
                $0.inSession(1, 2)
            } == [.number(0, 2, 2)]
        )
    }

    @Test func `a sweep removes what is expired by the log and nothing else`() throws {
        let store = MemoryRowStore()
        let bench = ApplyBench([store])
        try bench.run {
            $0.open(1, life: 1_000)
            $0.increment("n")
            $0.inSession(1, 1)
            $0.open(2, life: 5_000)
            $0.increment("n")
            $0.once("a")
        }
        let rows = store.rows.count
        let machine = try #require(bench.applier[ShardID(0)])
        var sweeper = Sweeper()
        #expect(try sweeper.recordRound(machine.pin(), time: 1_999) == [])
        let found = try sweeper.recordRound(machine.pin(), time: 2_000)
        #expect(found.count == 2)
        var entry = EntryBuilder()
        for record in found { entry.appendSweep(record: record, shard: ShardID(0), epoch: Epoch(1)) }
        let payload = entry.take()
        // The log's time decides, not the sweeper's.
        try bench.apply(payload)
        #expect(store.rows.count == rows)
        bench.time = 2_000
        try bench.apply(payload)
        #expect(store.rows.count == rows - 3)
        #expect(try bench.run { $0.keepSession(2, slot, tag: 0) }.first?.reply.outcome == .done)
    }
}

@Suite struct TokenTests {
    @Test func `a token's request is done once until it expires, and only that request`() throws {
        let bench = ApplyBench([MemoryRowStore()])
        let request: (inout RequestBatch) -> Void = {
            $0.increment("n")
            $0.once("payment")
        }
        #expect(try bench.run(request) == [.number(0, 1, 1)])
        bench.time = 1_999
        #expect(try bench.run(request) == [.number(0, 1, 1)])
        #expect(
            try bench.run {
                $0.increment("n", 2)
                $0.once("payment")
            } == [.failed(0, .badRequest)]
        )
        bench.time = 2_000
        #expect(try bench.run(request) == [.number(0, 2, 2)])
    }
}
