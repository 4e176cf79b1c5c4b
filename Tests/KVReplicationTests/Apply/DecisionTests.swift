import KVBase
import KVReplication
import KVService
import Testing

/// A row as a test writes it.
private struct Row {
    var value: String
    var version: UInt64 = 5
    var expiresAt: UInt64 = 0

    var bytes: [UInt8] {
        var bytes: [UInt8] = [expiresAt == 0 ? 0 : 1]
        bytes.append(varint: version)
        if expiresAt != 0 { bytes.append(varint: expiresAt) }
        return bytes + Array(value.utf8)
    }
}

/// What a decision says, with bytes copied.
private struct Said: Equatable, CustomStringConvertible {
    var outcome: Reply.Outcome
    var integer: Int64 = 0
    var change = "none"
    var code: ServiceError.Code?

    var description: String { "\(outcome) \(integer) \(change) \(code?.rawValue ?? "")" }
}

private let now: UInt64 = 1000

private func decide(_ row: Row?, _ fill: (inout RequestBatch, UnsafeRawBufferPointer) -> Void) throws -> Said {
    var batch = RequestBatch()
    Array("k".utf8).withUnsafeBytes { fill(&batch, $0) }
    return try batch.bytes.withUnsafeBytes { (request) throws in
        try (row?.bytes ?? []).withUnsafeBytes { (stored) throws in
            let decoded = try Request(request)
            let present = row == nil || !Decision.readsRow(decoded) ? nil : try StoredValue(stored)
            let decision = Decision(decoded, row: present, time: now)
            var said = Said(outcome: decision.outcome, integer: decision.integer, code: decision.failure?.error.code)
            switch decision.change {
            case .none: said.change = "none"
            case .remove: said.change = "remove"
            case .set(let first, let second, let expiresAt):
                said.change = String(decoding: Array(first) + Array(second), as: UTF8.self) + "@\(expiresAt)"
            case .setNumber(let number, let expiresAt): said.change = "\(number)@\(expiresAt)"
            case .setDecimal(let number, let expiresAt): said.change = "\(number.text)@\(expiresAt)"
            case .splice(_, let bytes, let offset, let expiresAt):
                said.change = "\(String(decoding: bytes, as: UTF8.self)) at \(offset)@\(expiresAt)"
            }
            return said
        }
    }
}

private let live = Row(value: "old")
private let mortal = Row(value: "old", expiresAt: 2000)
private let expired = Row(value: "old", expiresAt: now)
private let rows: [Row?] = [nil, live, mortal, expired]

private func put(
    _ row: Row?,
    _ condition: Condition = .none,
    _ expiry: Expiry = .none,
    _ flags: RequestFlags = []
) throws -> Said {
    try decide(row) { batch, key in
        Array("new".utf8).withUnsafeBytes {
            batch.put(key, $0, tag: 0, condition: condition, expiry: expiry, flags: flags)
        }
    }
}

private func delete(_ row: Row?, _ condition: Condition = .none, _ flags: RequestFlags = []) throws -> Said {
    try decide(row) { batch, key in batch.delete(key, tag: 0, condition: condition, flags: flags) }
}

private func expire(_ row: Row?, _ expiry: Expiry, _ rule: ExpireRule = .always) throws -> Said {
    try decide(row) { batch, key in batch.expire(key, expiry, rule: rule, tag: 0) }
}

private func increment(_ row: Row?, _ amount: Int64) throws -> Said {
    try decide(row) { batch, key in batch.increment(key, by: amount, tag: 0) }
}

private func append(_ row: Row?, _ suffix: String) throws -> Said {
    try decide(row) { batch, key in Array(suffix.utf8).withUnsafeBytes { batch.append(key, $0, tag: 0) } }
}

private let failed = Said(outcome: .conditionFailed)

