import KVBase
import KVReplication
import KVService
import KVStorage
import Testing

extension RequestBatch {
    /// Adds a transaction of what `fill` adds.
    mutating func transaction(_ flags: RequestFlags = [], _ fill: (inout RequestBatch) -> Void) {
        let first = items.count
        fill(&self)
        #expect(joinAsTransaction(from: first, flags: flags, tag: 0))
    }
    mutating func check(_ key: String, _ condition: Condition) {
        Array(key.utf8).withUnsafeBytes { check($0, condition, tag: 0) }
    }
    mutating func rename(_ key: String, _ to: String, _ options: RenameOptions = []) {
        Array(key.utf8).withUnsafeBytes { key in
            Array(to.utf8).withUnsafeBytes { rename(key, to: $0, options: options, tag: 0) }
        }
    }
    mutating func setRange(_ key: String, _ offset: UInt64, _ bytes: String) {
        Array(key.utf8).withUnsafeBytes { key in
            Array(bytes.utf8).withUnsafeBytes { setRange(key, at: offset, $0, tag: 0) }
        }
    }
    mutating func addDecimal(_ key: String, _ amount: String) {
        Array(key.utf8).withUnsafeBytes { key in
            Array(amount.utf8).withUnsafeBytes { addDecimal(key, $0, tag: 0) }
        }
    }
}

extension Answer {
    /// The replies inside a transaction's.
    var parts: [Answer] {
        var parts: [Answer] = []
        reply.value?.withUnsafeBytes { bytes in
            try? ReplyFormat.decode(bytes) { tag, reply in
                parts.append(Answer(ordinal: UInt32(tag), reply: OwnedReply(copying: reply), code: reply.error?.code))
            }
        }
        return parts
    }
}

private func value(_ bench: ApplyBench<MemoryRowStore>, _ key: String) throws -> String? {
    try bench.get(key)?.value.map { String(decoding: $0, as: UTF8.self) }
}

@Suite struct TransactionTests {
    @Test func `a transaction's requests see each other and answer one by one`() throws {
        let bench = ApplyBench([MemoryRowStore()])
        let answers = try bench.run { batch in
            batch.put("{k}n", "1")
            batch.transaction {
                $0.increment("{k}n")
                $0.get("{k}n")
                $0.append("{k}n", "x")
                $0.increment("{k}n")
                $0.delete("{k}none")
            }
        }
        #expect(answers.count == 2 && answers[1].reply.outcome == .done)
        #expect(
            answers[1].parts == [
                .number(0, 2, 2),
                Answer(ordinal: 1, reply: OwnedReply(.found, version: 2, integer: 1, value: Array("2".utf8))),
                .number(2, 2, 3), .failed(3, .notAnInteger).versioned(3), .absent(4),
            ]
        )
        #expect(try value(bench, "{k}n") == "2x")
    }

    @Test func `a condition that does not hold stops all of it and is named`() throws {
        let bench = ApplyBench([MemoryRowStore()])
        try bench.run { $0.put("{k}a", "1") }
        let answers = try bench.run { batch in
            batch.transaction {
                $0.check("{k}b", .absent)
                $0.check("{k}a", .version(9))
                $0.put("{k}b", "2")
            }
            batch.transaction {
                $0.check("{k}a", .version(1))
                $0.put("{k}c", "3")
            }
        }
        #expect(answers[0].reply == OwnedReply(.conditionFailed, version: 1, integer: 1))
        #expect(answers[1].reply.outcome == .done)
        #expect(try value(bench, "{k}b") == nil)
        #expect(try value(bench, "{k}c") == "3")
    }

    @Test func `all or nothing takes back what came before the failure`() throws {
        let bench = ApplyBench([MemoryRowStore()])
        try bench.run { $0.put("{k}text", "x") }
        let before = bench.applier[ShardID(0)]?.mark.revision
        let answers = try bench.run { batch in
            batch.transaction(.allOrNothing) {
                $0.put("{k}a", "1")
                $0.delete("{k}text")
                $0.increment("{k}a")
                $0.put("{k}b", "1", .present)
            }
            batch.put("{k}after", "1")
        }
        #expect(answers[0].reply == OwnedReply(.conditionFailed, integer: 3))
        #expect(answers[1].reply.outcome == .done)
        #expect(try value(bench, "{k}text") == "x")
        #expect(try value(bench, "{k}a") == nil)
        #expect(bench.applier[ShardID(0)]?.mark.revision == before.map { $0 + 1 })
    }

    @Test func `a transaction waits for rows from the disk with nothing changed`() throws {
        let store = MemoryRowStore()
        let bench = ApplyBench([store])
        try bench.run {
            $0.put("{k}a", "1")
            $0.put("{k}b", "2")
        }
        store.change { $0.everyKeyIsCold = true }
        let answers = try bench.run { batch in
            batch.transaction {
                $0.increment("{k}a")
                $0.rename("{k}b", "{k}c")
            }
        }
        #expect(bench.blocks == 1)
        #expect(answers[0].parts == [.number(0, 2, 3), .done(1, 4)])
        store.change { $0.everyKeyIsCold = false }
        #expect(try value(bench, "{k}c") == "2")
    }

    @Test func `a transaction whose replies are too long does nothing`() throws {
        let bench = ApplyBench([MemoryRowStore()])
        try bench.run { $0.put("{k}", String(repeating: "x", count: 1 << 20)) }
        let answers = try bench.run { batch in
            batch.transaction {
                $0.put("{k}a", "1")
                for _ in 0..<17 { $0.get("{k}") }
            }
        }
        #expect(answers[0].code == .tooLarge)
        #expect(try value(bench, "{k}a") == nil)
    }
}

