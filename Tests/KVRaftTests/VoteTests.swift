import KVBase
import Testing

@testable import KVRaft

/// Requests for votes and their answers, one by one.
struct VoteTests {
    private func core(_ change: (inout RaftSettings) -> Void = { _ in }) throws -> TestCore {
        TestCore(try TestCluster(3, settings: TestCluster.settings(change))[3].core)
    }

    private func message(_ kind: MessageKind, from: UInt64, term: Term, isRejected: Bool = false) -> Message {
        Message(kind, from: ReplicaID(from), to: ReplicaID(3), term: term, isRejected: isRejected)
    }

    @Test func `who follows a leader gives no other its vote in that term`() throws {
        let host = try core()
        try host.core.step(message(.heartbeat, from: 1, term: 1))
        try host.core.step(message(.vote, from: 2, term: 1))
        #expect(host.core.vote == nil)
        #expect(host.next().messagesAfterPersist.contains { $0.kind == .voteResponse && $0.isRejected })
    }

    @Test func `who gave its vote since the leader was lost does not campaign itself`() throws {
        let host = try core()
        try host.core.step(message(.heartbeat, from: 1, term: 1))
        host.core.leaderConnectionClosed(ReplicaID(1))
        try host.core.step(message(.vote, from: 2, term: 1))
        #expect(host.core.vote == ReplicaID(2))
        host.core.checkInvariants()
        host.core.campaignSoon()
        #expect(host.core.role == .follower)
    }

    @Test func `who heard from the leader again does not campaign`() throws {
        let host = try core()
        try host.core.step(message(.heartbeat, from: 1, term: 1))
        host.core.leaderConnectionClosed(ReplicaID(1))
        #expect(host.next().events.last == .becameFollower(term: 1, leader: nil))
        for events: [RaftEvent] in [[.becameFollower(term: 1, leader: ReplicaID(1))], []] {
            try host.core.step(message(.heartbeat, from: 1, term: 1))
            #expect(host.next().events == events)
        }
        host.core.campaignSoon()
        #expect(host.core.role == .follower)
    }

    @Test func `with leases, too, who hears the leader answers no request for a vote`() throws {
        let host = try core {
            $0.checksQuorum = false
            $0.isLeaseEnabled = true
        }
        try host.core.step(message(.heartbeat, from: 1, term: 1))
        try host.core.step(message(.vote, from: 2, term: 2))
        #expect(host.core.term == 1)
    }

    @Test func `a pre-vote for a term that has begun is not counted`() throws {
        let host = try core()
        try host.core.step(message(.heartbeat, from: 1, term: 4))
        host.core.forgetLeader()
        host.core.campaign()
        #expect(host.core.role == .preCandidate)
        try host.core.step(message(.preVoteResponse, from: 1, term: 4))
        try host.core.step(message(.preVoteResponse, from: 2, term: 4))
        #expect(host.core.role == .preCandidate)
        try host.core.step(message(.preVoteResponse, from: 2, term: 5))
        #expect(host.core.role == .candidate && host.core.term == 5)
    }

