import KVBase
import Testing

@testable import KVRaft

/// What is sent again and again, and what is not.
struct HeartbeatTests {
    /// How many of these it sends to replica 2 in so many ticks.
    private func count(_ kind: MessageKind, by host: TestHost, to target: UInt64, ticks: Int) throws -> Int {
        host.outbox = []
        for _ in 0..<ticks {
            host.core.tick()
            try host.run()
        }
        defer { host.outbox = [] }
        return host.outbox.count { $0.kind == kind && $0.to == ReplicaID(target) }
    }

    @Test func `heartbeats are sent once in their interval, also by one who led before`() throws {
        let cluster = try TestCluster(3, settings: TestCluster.settings { $0.heartbeatTicks = 3 })
        try cluster.elect(1)
        #expect(try count(.heartbeat, by: cluster[1], to: 2, ticks: 2) == 0)
        #expect(try count(.heartbeat, by: cluster[1], to: 2, ticks: 1) == 1)
        #expect(try count(.heartbeat, by: cluster[1], to: 2, ticks: 5) == 1)
        for host in cluster.hosts { host.core.becomeFollower(term: 2, leader: nil) }
        try cluster.elect(1)
        #expect(cluster[1].core.role == .leader)
        #expect(try count(.heartbeat, by: cluster[1], to: 2, ticks: 2) == 0)
    }

    @Test func `a forwarded read is asked again once in the interval of heartbeats`() throws {
        let cluster = try TestCluster(3, settings: TestCluster.settings { $0.heartbeatTicks = 3 })
        try cluster.elect(1)
        try cluster[2].core.readIndex(context: 1)
        try cluster[2].run()
        #expect(try count(.readIndex, by: cluster[2], to: 1, ticks: 2) == 0)
        #expect(try count(.readIndex, by: cluster[2], to: 1, ticks: 5) == 2)
    }

    @Test func `one who is not reached is not told of commits beyond what it is known to hold`() throws {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        cluster.cutOff = [ReplicaID(3)]
        for text in ["a", "b", "c"] { try cluster[1].propose(text) }
        try cluster.settle()
        cluster[1].core.reportUnreachable(ReplicaID(3))
        #expect(cluster[1].core.progress[2].next == 2 && cluster[1].core.commit == 4)
        #expect(!cluster[1].core.hasEffects)
    }

    /// A host that is asked for effects as long as there are some would never come to an end.
    @Test func `a commit that cannot be told for want of a snapshot is not owed for ever`() throws {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        cluster.cutOff = [ReplicaID(3)]
        try cluster[1].propose("x")
        try cluster.settle()
        cluster[1].core.reportUnreachable(ReplicaID(3))
        cluster[1].core.tracker[2].sentCommit = 0
        cluster[1].core.tracker[2].isRecentlyActive = false
        cluster[1].flush()
        cluster[1].cutLog(through: cluster[1].core.applied)
        #expect(cluster[1].core.hasEffects)
        cluster[1].core.takeEffects(into: &cluster[1].effects)
        #expect(!cluster[1].core.hasEffects)
        #expect(cluster[1].effects.snapshotsToSend.isEmpty)
    }
}