extension Answer {
    fileprivate func versioned(_ version: UInt64) -> Answer {
        var copy = self
        copy.reply.version = version
        return copy
    }
}

@Suite struct KeyCommandTests {
    @Test func `rename moves value and expiry, copy leaves the source`() throws {
        let bench = ApplyBench([MemoryRowStore()])
        try bench.run { $0.put("{k}a", "1", .none, .after(milliseconds: 500)) }
        #expect(try bench.run { $0.rename("{k}a", "{k}b") } == [.done(0, 2, expiresAt: 1500)])
        #expect(try value(bench, "{k}a") == nil)
        #expect(try bench.run { $0.rename("{k}a", "{k}b") } == [.absent(0)])
        #expect(try bench.run { $0.rename("{k}b", "{k}c", .keepsSource) } == [.done(0, 4, expiresAt: 1500)])
        #expect(try value(bench, "{k}b") == "1")
        let refused = try bench.run { $0.rename("{k}b", "{k}c", .onlyIfAbsent) }
        #expect(refused.first?.reply.outcome == .conditionFailed)
        #expect(try bench.run { $0.rename("{k}b", "{k}b") }.first?.reply.outcome == .done)
        #expect(try value(bench, "{k}b") == "1")
    }

    @Test func `a range is written over, and zeros fill a gap`() throws {
        let bench = ApplyBench([MemoryRowStore()])
        let answers = try bench.run {
            $0.setRange("k", 3, "xy")
            $0.setRange("k", 0, "abc")
            $0.setRange("k", 4, "")
            $0.setRange("k", 4, "zz")
        }
        #expect(answers.map(\.reply.integer) == [5, 5, 5, 6])
        #expect(try value(bench, "k") == "abcxzz")
        #expect(try bench.run { $0.setRange("none", 5, "") } == [.number(0, 0, 0)])
        #expect(try bench.run { $0.setRange("gap", 2, "x") }.first?.reply.integer == 3)
        #expect(try bench.get("gap")?.value == [0, 0, UInt8(ascii: "x")])
    }

    @Test func `decimals add and answer the sum`() throws {
        let bench = ApplyBench([MemoryRowStore()])
        let answers = try bench.run {
            $0.put("k", "10.50", .none, .after(milliseconds: 50))
            $0.addDecimal("k", "0.1")
            $0.addDecimal("fresh", "-3")
            $0.put("text", "abc")
            $0.addDecimal("text", "1")
        }
        #expect(answers[1] == .done(1, 2, value: "10.6", expiresAt: 1050))
        #expect(answers[2] == .done(2, 3, value: "-3"))
        #expect(answers[4].code == .notANumber)
    }

    @Test func `clear removes every key, also those of the same entry, and no session`() throws {
        let bench = ApplyBench([MemoryRowStore()])
        try bench.run {
            $0.openSession(7, lifeMilliseconds: 1_000, Slot(rawValue: 0), tag: 0)
            $0.put("a", "1")
        }
        let answers = try bench.run {
            $0.put("b", "1")
            $0.clear(Slot(rawValue: 0), tag: 0)
            $0.increment("a")
        }
        #expect(answers.map(\.reply.outcome) == [.done, .done, .number])
        #expect(answers[2].reply.integer == 1)
        #expect(try value(bench, "b") == nil)
        #expect(try value(bench, "a") == "1")
        #expect(try bench.run { $0.keepSession(7, Slot(rawValue: 0), tag: 0) }.first?.reply.outcome == .done)
    }
}
