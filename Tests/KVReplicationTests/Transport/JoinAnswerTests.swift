import KVBase
import KVReplication
import Testing

struct JoinAnswerTests {
    private let answer = JoinAnswer(
        cluster: ClusterID(high: 1, low: 2),
        shardCount: 16,
        state: .placed,
        text: "wëlcome",
        members: [
            .init(node: NodeID(1), address: "a:1", incarnation: Incarnation(7)),
            .init(node: NodeID(9), address: "[::1]:2", incarnation: nil),
        ],
        replicas: [.controller: ReplicaID(4), GroupID(1): ReplicaID(5)]
    )

    @Test func `an answer comes back from its bytes`() throws {
        #expect(try JoinAnswer(decoding: answer.encoded) == answer)
    }

    @Test func `no truncation or mutation traps`() {
        let whole = answer.encoded
        for count in 0..<whole.count {
            #expect(throws: DecodingError.self) { try JoinAnswer(decoding: Array(whole[..<count])) }
        }
        for place in whole.indices {
            for bit in 0..<8 {
                var bytes = whole
                bytes[place] ^= UInt8(1 << bit)
                // Read or refused; either is fine, trapping is not.
                _ = try? JoinAnswer(decoding: bytes)
            }
        }
    }
}