@Test func `a plain put sets, whatever is there`() throws {
    for row in rows { #expect(try put(row) == Said(outcome: .done, change: "new@0")) }
}

@Test func `a put's condition sees an expired key as absent`() throws {
    let set = Said(outcome: .done, change: "new@0")
    #expect(try rows.map { try put($0, .absent) } == [set, failed, failed, set])
    #expect(try rows.map { try put($0, .present) } == [failed, set, set, failed])
    #expect(try rows.map { try put($0, .version(5)) } == [failed, set, set, failed])
    #expect(try rows.map { try put($0, .version(6)) } == [failed, failed, failed, failed])
    #expect(try rows.map { try put($0, .version(0)) } == [set, failed, failed, set])
}

@Test func `a put's expiry counts from the entry's time, and one that is over removes`() throws {
    #expect(try put(live, .none, .after(milliseconds: 5)).change == "new@1005")
    #expect(try put(live, .none, .at(milliseconds: 1001)).change == "new@1001")
    for expiry in [Expiry.after(milliseconds: 0), .at(milliseconds: 0), .at(milliseconds: now)] {
        #expect(try put(live, .none, expiry) == Said(outcome: .done, change: "remove"))
    }
    #expect(try rows.map { try put($0, .none, .keep).change } == ["new@0", "new@0", "new@2000", "new@0"])
}

@Test func `an expiry that 63 bits do not hold is out of range`() throws {
    let refused = Said(outcome: .failed, code: .outOfRange)
    for milliseconds in [UInt64.max, UInt64.max - now, 1 << 63, UInt64(Int64.max)] {
        #expect(try put(live, .none, .after(milliseconds: milliseconds)) == refused)
        #expect(try expire(live, .after(milliseconds: milliseconds)) == refused)
    }
    #expect(try put(live, .none, .at(milliseconds: 1 << 63)) == refused)
    #expect(try put(live, .none, .at(milliseconds: UInt64(Int64.max))).outcome == .done)
}

@Test func `a delete tells what was there, a blind one removes without looking`() throws {
    let gone = Said(outcome: .done, change: "remove")
    let absent = Said(outcome: .absent)
    #expect(try rows.map { try delete($0) } == [absent, gone, gone, absent])
    #expect(try rows.map { try delete($0, .none, .blind) } == [gone, gone, gone, gone])
    #expect(try rows.map { try delete($0, .present) } == [failed, gone, gone, failed])
    #expect(try rows.map { try delete($0, .version(5)) } == [failed, gone, gone, failed])
    #expect(try rows.map { try delete($0, .version(4)) } == [failed, failed, failed, failed])
    #expect(try rows.map { try delete($0, .absent) } == [absent, failed, failed, absent])
}

@Test func `expire follows Redis 7's rules, no expiry being the latest`() throws {
    let absent = Said(outcome: .absent)
    let no = Said(outcome: .number, integer: 0)
    func set(_ at: UInt64) -> Said { Said(outcome: .number, integer: 1, change: "old@\(at)") }
    let table: [(ExpireRule, [Said])] = [
        (.always, [absent, set(1500), set(1500), absent]),
        (.ifNone, [absent, set(1500), no, absent]),
        (.ifSome, [absent, no, set(1500), absent]),
        (.ifLater, [absent, no, no, absent]),
        (.ifEarlier, [absent, set(1500), set(1500), absent]),
    ]
    for (rule, expected) in table {
        #expect(try rows.map { try expire($0, .after(milliseconds: 500), rule) } == expected)
    }
    #expect(try expire(mortal, .at(milliseconds: 2001), .ifLater) == set(2001))
    #expect(try expire(mortal, .at(milliseconds: 2000), .ifLater) == no)
    #expect(try expire(mortal, .at(milliseconds: 2000), .ifEarlier) == no)
}

@Test func `an expiry that is over removes and says one; none makes the key permanent`() throws {
    #expect(try expire(live, .at(milliseconds: 3)) == Said(outcome: .number, integer: 1, change: "remove"))
    #expect(try expire(mortal, .after(milliseconds: 0)) == Said(outcome: .number, integer: 1, change: "remove"))
    #expect(try expire(mortal, .none) == Said(outcome: .number, integer: 1, change: "old@0"))
    #expect(try expire(live, .none) == Said(outcome: .number, integer: 0))
    #expect(try expire(live, .keep) == Said(outcome: .failed, code: .badRequest))
}

@Test func `an increment starts at nothing, keeps the expiry, and stays within 64 bits`() throws {
    #expect(try increment(nil, 3) == Said(outcome: .number, integer: 3, change: "3@0"))
    #expect(try increment(expired, -3) == Said(outcome: .number, integer: -3, change: "-3@0"))
    #expect(
        try increment(Row(value: "10", expiresAt: 2000), -30)
            == Said(outcome: .number, integer: -20, change: "-20@2000")
    )
    #expect(try increment(Row(value: "9223372036854775807"), 0).integer == .max)
    #expect(try increment(Row(value: "-9223372036854775808"), 0).integer == .min)
    #expect(try increment(Row(value: "9223372036854775807"), 1) == Said(outcome: .failed, code: .outOfRange))
    #expect(try increment(Row(value: "-9223372036854775808"), -1) == Said(outcome: .failed, code: .outOfRange))
    #expect(try increment(Row(value: "0"), .min).integer == .min)
}

@Test(arguments: [
    "", "-", "+1", " 1", "1 ", "01", "-0", "00", "1.0", "abc", "9223372036854775808", "-9223372036854775809",
    "99999999999999999999", "-99999999999999999999999", "1\u{0}", "0x1", "٣",
])
func `what is no plain decimal of 64 bits is no integer`(text: String) throws {
    #expect(try increment(Row(value: text), 1) == Said(outcome: .failed, code: .notAnInteger))
}

@Test func `an append starts at nothing, keeps the expiry and answers the length`() throws {
    #expect(try append(nil, "x") == Said(outcome: .number, integer: 1, change: "x@0"))
    #expect(try append(expired, "x") == Said(outcome: .number, integer: 1, change: "x@0"))
    #expect(try append(mortal, "er") == Said(outcome: .number, integer: 5, change: "older@2000"))
    #expect(try append(nil, "") == Said(outcome: .number, integer: 0, change: "@0"))
}

@Test func `an append past the value limit is out of range`() throws {
    let full = Row(value: String(repeating: "x", count: Limits.valueBytesMax))
    #expect(try append(full, "y") == Said(outcome: .failed, code: .outOfRange))
    #expect(try append(full, "").integer == Int64(Limits.valueBytesMax))
}
