import KVBase
import KVService
import Testing

private func utf8(_ text: String) -> [UInt8] { Array(text.utf8) }

extension RequestBatch {
    fileprivate mutating func put(_ key: String, _ value: String, tag: UInt64 = 0) {
        utf8(key).withUnsafeBytes { key in
            utf8(value).withUnsafeBytes { put(key, $0, tag: tag) }
        }
    }

    fileprivate var single: [UInt8] { Array(self.bytes[Int(items[0].offset)...]) }
}

private func decode(_ bytes: [UInt8], _ body: (Request) throws -> Void = { _ in }) throws {
    try bytes.withUnsafeBytes { try body(try Request($0)) }
}

private func transaction(_ keys: String...) -> RequestBatch? {
    var batch = RequestBatch()
    for key in keys { batch.put(key, "v") }
    return batch.joinAsTransaction(from: 0, tag: 5) ? batch : nil
}

@Test func `the requests of one slot become one transaction`() throws {
    let batch = try #require(transaction("{a}1", "{a}2"))
    #expect(batch.items.count == 1)
    #expect(batch.items[0].operation == .transaction && batch.items[0].tag == 5)
    #expect(batch.items[0].slot == Slot(key: utf8("{a}1")))
    try decode(batch.single) { request in
        guard case .transaction(let inner) = request.body else { throw DecodingError.truncated(offset: 0) }
        #expect(try Request.requests(ofTransaction: inner).map { Array($0.key) } == [utf8("{a}1"), utf8("{a}2")])
    }
}

@Test func `keys of different slots make no transaction, whoever encodes it`() throws {
    #expect(transaction("a", "b") == nil)
    // By hand: the second key's request copied behind the first's.
    var other = RequestBatch()
    other.put("b", "v")
    var forged = try #require(transaction("a")).single
    forged.append(lengthPrefixed: other.single)
    #expect(throws: DecodingError.self) { try decode(forged) }
}

@Test func `a session's request holds a write and nothing that holds others of its kind`() throws {
    let stamp = SessionStamp(session: 9, sequence: 300, lowestOutstanding: 299)
    var batch = RequestBatch()
    batch.put("k", "v", tag: 3)
    batch.putLastInSession(stamp)
    #expect(batch.items[0].tag == 3 && batch.items[0].slot == Slot(key: utf8("k")))
    try decode(batch.single) { request in
        guard case .inSession(let found, let inner) = request.body else { throw DecodingError.truncated(offset: 0) }
        #expect(found == stamp)
        #expect(try Request(inner).operation == .put)
    }
    let inner = batch.single
    var nested = Array(inner[..<5])
    nested.append(littleEndian: UInt64(9))
    nested += [1, 1] + inner
    #expect(throws: DecodingError.self) { try decode(nested) }
    var read = RequestBatch()
    utf8("k").withUnsafeBytes { read.get($0, tag: 0) }
    #expect(throws: DecodingError.self) {
        try decode(Array(inner[..<5]) + [9, 0, 0, 0, 0, 0, 0, 0, 1, 1] + read.single)
    }
}

@Test func `a token has 1 to 255 bytes and keeps for a bounded time`() throws {
    for (count, milliseconds, isValid) in [
        (1, 1_000 as UInt64, true), (255, 86_400_000, true), (0, 1_000, false), (256, 1_000, false), (9, 999, false),
        (9, 86_400_001, false),
    ] {
        var batch = RequestBatch()
        batch.put("k", "v")
        batch.doLastOnce(token: [UInt8](repeating: 7, count: count), keepMilliseconds: milliseconds)
        #expect(((try? decode(batch.single)) != nil) == isValid, "\(count) bytes, \(milliseconds) ms")
    }
}

@Test func `mutated compound requests are read or refused, never worse`() throws {
    var state: UInt64 = 42
    func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state >> 33
    }
    var session = try #require(transaction("{a}1", "{a}2", "{a}3"))
    session.putLastInSession(SessionStamp(session: 1, sequence: 2, lowestOutstanding: 1))
    for _ in 0..<5_000 {
        var mutated = session.single
        for _ in 0...(next() % 3) { mutated[Int(next()) % mutated.count] = UInt8(truncatingIfNeeded: next()) }
        mutated.removeLast(Int(next() % 4))
        // Either is right; that it returns is the test.
        _ = try? decode(mutated)
        mutated.withUnsafeBytes { _ = try? Request($0, from: .logged) }
    }
}

@Test(arguments: [
    ("10.5", "0.1", "10.6"), ("5.0e3", "2.0e2", "5200"), ("3", "-1.5", "1.5"), ("0", "-0.0", "0"), ("-1", "1", "0"),
    ("0.1", "0.2", "0.3"), ("1e20", "1", "100000000000000000001"), ("-.5", "1.", "0.5"),
    ("1e-17", "0", "0.00000000000000001"),
    ("1e-18", "0", "0"), ("5e-18", "0", "0.00000000000000001"), ("+7", "0", "7"),
])
func `decimal numbers add exactly`(a: String, b: String, sum: String) throws {
    let a = try #require(utf8(a).withUnsafeBytes { DecimalNumber($0) })
    let b = try #require(utf8(b).withUnsafeBytes { DecimalNumber($0) })
    #expect(a.adding(b)?.text == sum)
}

@Test(arguments: [
    "", "-", ".", "1e", "1e+", "abc", "1 ", " 1", "0x10", "nan", "inf", "1e21", "1e9999", "1.2.3", "1e5x",
])
func `what is no decimal number is refused`(text: String) {
    #expect(utf8(text).withUnsafeBytes { DecimalNumber($0) } == nil)
}
