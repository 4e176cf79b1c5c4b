import KVBase
import Testing

@testable import KVRaft

struct ReadIndexTests {
    @Test func `a read is ready at the commit index after one round of heartbeats, without a tick`() throws {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        let index = try cluster[1].propose("x")
        try cluster.settle()
        try cluster[1].core.readIndex(context: 42)
        #expect(cluster[1].core.hasEffects)
        try cluster.settle()
        #expect(cluster[1].ready == [ReadyRead(context: 42, index: index)])
    }

    @Test func `a leader that lost the quorum answers no read`() throws {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        cluster.cutOff = [ReplicaID(1)]
        try cluster[1].core.readIndex(context: 1)
        try cluster.settle()
        #expect(cluster[1].ready.isEmpty)
        for _ in 0..<20 { cluster[1].core.tick() }
        try cluster.settle()
        #expect(cluster[1].ready.isEmpty)
        #expect(cluster[1].failed == [1])
    }

    @Test func `reads that come during a round share the next one`() throws {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        var heartbeats = 0
        try cluster[1].core.readIndex(context: 0)
        try cluster.collect()
        for context: UInt64 in 1...100 { try cluster[1].core.readIndex(context: context) }
        try cluster.settle(dropping: { message in
            if message.kind == .heartbeat, message.to == ReplicaID(2) { heartbeats += 1 }
            return false
        })
        #expect(heartbeats == 2)
        #expect(cluster[1].ready.map(\.context) == Array(0...100))
    }

    @Test func `the answer to an earlier round does not confirm a later read`() throws {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        try cluster[1].core.readIndex(context: 1)
        try cluster.settle(dropping: { $0.kind == .heartbeatResponse })
        try cluster[1].core.readIndex(context: 2)
        let answer = Message(.heartbeatResponse, from: ReplicaID(2), to: ReplicaID(1), term: 1, context: 1)
        try cluster.deliver(answer)
        try cluster[1].run()
        #expect(cluster[1].ready.map(\.context) == [1])
        // Nor does a position that was never sent.
        try cluster.deliver(Message(.heartbeatResponse, from: ReplicaID(3), to: ReplicaID(1), term: 1, context: 99))
        try cluster[1].run()
        #expect(cluster[1].ready.map(\.context) == [1])
        try cluster.settle()
        #expect(cluster[1].ready.map(\.context) == [1, 2])
    }

    @Test func `a lost round is repeated with the next heartbeat`() throws {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        try cluster[1].core.readIndex(context: 1)
        try cluster.settle(dropping: { $0.kind == .heartbeat })
        #expect(cluster[1].ready.isEmpty)
        try cluster.tick(1)
        #expect(cluster[1].ready.map(\.context) == [1])
    }

    @Test func `reads before the term's first commit wait for it`() throws {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        try cluster[1].propose("old")
        try cluster.settle()
        cluster.cutOff = [ReplicaID(1)]
        for _ in 0..<10 { cluster[3].core.tick() }
        cluster[2].core.campaign()
        try cluster.settle(dropping: { $0.kind == .append })
        #expect(cluster[2].core.role == .leader)
        #expect(!cluster[2].core.hasCommittedInTerm)
        try cluster[2].core.readIndex(context: 5)
        try cluster.settle(dropping: { $0.kind == .append })
        #expect(cluster[2].ready.isEmpty)
        for _ in 0..<2 {
            cluster[2].core.tick()
            try cluster.settle()
        }
        #expect(cluster[2].core.hasCommittedInTerm)
        #expect(cluster[2].ready == [ReadyRead(context: 5, index: 3)])
    }

    @Test func `a follower and a learner ask their leader, one request for many reads`() throws {
        let cluster = try TestCluster(3, learners: 1)
        try cluster.elect(1)
        let index = try cluster[1].propose("x")
        try cluster.settle()
        var requests = 0
        for context: UInt64 in 1...50 { try cluster[2].core.readIndex(context: context) }
        try cluster[4].core.readIndex(context: 9)
        try cluster.settle(dropping: { message in
            if message.kind == .readIndex, message.from == ReplicaID(2) { requests += 1 }
            return false
        })
        #expect(requests == 2)
        #expect(cluster[2].ready == (1...50).map { ReadyRead(context: $0, index: index) })
        #expect(cluster[4].ready == [ReadyRead(context: 9, index: index)])
    }

