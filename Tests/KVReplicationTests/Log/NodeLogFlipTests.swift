import KVBase
import KVLog
import KVRaft
import KVReplication
import KVSimulation
import Testing

/// Single bits flipped in a node's log: what it gives is what was appended, or an error.
struct NodeLogFlipTests {
    private func makeNode() throws -> LogNode {
        let node = LogNode(seed: 3)
        node.options.segmentBytes = 2048
        try node.start()
        for round: UInt64 in 0..<6 {
            for group: UInt32 in 0...1 {
                node.append(
                    group,
                    (round * 3 + 1)...(round * 3 + 3),
                    term: round / 2 + 1,
                    size: 70,
                    state: HardState(term: round / 2 + 1, vote: ReplicaID(1), commit: 0)
                )
            }
            node.world.run(until: node.world.now + 1_000_000_000)
        }
        // Everything is proven durable by now: the log went idle.
        #expect(node.seen.acknowledged.values.allSatisfy { $0.count == 18 })
        node.kill(.keepAll)
        return node
    }

    @Test func `a flipped bit anywhere gives the entries and votes that were written, or an error`() throws {
        let node = try makeNode()
        var refused = 0
        var answered = 0
        for path in node.disk.allFiles() {
            let bits = (node.disk.content(of: path)?.count ?? 0) * 8
            for bit in stride(from: 1, to: bits, by: 37) {
                let copy = LogNode(seed: 4, disk: node.disk.copy())
                copy.options.segmentBytes = 2048
                copy.disk.flipBit(bit, of: path)
                do { try copy.start() } catch {
                    #expect("\(error)".contains("log"), "bit \(bit) of \(path): \(error)")
                    refused += 1
                    continue
                }
                for group: UInt32 in 0...1 {
                    let expected = node.seen.acknowledged[GroupID(group)] ?? [:]
                    do {
                        let found = try copy.entries(group)
                        #expect(found.count == expected.count, "bit \(bit) of \(path)")
                        #expect(found.allSatisfy { expected[$0.index] == $0 }, "bit \(bit) of \(path)")
                        let state = copy.recovered?.groups[GroupID(group)]?.hardState
                        #expect(state == node.seen.states[GroupID(group)], "bit \(bit) of \(path)")
                        answered += 1
                    } catch { refused += 1 }
                }
            }
        }
        #expect(refused > 100)
        #expect(answered > 0)
    }
}
