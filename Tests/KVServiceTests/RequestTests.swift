import KVBase
import KVService
import Testing

/// One request of each form, with extremes.
private func sampleBatch() -> RequestBatch {
    var batch = RequestBatch()
    let keys: [[UInt8]] = [[], [0], Array("key{a}b".utf8), Array(repeating: 0xff, count: 300)]
    let values: [[UInt8]] = [[], [0, 1, 2], Array(repeating: 7, count: 200)]
    let conditions: [Condition] = [.none, .absent, .present, .version(0), .version(.max)]
    let expiries: [Expiry] = [
        .none, .keep, .after(milliseconds: 0), .after(milliseconds: .max), .at(milliseconds: 1 << 41),
    ]
    var tag: UInt64 = 0
    func nextTag() -> UInt64 {
        tag += 1
        return tag
    }
    for key in keys {
        key.withUnsafeBytes { key in
            batch.get(key, tag: nextTag())
            batch.head(key, tag: nextTag(), consistency: .stale)
            for condition in conditions {
                batch.delete(key, tag: nextTag(), condition: condition, flags: [.returnPrevious, .blind])
                for expiry in expiries {
                    for value in values {
                        value.withUnsafeBytes {
                            batch.put(
                                key,
                                $0,
                                tag: nextTag(),
                                condition: condition,
                                expiry: expiry,
                                flags: .returnPrevious
                            )
                        }
                    }
                }
            }
            for rule in [ExpireRule.always, .ifNone, .ifSome, .ifLater, .ifEarlier] {
                batch.expire(key, .at(milliseconds: 5), rule: rule, tag: nextTag())
            }
            for amount in [Int64.min, -1, 0, .max] { batch.increment(key, by: amount, tag: nextTag()) }
            for value in values { value.withUnsafeBytes { batch.append(key, $0, tag: nextTag()) } }
            for value in values { value.withUnsafeBytes { batch.setRange(key, at: 7, $0, tag: nextTag()) } }
            Array("-1.5e3".utf8).withUnsafeBytes { batch.addDecimal(key, $0, tag: nextTag()) }
            batch.rename(key, to: key, options: [.keepsSource, .onlyIfAbsent], tag: nextTag())
        }
    }
    return batch
}

private func bytes(of item: RequestBatch.Item, in batch: RequestBatch) -> [UInt8] {
    Array(batch.bytes[Int(item.offset)..<Int(item.offset + item.length)])
}

/// Decodes and touches every view, so that one that points outside is caught by tools that watch memory.
private func digest(_ bytes: [UInt8], _ origin: Request.Origin = .submitted) throws -> Int {
    try bytes.withUnsafeBytes { buffer in
        let request = try Request(buffer, from: origin)
        var sum = request.key.reduce(0) { $0 &+ Int($1) }
        switch request.body {
        case .put(let value, _, _), .append(let value): sum = value.reduce(sum) { $0 &+ Int($1) }
        case .setRange(_, let bytes), .addDecimal(let bytes), .rename(let bytes, _), .transaction(let bytes),
            .inSession(_, let bytes):
            sum = bytes.reduce(sum) { $0 &+ Int($1) }
        case .once(let token, _, let bytes): sum = (Array(token) + bytes).reduce(sum) { $0 &+ Int($1) }
        default: break
        }
        return sum
    }
}

@Test func `a batch's items are what was added`() throws {
    let batch = sampleBatch()
    var end: UInt32 = 0
    for (place, item) in batch.items.enumerated() {
        #expect(item.tag == UInt64(place + 1))
        #expect(item.offset == end)
        end = item.offset + item.length
        try bytes(of: item, in: batch).withUnsafeBytes { buffer in
            let request = try Request(buffer)
            #expect(request.operation == item.operation)
            #expect(request.slot == item.slot)
            #expect(request.slot == Slot(key: request.key))
        }
    }
    #expect(Int(end) == batch.bytes.count)
}

