import KVBase
import Testing

@testable import KVRaft

struct ElectionTests {
    @Test func `a group elects one leader by itself and keeps it`() throws {
        let cluster = try TestCluster(3)
        try cluster.tick(40)
        let leader = try #require(cluster.leader)
        let term = leader.core.term
        try cluster.tick(200)
        #expect(cluster.leader?.replica == leader.replica)
        #expect(cluster.hosts.allSatisfy { $0.core.term == term && $0.core.leader == leader.replica })
    }

    @Test func `the election timeout is drawn anew and lies between one and two election intervals`() throws {
        var core = try TestCluster(3)[1].core
        var drawn: Set<Int> = []
        for _ in 0..<200 {
            core.drawElectionTimeout()
            drawn.insert(core.electionTimeout)
        }
        #expect(drawn == Set(10..<20))
    }

    @Test func `a replica that was cut off does not disturb the group's term`() throws {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        cluster.cutOff = [ReplicaID(3)]
        try cluster.tick(100)
        #expect(cluster[3].core.term == 1)
        cluster.cutOff = []
        try cluster.tick(3)
        #expect(cluster.leader?.replica == ReplicaID(1))
        #expect(cluster.hosts.allSatisfy { $0.core.term == 1 })
    }

    @Test func `a vote is refused to a candidate whose log is behind`() throws {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        cluster.cutOff = [ReplicaID(3)]
        try cluster[1].propose("kept")
        try cluster.settle()
        cluster.cutOff = [ReplicaID(1)]
        for _ in 0..<20 { cluster[2].core.tick() }
        try cluster.elect(3)
        #expect(cluster[3].core.role != .leader)
        try cluster.elect(2)
        #expect(cluster[2].core.role == .leader)
    }

    @Test func `a replica that hears its leader refuses to vote, and one that lost it does not`() throws {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        try cluster.elect(2)
        try cluster.tick(1)
        #expect(cluster.leader?.replica == ReplicaID(1))
        #expect(cluster[3].events.contains(.stuckToLeader(ignored: ReplicaID(2), term: 2)))
        cluster.cutOff = [ReplicaID(1)]
        for _ in 0..<10 { cluster[3].core.tick() }
        try cluster.elect(2)
        #expect(cluster.leader?.replica == ReplicaID(2))
    }

    @Test func `a leader without a quorum steps down after an election timeout`() throws {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        cluster.cutOff = [ReplicaID(1)]
        for _ in 0..<20 {
            cluster[1].core.tick()
            try cluster.settle()
        }
        #expect(cluster[1].core.role == .follower)
        #expect(cluster[1].core.leader == nil)
        #expect(cluster[1].events.contains(.steppedDown(term: 1, lostQuorum: true)))
    }

    @Test func `a leader that does not check its quorum leads on without one`() throws {
        let cluster = try TestCluster(3, settings: TestCluster.settings { $0.checksQuorum = false })
        try cluster.elect(1)
        cluster.cutOff = [ReplicaID(1)]
        for _ in 0..<40 {
            cluster[1].core.tick()
            try cluster.settle()
        }
        #expect(cluster[1].core.role == .leader && cluster[1].core.term == 1)
    }

    @Test func `a replica stuck in a higher term is freed`() throws {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        // Without pre-votes a replica can end in a term of its own, where nobody answers its requests.
        cluster[3].core.becomeFollower(term: 5, leader: nil)
        try cluster.tick(60)
        #expect(cluster.hosts.allSatisfy { $0.core.term >= 5 })
        let leader = try #require(cluster.leader)
        try leader.propose("on")
        try cluster.settle()
        #expect(cluster[3].texts == ["on"])
    }

    @Test func `a leader whose process died is replaced without waiting for the election timeout`() throws {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        cluster[1].isDown = true
        #expect(cluster[2].hearsClosing(of: 1))
        #expect(cluster[3].hearsClosing(of: 1))
        cluster[2].core.campaignSoon()
        try cluster.settle()
        #expect(cluster.leader?.replica == ReplicaID(2))
        // The other's delay ends later: it found a leader and lets it be.
        cluster[3].core.campaignSoon()
        try cluster.settle()
        #expect(cluster.leader?.replica == ReplicaID(2))
        #expect(cluster[3].core.term == 2)
    }

