import KVBase
import KVService
import Testing

@testable import KVReplication

/// Notes what it is told.
// SENDABLE: each test uses it from one thread.
private final class Listener: ReplySink, @unchecked Sendable {
    private(set) var heard: [UInt64: ServiceError.Code?] = [:]

    func complete(_ tag: UInt64, _ reply: borrowing Reply) {
        precondition(heard[tag] == nil, "request \(tag) was answered twice")
        heard[tag] = .some(reply.error?.code)
    }
}

@Suite("Writes of a leader on their way")
struct ProposalsTests {
    private let listener = Listener()

    private func filled(
        _ proposals: inout Proposals,
        tag: UInt64,
        joinsPrevious: Bool = false
    ) throws -> Proposals.Filling {
        add(&proposals, tag: tag)
        let taken = proposals.takeFilled()
        return try #require(taken)
    }

    private func add(_ proposals: inout Proposals, tag: UInt64, joinsPrevious: Bool = false, deadline: UInt64 = 100) {
        var batch = RequestBatch()
        let (key, value) = (Array("key".utf8), [UInt8](repeating: 1, count: 100))
        key.withUnsafeBytes { key in
            value.withUnsafeBytes { batch.put(key, $0, tag: tag, joinsPrevious: joinsPrevious) }
        }
        batch.bytes.withUnsafeBytes { bytes in
            proposals.add(
                RoutedRequest(bytes: bytes, item: batch.items[0], shard: ShardID(0), epoch: Epoch(1)),
                origin: Origin(sink: listener, tag: tag, deadline: deadline)
            )
        }
    }

    @Test func `a leader elected again takes back the places of its earlier reign`() throws {
        var proposals = Proposals(entryBytesMax: 1_000)
        let old = try filled(&proposals, tag: 1)
        proposals.wait(old, index: 5, term: 1)
        let new = try filled(&proposals, tag: 2)
        proposals.wait(new, index: 4, term: 3)
        #expect(listener.heard == [1: .unknownOutcome])
        #expect(proposals.takeWaiter(at: 4, term: 3)?.map(\.tag) == [2])
        #expect(proposals.bytes == 0)
    }

    @Test func `another term's entry at the place is an unknown outcome, never an answer`() throws {
        var proposals = Proposals(entryBytesMax: 1_000)
        let entry = try filled(&proposals, tag: 1)
        proposals.wait(entry, index: 7, term: 2)
        #expect(proposals.takeWaiter(at: 7, term: 3) == nil)
        #expect(listener.heard == [1: .unknownOutcome])
    }

    @Test func `a write that joins the one before stands in its entry, however full that is`() throws {
        var proposals = Proposals(entryBytesMax: 50)
        add(&proposals, tag: 1)
        add(&proposals, tag: 2, joinsPrevious: true)
        add(&proposals, tag: 3)
        #expect(proposals.takeFilled()?.origins.map(\.tag) == [1, 2])
        #expect(proposals.takeFilled()?.origins.map(\.tag) == [3])
    }

    @Test func `what was never proposed in time is refused, what was is unknown`() throws {
        var proposals = Proposals(entryBytesMax: 50)
        let entry = try filled(&proposals, tag: 1)
        proposals.wait(entry, index: 1, term: 1)
        add(&proposals, tag: 2)
        proposals.expire(at: 100)
        #expect(listener.heard == [1: .unknownOutcome, 2: .overloaded])
        proposals.expire(at: 200)
        #expect(proposals.takeWaiter(at: 1, term: 1) == nil)
        #expect(proposals.bytes == 0)
    }
}