@Test func `a put comes back with all its parts`() throws {
    var batch = RequestBatch()
    [UInt8]("k".utf8).withUnsafeBytes { key in
        [UInt8]("v\u{0}".utf8).withUnsafeBytes { value in
            batch.put(
                key,
                value,
                tag: 1,
                condition: .version(300),
                expiry: .after(milliseconds: 70_000),
                flags: .returnPrevious
            )
        }
    }
    try batch.bytes.withUnsafeBytes { buffer in
        let request = try Request(buffer)
        #expect(request.operation == .put)
        #expect(request.flags == .returnPrevious)
        #expect(Array(request.key) == Array("k".utf8))
        guard case .put(let value, let condition, let expiry) = request.body else {
            Issue.record("not a put")
            return
        }
        #expect(Array(value) == [0x76, 0])
        #expect(condition == .version(300))
        #expect(expiry == .after(milliseconds: 70_000))
    }
}

@Test func `a request that another node encoded is taken as it is`() throws {
    let batch = sampleBatch()
    var copy = RequestBatch()
    for item in batch.items {
        try bytes(of: item, in: batch).withUnsafeBytes {
            try copy.append(
                encoded: $0,
                tag: item.tag,
                consistency: item.consistency,
                joinsPrevious: item.joinsPrevious
            )
        }
    }
    #expect(copy.bytes == batch.bytes)
    #expect(copy.items.map(\.slot) == batch.items.map(\.slot))
    #expect(copy.items.map(\.operation) == batch.items.map(\.operation))
}

@Test func `every truncation and every extension of a request is refused`() {
    let batch = sampleBatch()
    for item in batch.items where item.length < 120 {
        let whole = bytes(of: item, in: batch)
        for count in 0..<whole.count {
            #expect(throws: DecodingError.self) { try digest(Array(whole[..<count])) }
        }
        #expect(throws: DecodingError.self) { try digest(whole + [0]) }
    }
}

@Test func `no mutation of a request traps`() {
    var generator = SplitMix(state: 0x5eed)
    let batch = sampleBatch()
    var accepted = 0
    for _ in 0..<20_000 {
        var mutated = bytes(of: batch.items[Int(generator.next() % UInt64(batch.items.count))], in: batch)
        for _ in 0..<(1 + generator.next() % 3) {
            switch generator.next() % 3 {
            case 0: mutated[Int(generator.next() % UInt64(mutated.count))] = UInt8(truncatingIfNeeded: generator.next())
            case 1: mutated.insert(UInt8(truncatingIfNeeded: generator.next()), at: Int(generator.next() % 5))
            default: mutated.remove(at: Int(generator.next() % UInt64(mutated.count)))
            }
            if mutated.count < 6 { break }
        }
        for origin in [Request.Origin.submitted, .logged] where (try? digest(mutated, origin)) != nil { accepted += 1 }
    }
    // Many mutations only change a value or a number and are requests still: the decoder was not simply refusing all.
    #expect(accepted > 100)
}

@Test func `a slot that is not the key's is refused unless it comes from the log`() throws {
    var batch = RequestBatch()
    [UInt8]("foo".utf8).withUnsafeBytes { batch.get($0, tag: 0) }
    var wrong = batch.bytes
    wrong[2] ^= 1
    #expect(throws: DecodingError.invalid(offset: 2, what: "slot 12183")) { try digest(wrong) }
    _ = try digest(wrong, .logged)
    wrong[3] = 0xff
    #expect(throws: DecodingError.self) { try digest(wrong, .logged) }
}

@Test func `internal operations are for the log alone`() throws {
    let advance: [UInt8] = [64, 0, 0, 0, 0]
    let sweep: [UInt8] = [65, 0, 0, 0, 1, 9, 5]
    for bytes in [advance, sweep] {
        #expect(throws: DecodingError.self) { try digest(bytes) }
        _ = try digest(bytes, .logged)
    }
    #expect(Operation.allCases.filter(\.isInternal) == [.advanceTime, .sweep, .sweepRecord])
}

@Test func `a key or value over the hard limit is refused`() {
    var batch = RequestBatch()
    [UInt8](repeating: 1, count: Limits.keyBytesMax + 1).withUnsafeBytes { batch.get($0, tag: 0) }
    #expect(throws: DecodingError.self) { try digest(batch.bytes) }
}

/// A small seeded stream of numbers (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators").
struct SplitMix {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
