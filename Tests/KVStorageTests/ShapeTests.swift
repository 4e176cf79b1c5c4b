import Testing

@testable import KVStorage

struct ShapeTests {
    @Test func `random work flushes, compacts, moves tables and fills several levels`() throws {
        let harness = try TabletHarness(seed: 9)
        for _ in 0..<2000 {
            try harness.writeRandomly(keyCount: 900)
            if harness.randomness.below(5) == 0 { harness.run() }
        }
        harness.run()
        let statistics = harness.tablet.statistics
        #expect(statistics.flushes > 20)
        #expect(statistics.compactions > 5)
        #expect(statistics.tablesPerLevel.count { $0 > 0 } >= 2)
        #expect(try harness.contents() == harness.model)
    }
}
