import Foundation
import Testing

@testable import kvbench

@Suite struct `what the load generator is made of` {
    @Test(arguments: [
        "+OK\r\n", "-ERR no\r\n", ":42\r\n", "$3\r\na\r\n\r\n", "$-1\r\n", "*2\r\n:1\r\n$1\r\nx\r\n", "$0\r\n\r\n",
    ])
    func `a reply is found when its last byte is there and not before`(_ text: String) {
        let bytes = Array((text + "+NEXT\r\n").utf8)
        for count in 0..<text.utf8.count {
            bytes[..<count].withUnsafeBytes { part in
                guard case .incomplete = ReplyScanner.scan(part) else {
                    Issue.record("\(count) bytes of \(text.debugDescription) were no part of a reply")
                    return
                }
            }
        }
        bytes.withUnsafeBytes { whole in
            guard case .reply(_, let length) = ReplyScanner.scan(whole) else {
                Issue.record("no reply in \(text.debugDescription)")
                return
            }
            #expect(length == text.utf8.count)
        }
    }

    @Test(arguments: [
        "?1\r\n", "+OK\n", ":x\r\n", "$-2\r\n", "$3\r\nabcd\r\n", ":99999999999999999999\r\n", "$99999999999\r\n",
    ])
    func `bytes that are no reply are said to be none`(_ text: String) {
        Array(text.utf8).withUnsafeBytes { bytes in
            guard case .malformed = ReplyScanner.scan(bytes) else {
                Issue.record("\(text.debugDescription) was taken")
                return
            }
        }
    }

    @Test func `an error's code is its first word`() {
        Array("-CLUSTERDOWN no leader\r\n".utf8).withUnsafeBytes { bytes in
            guard case .reply(let reply, _) = ReplyScanner.scan(bytes) else {
                Issue.record("no reply")
                return
            }
            #expect(reply.errorCode == "CLUSTERDOWN")
        }
    }

    @Test func `a queue keeps what was put in through growth and partial consumption`() {
        let queue = ByteQueue(capacity: 16)
        var expected: [UInt8] = []
        var random = SplitMix(seed: 7)
        for _ in 0..<2_000 {
            let count = Int(random.next() % 40)
            let piece = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            piece.withUnsafeBytes { queue.append($0) }
            expected += piece
            let taken = Int(random.next() % UInt64(expected.count + 1))
            queue.consume(taken)
            expected.removeFirst(taken)
            #expect(Array(queue.bytes) == expected)
        }
    }

    @Test func `keys have the width asked for, and more where the number needs it`() {
        let chooser = KeyChooser(.init(order: .uniform, count: .max, bytes: 10), start: 0, step: 1)
        let queue = ByteQueue()
        chooser.append(42, to: queue)
        chooser.append(12_345_678, to: queue)
        #expect(String(decoding: queue.bytes, as: UTF8.self) == "$10\r\nkey:000042\r\n$12\r\nkey:12345678\r\n")
    }

    @Test func `threads go through a sequence together without leaving a key out`() {
        var drawn: Set<UInt64> = []
        for thread in 0..<3 {
            var chooser = KeyChooser(
                .init(order: .sequential, count: 100, bytes: 16),
                start: UInt64(thread),
                step: 3
            )
            let share = 100 / 3 + (thread < 100 % 3 ? 1 : 0)
            for _ in 0..<share { drawn.insert(chooser.draw(0)) }
        }
        #expect(drawn.count == 100)
    }

    @Test func `Zipf's first rank is drawn as often as the law says`() {
        let zipf = Zipf(count: 1_000)
        var random = SplitMix(seed: 3)
        let count = 100_000
        let ranks = (0..<count).map { _ in zipf.rank(Double(random.next() >> 11) * 0x1p-53) }
        let sum = (1...1_000).reduce(0.0) { $0 + 1 / pow(Double($1), 0.99) }
        let first = Double(ranks.count { $0 == 0 }) / Double(count)
        #expect(abs(first - 1 / sum) < 0.01)
        #expect(ranks.allSatisfy { $0 < 1_000 })
    }

    @Test func `a mix is drawn in its proportions and a bad one is refused`() throws {
        let mix = try OperationMix("put=1,get=2,delete=1")
        #expect((0..<4).map { mix.kind($0) } == [.put, .get, .get, .delete])
        for text in ["", "put=0", "put", "put=-1", "post=3", "put=x"] {
            #expect(throws: BenchmarkError.self) { try OperationMix(text) }
        }
    }
}
