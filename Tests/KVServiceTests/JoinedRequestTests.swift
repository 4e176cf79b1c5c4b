import KVBase
import KVService
import Testing

/// Requests that take effect together have a bound together.
struct JoinedRequestTests {
    private static let half = [UInt8](repeating: 1, count: Limits.batchBytesMax / 2)

    /// A batch of chains, each of so many writes with values of these lengths.
    private func batch(_ chains: [[Int]]) -> RequestBatch {
        var batch = RequestBatch()
        var tag: UInt64 = 0
        for chain in chains {
            for (place, length) in chain.enumerated() {
                "key\(tag)".utf8.map { $0 }.withUnsafeBytes { key in
                    Self.half[..<length].withUnsafeBytes { batch.put(key, $0, tag: tag, joinsPrevious: place > 0) }
                }
                tag += 1
            }
        }
        return batch
    }

    private func outcome(_ batch: RequestBatch) -> (refused: [UInt64], left: [UInt64]?) {
        var refused: [UInt64] = []
        let rest = batch.withoutOutgrown { tag, bytes in
            refused.append(tag)
            #expect(bytes > Limits.batchBytesMax)
        }
        return (refused, rest.map { $0.items.map(\.tag) })
    }

    @Test func `what fits, and what stands alone, is left as it is`() {
        let half = Self.half.count
        for chains in [[], [[1]], [[1, 2, 3], [half]], [[half], [half], [half]], [[half, half - 200]]] {
            let found = outcome(batch(chains))
            #expect(found.refused.isEmpty && found.left == nil, "\(chains)")
        }
    }

    @Test func `a chain that is too long goes as a whole, and what stands around it stays in its order`() throws {
        let half = Self.half.count
        let found = outcome(batch([[5], [half, half, 1], [7, 7], [1, half, half], [9]]))
        #expect(found.refused == [1, 2, 3, 6, 7, 8])
        #expect(found.left == [0, 4, 5, 9])
        let mixed = batch([[5], [half, half, 1], [7, 7]])
        let rest = try #require(mixed.withoutOutgrown { _, _ in })
        #expect(rest.items.map(\.joinsPrevious) == [false, false, true])
        let first = try #require(rest.items.last)
        rest.bytes.withUnsafeBytes { bytes in
            let request = try? Request(
                UnsafeRawBufferPointer(rebasing: bytes[Int(first.offset)..<Int(first.offset + first.length)])
            )
            #expect(request.map { Array($0.key) } == Array("key5".utf8))
        }
    }

    @Test func `many short ones count what surrounds them`() {
        let count = Limits.batchBytesMax / 64
        let found = outcome(batch([Array(repeating: 0, count: count)]))
        #expect(found.refused.count == count)
    }
}
