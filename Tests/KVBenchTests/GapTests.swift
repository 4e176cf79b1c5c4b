import Testing

@testable import kvbench

@Suite struct `the time without service` {
    private func events(_ rows: (from: UInt64, count: Int, succeeded: Bool)...) -> [ProbeEvent] {
        rows.flatMap { row in
            (0..<row.count).map { ProbeEvent(nanoseconds: row.from + UInt64($0), succeeded: row.succeeded) }
        }
    }

    @Test func `it goes from the last success before to the first of ten in a row after`() {
        let all = events((0, 20, true), (100, 3, false), (1_000, 10, true))
        #expect(GapMeasurement.longest(all) == 1_000 - 19)
    }

    @Test func `nine successes between failures are no service`() {
        let all = events((0, 20, true), (100, 1, false), (500, 9, true), (600, 1, false), (1_000, 10, true))
        #expect(GapMeasurement.longest(all) == 1_000 - 19)
    }

    @Test func `a wait without a failure counts too`() {
        let all = events((0, 20, true), (700, 20, true))
        #expect(GapMeasurement.longest(all) == 700 - 19)
    }

    @Test func `a failure between answers that go on costs no more than their distance`() {
        let all = events((0, 20, true), (20, 1, false), (21, 20, true))
        #expect(GapMeasurement.longest(all) == 2)
    }

    @Test func `without a row of ten there is no figure`() {
        #expect(GapMeasurement.longest(events((0, 9, true))) == nil)
    }

    @Test func `service is back at the tenth success in a row`() {
        let all = events((0, 9, true), (9, 1, false), (10, 12, true))
        #expect(GapMeasurement.recovered(all, from: 0) == 20)
        #expect(GapMeasurement.recovered(all, from: 15) == nil)
    }
}
