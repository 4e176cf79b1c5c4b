import Testing

@testable import KVGRPC

@Suite struct MessageProgressTests {
    private static let three: [UInt8] = [0, 0, 0, 0, 3, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 9]

    @Test func `a message is whole when its last byte came, however it was cut`() {
        for size in 1...Self.three.count {
            var progress = MessageProgress()
            var start = 0
            while start < Self.three.count {
                let end = min(start + size, Self.three.count)
                progress.take(Self.three[start..<end])
                #expect(progress.isInside == ![8, 13, 19].contains(end), "\(size), \(end)")
                start = end
            }
        }
    }

    @Test func `the longest length that can be declared is waited for`() {
        var progress = MessageProgress()
        progress.take([1, 0xff, 0xff, 0xff, 0xff])
        progress.take([UInt8](repeating: 0, count: 1_000))
        #expect(progress.isInside)
    }
}
