import Testing

@testable import KVReplication

/// When ticks pass of which all but the last do nothing.
struct TickPaceTests {
    private func paced(due: Int, at now: UInt64 = 1_000) -> TickPace {
        var pace = TickPace()
        pace.plan(due, of: 10, from: now)
        return pace
    }

    @Test(arguments: [(-3, 1), (0, 1), (1, 1), (7, 7), (20, 20), (21, 20), (Int.max, 20)])
    func `one to twenty ticks are planned`(due: Int, planned: Int) {
        let pace = paced(due: due)
        #expect(pace.planned == planned)
        #expect(pace.due == 1_000 + UInt64(planned) * 10)
    }

    @Test(arguments: [(0, 0), (999, 0), (1_009, 0), (1_010, 1), (1_049, 4), (1_050, 4), (9_999, 4)])
    func `what passed is counted in whole ticks, never the last that is planned`(now: UInt64, passed: Int) {
        #expect(paced(due: 5).passed(at: now) == passed)
    }

    @Test func `once they are taken nothing of them has passed any more`() {
        var pace = paced(due: 5)
        #expect(pace.take() == 5)
        #expect(pace.passed(at: 5_000) == 0)
    }

    @Test func `of a single tick nothing has passed before it is taken`() {
        #expect(paced(due: 1).passed(at: 5_000) == 0)
        #expect(TickPace().passed(at: 5_000) == 0)
    }

    @Test func `what is due earlier draws the tick near, to the next that has not passed`() {
        var pace = paced(due: 10)
        let isLater = pace.draw(to: 10, at: 1_000)
        #expect(!isLater && pace.planned == 10)
        let isSooner = pace.draw(to: 6, at: 1_025)
        #expect(isSooner && pace.planned == 6)
        let isNow = pace.draw(to: 1, at: 1_025)
        #expect(isNow && pace.planned == 3)
        // Its time has come already: it is taken when it was to be.
        let isPast = pace.draw(to: 1, at: 1_900)
        #expect(!isPast && pace.planned == 3)
    }
}
