import Testing

@testable import KVClient

struct ImportLedgerTests {
    private func record(_ ordinal: UInt64, _ key: String) -> Record {
        Record(ordinal: ordinal, line: ordinal + 1, key: bytes(key), value: bytes("\(ordinal)"))
    }

    private func ledger(_ keys: [String], inFlightMax: Int = 100) -> ImportLedger {
        var ledger = ImportLedger(inFlightMax: inFlightMax)
        for (index, key) in keys.enumerated() {
            ledger.admit(record(UInt64(index), key), mark: .init(records: UInt64(index) + 1, line: UInt64(index) + 1))
        }
        return ledger
    }

    @Test func `records of one key are in flight one at a time, in order, also over retries`() {
        var ledger = ledger(["a", "b", "a", "a"])
        let now = ContinuousClock.now
        #expect(ledger.take()?.sequence == 0)
        #expect(ledger.take()?.sequence == 1)
        #expect(ledger.take() == nil)
        ledger.fail(0, at: now)
        #expect(ledger.acknowledge(1).key == bytes("b"))
        ledger.wake(at: now)
        #expect(ledger.take() == nil)
        ledger.wake(at: now + .seconds(1))
        #expect(ledger.take()?.sequence == 0)
        #expect(ledger.retried == 1)
        _ = ledger.acknowledge(0)
        #expect(ledger.take()?.sequence == 2)
        _ = ledger.reject(2)
        #expect(ledger.take()?.sequence == 3)
        #expect(ledger.unacknowledged().map(\.record.ordinal) == [3])
        _ = ledger.acknowledge(3)
        #expect(ledger.unsettled == 0)
        #expect(ledger.mark.records == 4)
    }

    @Test func `the mark stops at the first record that is not settled`() {
        var ledger = ledger(["a", "b", "c"])
        while ledger.take() != nil {}
        _ = ledger.acknowledge(1)
        _ = ledger.acknowledge(2)
        #expect(ledger.mark.records == 0)
        _ = ledger.acknowledge(0)
        #expect(ledger.mark == .init(records: 3, line: 3))
    }

    @Test func `it takes no more than fits, unsettled or in all`() {
        #expect(!ledger(["a", "b"], inFlightMax: 2).hasRoom)
        var ledger = ImportLedger(inFlightMax: 10, spanMax: 3)
        for index in 0..<3 { ledger.admit(record(UInt64(index), "\(index)"), mark: .init(records: UInt64(index) + 1)) }
        while ledger.take() != nil {}
        _ = ledger.acknowledge(2)
        #expect(!ledger.hasRoom)
        _ = ledger.acknowledge(0)
        #expect(ledger.hasRoom)
    }

    @Test func `the checksum tells keys from values`() {
        let one = Record(ordinal: 0, line: 1, key: bytes("ab"), value: bytes("c"))
        let other = Record(ordinal: 0, line: 1, key: bytes("a"), value: bytes("bc"))
        #expect(ImportLedger.checksum(one, after: 0) != ImportLedger.checksum(other, after: 0))
    }
}
