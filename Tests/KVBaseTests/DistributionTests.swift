import KVBase
import Testing

struct DistributionTests {
    @Test func `an observation falls into the first bucket that bounds it, and the last has no bound`() {
        var distribution = Distribution(bounds: [10, 20])
        distribution.observe(0)
        distribution.observe(10)
        distribution.observe(11, times: 3)
        distribution.observe(21)
        #expect(distribution.counts == [2, 3, 1])
        #expect(distribution.sum == 10 + 33 + 21)
        #expect(distribution.total == 6)
    }

    @Test(arguments: [Distribution.latencyBounds, Distribution.countBounds])
    func `bounds ascend`(bounds: [UInt64]) {
        #expect(bounds == bounds.sorted())
        #expect(Set(bounds).count == bounds.count)
    }
}
