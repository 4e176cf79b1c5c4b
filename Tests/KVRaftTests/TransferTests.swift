import KVBase
import Testing

@testable import KVRaft

/// Leadership that is handed over.
struct TransferTests {
    private func sent(_ kind: MessageKind, by host: TestHost) throws -> [Message] {
        try host.run()
        defer { host.outbox = [] }
        return host.outbox.filter { $0.kind == kind }
    }

    @Test func `a learner cannot be handed leadership`() throws {
        let cluster = try TestCluster(3, learners: 1)
        try cluster.elect(1)
        #expect(throws: RaftError.unknownPeer(ReplicaID(4))) {
            try cluster[1].core.transferLeadership(to: ReplicaID(4))
        }
        #expect(throws: RaftError.notLeader(ReplicaID(1))) {
            try cluster[2].core.transferLeadership(to: ReplicaID(3))
        }
    }

    @Test func `who is asked to lead is told once`() throws {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        try cluster[1].core.transferLeadership(to: ReplicaID(3))
        #expect(try sent(.timeoutNow, by: cluster[1]).map(\.to) == [ReplicaID(3)])
        try cluster[1].core.transferLeadership(to: ReplicaID(3))
        // An acknowledgement that says nothing new comes late.
        try cluster[1].core.step(
            Message(.appendResponse, from: ReplicaID(3), to: ReplicaID(1), term: 1, index: cluster[1].core.lastIndex)
        )
        #expect(try sent(.timeoutNow, by: cluster[1]).isEmpty)
    }

    @Test func `a leader that is asked to hand over to itself goes on`() throws {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        try cluster[1].core.transferLeadership(to: ReplicaID(1))
        #expect(cluster[1].core.transferTarget == nil)
        try cluster[1].propose("on")
    }

    @Test func `a transfer to one whose acknowledgement was lost does not wait for a heartbeat`() throws {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        try cluster[1].propose("x")
        try cluster.settle(dropping: { $0.kind == .appendResponse && $0.from == ReplicaID(3) })
        try cluster[1].core.transferLeadership(to: ReplicaID(3))
        try cluster.settle()
        #expect(cluster.leader?.replica == ReplicaID(3))
    }

    @Test func `a transfer ends where its target leaves the group`() throws {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        try cluster[1].propose(ConfigurationChange(items: [.init(.remove, ReplicaID(3))]))
        try cluster[1].core.transferLeadership(to: ReplicaID(3))
        try cluster.settle(dropping: { $0.to == ReplicaID(3) })
        #expect(cluster[1].core.configuration.voters.count == 2)
        #expect(cluster[1].core.transferTarget == nil)
        try cluster[1].propose("on")
    }
}