    @Test func `one closed connection does not depose a leader that the others hear`() throws {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        #expect(cluster[2].hearsClosing(of: 1))
        cluster[2].core.campaignSoon()
        try cluster.settle()
        #expect(cluster.leader?.replica == ReplicaID(1))
        try cluster.tick(1)
        #expect(cluster[2].core.leader == ReplicaID(1))
        #expect(cluster.hosts.allSatisfy { $0.core.term == 1 })
    }

    @Test func `a closed connection to a follower, or with leases on, changes nothing`() throws {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        #expect(!cluster[2].hearsClosing(of: 3))
        let leased = try TestCluster(3, settings: TestCluster.settings { $0.isLeaseEnabled = true })
        try leased.elect(1)
        #expect(!leased[2].hearsClosing(of: 1))
        #expect(leased[2].core.leader == ReplicaID(1))
    }

    @Test func `leadership is handed over on request`() throws {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        try cluster[1].propose("before")
        try cluster[1].core.transferLeadership(to: ReplicaID(3))
        #expect(throws: RaftError.transferring(ReplicaID(3))) { try cluster[1].propose("during") }
        try cluster.settle()
        #expect(cluster.leader?.replica == ReplicaID(3))
        #expect(cluster[3].core.term == 2)
        try cluster[3].propose("after")
        try cluster.settle()
        #expect(cluster[1].texts == ["before", "after"])
    }

    @Test func `a transfer that does not happen is given up`() throws {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        cluster.cutOff = [ReplicaID(3)]
        try cluster[1].core.transferLeadership(to: ReplicaID(3))
        try cluster.tick(10)
        try cluster[1].propose("again")
        #expect(throws: RaftError.unknownPeer(ReplicaID(9))) {
            try cluster[1].core.transferLeadership(to: ReplicaID(9))
        }
    }

    @Test func `a lone voter elects itself once its vote is durable, commits and reads`() throws {
        let cluster = try TestCluster(1)
        let host = cluster[1]
        host.writesAreImmediate = false
        host.core.campaign()
        try host.run()
        #expect(host.core.role == .candidate)
        try host.finishWrites(1)
        #expect(host.core.role == .leader)
        try host.core.readIndex(context: 7)
        try host.run()
        #expect(host.ready.isEmpty)
        #expect(host.core.commit == 0)
        try host.finishWrites(1)
        try host.run()
        #expect(host.core.commit == 1)
        #expect(host.ready == [ReadyRead(context: 7, index: 1)])
        try host.propose("alone")
        try host.run()
        #expect(host.texts.isEmpty)
        try host.finishWrites(1)
        try host.run()
        #expect(host.texts == ["alone"])
    }

    @Test func `a candidate with the others' votes does not lead before its own is durable`() throws {
        let cluster = try TestCluster(3, settings: TestCluster.settings { $0.preVotes = false })
        cluster[1].writesAreImmediate = false
        try cluster.elect(1)
        #expect(cluster[1].core.role == .candidate)
        #expect(cluster[2].disk.hardState.vote == ReplicaID(1))
        try cluster[1].finishWrites(1)
        #expect(cluster[1].core.role == .leader)
    }

    @Test func `no campaign starts while a committed change of the configuration is unapplied`() throws {
        let cluster = try TestCluster(1, learners: 1)
        try cluster.elect(1)
        var disk = cluster[1].disk
        let change = ConfigurationChange(items: [.init(.addVoter, ReplicaID(2))])
        let index = try cluster[1].propose(change)
        try cluster[1].run()
        disk.entries = cluster[1].disk.entries
        disk.hardState = HardState(term: 1, vote: ReplicaID(1), commit: index)
        let again = try TestHost(ReplicaID(1), settings: TestCluster.settings(), disk: disk, seed: 3)
        again.core.campaign()
        #expect(again.core.role == .follower)
        try again.run()
        #expect(again.events.contains(.campaignRefused(hasUnappliedChange: true)))
        again.core.campaign()
        #expect(again.core.role == .preCandidate)
    }
}