    @Test func `a forwarded read whose request is lost is asked again, and given up after an election timeout`() throws
    {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        try cluster[2].core.readIndex(context: 1)
        try cluster.settle(dropping: { $0.kind == .readIndex })
        try cluster.tick(1)
        #expect(cluster[2].ready.map(\.context) == [1])
        try cluster[2].core.readIndex(context: 2)
        for _ in 0..<12 {
            for host in cluster.hosts { host.core.tick() }
            try cluster.settle(dropping: { $0.kind == .readIndex })
        }
        #expect(cluster[2].failed == [2])
    }

    @Test func `a change of leader fails the reads that wait, here and at followers`() throws {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        try cluster[1].core.readIndex(context: 1)
        try cluster[3].core.readIndex(context: 3)
        try cluster.settle(dropping: { $0.kind == .heartbeat || $0.kind == .readIndexResponse })
        try cluster[1].core.transferLeadership(to: ReplicaID(2))
        try cluster.settle()
        #expect(cluster.leader?.replica == ReplicaID(2))
        #expect(cluster[1].failed == [1])
        #expect(cluster[3].failed == [3])
        try cluster[3].core.readIndex(context: 4)
        try cluster.settle()
        #expect(cluster[3].ready.map(\.context) == [4])
    }

    @Test func `an answer from before a restart is not taken for the one that is waited for`() throws {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        try cluster[2].core.readIndex(context: 1)
        var answers: [Message] = []
        try cluster.settle(dropping: { message in
            if message.kind == .readIndexResponse { answers.append(message) }
            return message.kind == .readIndexResponse
        })
        try cluster[2].crash(keeping: 0)
        try cluster[2].restart(seed: 77, evicting: 0)
        try cluster.tick(1)
        try cluster[2].core.readIndex(context: 2)
        for answer in answers { try cluster.deliver(answer) }
        try cluster[2].run()
        #expect(cluster[2].ready.isEmpty)
        try cluster.settle()
        #expect(cluster[2].ready.map(\.context) == [2])
    }

    @Test func `waiting reads are bounded`() throws {
        let cluster = try TestCluster(3, settings: TestCluster.settings { $0.pendingReadsMax = 2 })
        #expect(throws: RaftError.notLeader(nil)) { try cluster[1].core.readIndex(context: 0) }
        try cluster.elect(1)
        for host in [cluster[1], cluster[2]] {
            try host.core.readIndex(context: 1)
            try host.core.readIndex(context: 2)
            #expect(throws: RaftError.overloaded) { try host.core.readIndex(context: 3) }
        }
    }

    @Test func `only the leader's answer is taken`() throws {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        try cluster[2].core.readIndex(context: 1)
        try cluster[2].run()
        let request = try #require(cluster[2].outbox.first { $0.kind == .readIndex })
        try cluster[2].core.step(
            Message(
                .readIndexResponse,
                from: ReplicaID(3),
                to: ReplicaID(2),
                term: 1,
                index: 1,
                context: request.context
            )
        )
        try cluster[2].run()
        #expect(cluster[2].ready.isEmpty)
        try cluster.settle()
        #expect(cluster[2].ready.map(\.context) == [1])
    }

    /// A lone voter confirms every position there is.
    @Test func `reads take a round again where a group that had shrunk to one voter has grown`() throws {
        var reads = LeaderReads()
        #expect(reads.add(from: ReplicaID(1), context: 1, index: 4) == true)
        reads.confirm(.max)
        #expect(reads.takeReady()?.context == 1)
        #expect(reads.add(from: ReplicaID(1), context: 2, index: 5) == true)
        #expect(reads.takeReady() == nil)
        reads.confirm(reads.started)
        #expect(reads.takeReady()?.context == 2)
    }
}