    @Test func `who campaigns already does not start over when leadership is handed to it`() throws {
        for preVotes in [true, false] {
            let host = try core { $0.preVotes = preVotes }
            host.core.campaign()
            let (role, term) = (host.core.role, host.core.term)
            try host.core.step(message(.timeoutNow, from: 1, term: max(term, 1)))
            if term > 0 { #expect(host.core.role == role && host.core.term == term) }
            _ = host.next()
        }
    }

    @Test func `the last term there is is not left`() throws {
        for (behind, role) in [(1, Role.follower), (2, .candidate)] as [(UInt64, Role)] {
            let host = TestCore(
                try RaftCore(
                    TestCluster.settings { $0.preVotes = false },
                    restored: RestoredState(
                        replica: ReplicaID(3),
                        hardState: HardState(term: RaftCore.numberMax - behind),
                        configuration: Configuration(voters: (1...3).map { ReplicaID($0) })
                    ),
                    seed: 1
                )
            )
            host.core.campaign()
            #expect(host.core.role == role && host.core.term == RaftCore.numberMax - 1)
        }
    }

    @Test func `a leader of an old term hears of the new one where its group would not end it otherwise`() throws {
        for (checksQuorum, preVotes) in [(true, true), (true, false), (false, true), (false, false)] {
            let host = try core {
                $0.checksQuorum = checksQuorum
                $0.preVotes = preVotes
            }
            host.core.becomeFollower(term: 3, leader: nil)
            try host.core.step(message(.heartbeat, from: 1, term: 2))
            let answers = host.next().messagesAfterPersist
            #expect(answers.map(\.term) == (checksQuorum || preVotes ? [3] : []))
        }
    }

    @Test func `a leader commits by counting only, whatever a candidate tells`() throws {
        let cluster = try TestCluster(3, settings: TestCluster.settings { $0.checksQuorum = false })
        try cluster.elect(1)
        try cluster[1].propose("x")
        try cluster[1].run()
        try cluster[1].core.step(
            Message(
                .preVote,
                from: ReplicaID(2),
                to: ReplicaID(1),
                term: 2,
                logTerm: 1,
                index: 2,
                commit: 2,
                context: 1
            )
        )
        #expect(cluster[1].core.commit == 1)
    }

    @Test func `a campaign that ended by what an answer told does not count the answer`() throws {
        let change = ConfigurationChange(items: [.init(.remove, ReplicaID(2))])
        let host = TestCore(
            try RaftCore(
                TestCluster.settings(),
                restored: RestoredState(
                    replica: ReplicaID(3),
                    hardState: HardState(term: 1),
                    configuration: Configuration(voters: [ReplicaID(2), ReplicaID(3)]),
                    entries: [
                        Entry(index: 1, term: 1, kind: .configuration, time: 0, checksum: 0, payload: change.encoded)
                    ]
                ),
                seed: 1
            )
        )
        host.core.campaign()
        _ = host.next()
        var answer = message(.preVoteResponse, from: 2, term: 1, isRejected: true)
        answer.commit = 1
        answer.context = 1
        try host.core.step(answer)
        #expect(host.core.role == .follower && host.core.commit == 1)
        #expect(host.next().events == [.becameFollower(term: 1, leader: nil)])
    }

    @Test func `a new leader counts itself for what is durable`() throws {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        try cluster[1].propose("x")
        try cluster.settle()
        cluster.cutOff = [ReplicaID(1)]
        for _ in 0..<10 { cluster[3].core.tick() }
        cluster[2].core.campaign()
        for _ in 0..<10 where cluster[2].core.role != .leader {
            try cluster.collect()
            let batch = cluster.messages
            cluster.messages = []
            for message in batch { try cluster.deliver(message) }
        }
        #expect(cluster[2].core.role == .leader)
        #expect(cluster[2].core.progress[1].match == 2)
        #expect(cluster[2].core.progress[1].state == .replicate && cluster[2].core.progress[1].isRecentlyActive)
    }

    @Test func `a leader is forgotten once`() throws {
        let host = try core()
        try host.core.step(message(.heartbeat, from: 1, term: 1))
        let outcomes = (0..<2).map { _ in host.core.forgetLeader() }
        #expect(outcomes == [true, false])
        #expect(host.core.leader == nil && host.core.role == .follower)
    }

    @Test func `a campaign that is refused is tried again an election timeout later, not at each tick`() throws {
        let change = ConfigurationChange(items: [.init(.addVoter, ReplicaID(4))])
        let entry = Entry(index: 1, term: 1, kind: .configuration, time: 0, checksum: 0, payload: change.encoded)
        let host = TestCore(
            try RaftCore(
                TestCluster.settings(),
                restored: RestoredState(
                    replica: ReplicaID(3),
                    hardState: HardState(term: 1, commit: 1),
                    configuration: Configuration(voters: (1...3).map { ReplicaID($0) }),
                    entries: [entry]
                ),
                seed: 1
            )
        )
        for _ in 0..<100 { host.core.tick() }
        let refusals = host.next().events.count { $0 == .campaignRefused(hasUnappliedChange: true) }
        #expect((5...10).contains(refusals))
    }
}
