import KVNode
import Testing

struct WatermarkTests {
    @Test func `a mark is raised at its bound and cleared only well below it`() {
        var mark = Watermark(raiseAt: 0.8, clearBelow: 0.7)
        let values = [0.5, 0.79, 0.8, 0.75, 0.71, 0.69, 0.75, 0.9]
        let raised = [false, false, true, true, true, false, false, true]
        let seen = values.map { mark.update($0) }
        #expect(seen == raised)
    }

    @Test func `a mark for what must not run low counts downward`() {
        var mark = Watermark(raiseAt: -100, clearBelow: -125)
        let seen = [200, 100, 110, 126].map { mark.update(-$0) }
        #expect(seen == [false, true, true, false])
    }
}
