import KVBase
import Testing

@testable import KVRaft

struct MembershipTests {
    private func grow(_ cluster: TestCluster, to count: Int) throws {
        for number in UInt64(cluster.hosts.count + 1)...UInt64(count) {
            cluster.hosts.append(
                try TestHost(ReplicaID(number), settings: TestCluster.settings(), disk: TestDisk(), seed: number)
            )
        }
    }

    private func catchUp(_ cluster: TestCluster) throws {
        for _ in 0..<3 {
            try cluster.tick()
            try cluster.shipSnapshots()
        }
    }

    private func change(_ items: [ConfigurationChange.Item]) -> ConfigurationChange {
        ConfigurationChange(items: items)
    }

    private func leaveJoint(_ cluster: TestCluster) throws {
        for host in cluster.hosts where host.leaveJointWanted && host.core.role == .leader {
            host.leaveJointWanted = false
            try host.propose(.leaveJoint)
        }
        try cluster.settle()
    }

    @Test func `a learner is added, catches up and is promoted`() throws {
        let cluster = try TestCluster(3, isFounded: true)
        try cluster.elect(1)
        try cluster[1].propose("before")
        try cluster.settle()
        try grow(cluster, to: 4)
        try cluster[1].propose(change([.init(.addLearner, ReplicaID(4))]))
        try cluster.settle()
        try catchUp(cluster)
        #expect(cluster[4].texts == ["before"])
        #expect(cluster[1].core.configuration.learners == [ReplicaID(4)])
        try cluster[1].propose(change([.init(.addVoter, ReplicaID(4))]))
        try cluster.settle()
        #expect(cluster.hosts.map(\.core.configuration.voters.count) == [4, 4, 4, 4])
        #expect(cluster[4].core.isPromotable)
    }

    @Test func `a replica is replaced in one joint step that is left by itself`() throws {
        let cluster = try TestCluster(3, isFounded: true)
        try cluster.elect(1)
        try grow(cluster, to: 4)
        cluster.cutOff = [ReplicaID(3)]
        try cluster[1].propose(change([.init(.addVoter, ReplicaID(4)), .init(.remove, ReplicaID(3))]))
        try cluster.settle()
        #expect(cluster[1].core.configuration.isJoint)
        try catchUp(cluster)
        try leaveJoint(cluster)
        #expect(cluster[1].core.configuration == Configuration(voters: [1, 2, 4].map { ReplicaID($0) }))
        #expect(!cluster[1].leaveJointWanted)
    }

    @Test func `a new leader leaves the joint configuration that the old one entered`() throws {
        let cluster = try TestCluster(3, isFounded: true)
        try cluster.elect(1)
        try grow(cluster, to: 5)
        try cluster[1].propose(change([.init(.addVoter, ReplicaID(4)), .init(.addVoter, ReplicaID(5))]))
        try cluster.settle()
        try catchUp(cluster)
        try cluster[1].core.transferLeadership(to: ReplicaID(2))
        try cluster.settle()
        #expect(cluster.leader?.replica == ReplicaID(2))
        #expect(cluster[2].leaveJointWanted)
        try leaveJoint(cluster)
        #expect(cluster[2].core.configuration.voters.count == 5)
        #expect(!cluster[2].core.configuration.isJoint)
    }

    @Test func `in a joint configuration both majorities must commit`() throws {
        let cluster = try TestCluster(3, isFounded: true)
        try cluster.elect(1)
        try grow(cluster, to: 5)
        let joint = ConfigurationChange(
            transition: .jointExplicit,
            items: [
                .init(.addVoter, ReplicaID(4)), .init(.addVoter, ReplicaID(5)), .init(.remove, ReplicaID(2)),
                .init(.remove, ReplicaID(3)),
            ]
        )
        try cluster[1].propose(joint)
        try cluster.settle()
        try catchUp(cluster)
        let index = try cluster[1].propose("both")
        try cluster.settle(dropping: { $0.to == ReplicaID(2) || $0.to == ReplicaID(3) })
        #expect(cluster[1].core.commit < index)
        try catchUp(cluster)
        #expect(cluster[1].core.commit == index)
    }

    /// Found by the chaos tests: the old configuration asks for the vote of one who left with a longer log.
    @Test func `a voter that has not heard of a removal learns of it when it asks the removed one`() throws {
        let cluster = try TestCluster(2, isFounded: true)
        try cluster.elect(2)
        try cluster[2].propose(change([.init(.remove, ReplicaID(2))]))
        try cluster[2].run()
        // It never reaches 1, so 2's log is the longer one for ever.
        try cluster[2].propose("lost with the leader")
        // 1 acknowledges the removal and never hears that it is committed.
        try cluster.settle(dropping: { $0.to == ReplicaID(1) && ($0.commit > 2 || $0.entries.last?.index == 4) })
        #expect(cluster[2].core.configuration.voters == [ReplicaID(1)])
        #expect(!cluster[2].core.isPromotable)
        #expect(cluster[1].core.configuration.voters.count == 2)
        #expect(cluster[1].core.lastIndex < cluster[2].core.lastIndex)
        try cluster.tick(60)
        #expect(cluster.leader?.replica == ReplicaID(1))
        #expect(cluster[1].core.configuration.voters == [ReplicaID(1)])
    }

    @Test func `one change at a time`() throws {
        let cluster = try TestCluster(3, isFounded: true)
        try cluster.elect(1)
        let index = try cluster[1].propose(change([.init(.addLearner, ReplicaID(4))]))
        #expect(throws: RaftError.configurationRefused(.pending(index))) {
            try cluster[1].propose(change([.init(.addLearner, ReplicaID(5))]))
        }
        try cluster.settle()
        #expect(throws: RaftError.configurationRefused(.notJoint)) { try cluster[1].propose(.leaveJoint) }
        #expect(throws: RaftError.configurationRefused(.removesAllVoters)) {
            try cluster[1].propose(
                ConfigurationChange(items: (1...3).map { ConfigurationChange.Item(.remove, ReplicaID($0)) })
            )
        }
        #expect(throws: RaftError.configurationRefused(.undecodable)) {
            try cluster[1].core.propose(
                [ProposedEntry(kind: .configuration, time: 0, payload: [9, 9], group: GroupID(0))])
        }
        // What was refused left nothing behind.
        try cluster[1].propose(change([.init(.addLearner, ReplicaID(5))]))
    }

    @Test func `a removed leader steps down when that is committed, and the others elect another`() throws {
        let cluster = try TestCluster(3, isFounded: true)
        try cluster.elect(1)
        try cluster[1].propose(change([.init(.remove, ReplicaID(1))]))
        try cluster.settle()
        #expect(cluster[1].core.role == .follower)
        #expect(!cluster[1].core.isPromotable)
        try cluster.tick(40)
        let leader = try #require(cluster.leader)
        #expect(leader.replica != ReplicaID(1))
        try leader.propose("without 1")
        try cluster.settle()
        #expect(leader.texts == ["without 1"])
        #expect(cluster[1].texts.isEmpty)
    }

    @Test func `what a removed replica answers does not end the leader's term`() throws {
        let cluster = try TestCluster(3, isFounded: true)
        try cluster.elect(1)
        try cluster[1].propose(change([.init(.remove, ReplicaID(3))]))
        try cluster.settle()
        for kind: MessageKind in [.appendResponse, .heartbeatResponse, .voteResponse, .preVoteResponse] {
            #expect(throws: RaftError.unknownPeer(ReplicaID(3))) {
                try cluster[1].core.step(Message(kind, from: ReplicaID(3), to: ReplicaID(1), term: 9, isRejected: true))
            }
        }
        #expect(cluster[1].core.role == .leader)
        #expect(cluster[1].core.term == 1)
    }

    @Test func `a replica that knows no configuration takes no entries, and says that it has nothing`() throws {
        let host = try TestHost(ReplicaID(4), settings: TestCluster.settings(), disk: TestDisk(), seed: 1)
        let change = ConfigurationChange(items: [.init(.addVoter, ReplicaID(4))])
        let entry = Entry(index: 1, term: 1, kind: .configuration, time: 0, checksum: 0, payload: change.encoded)
        try host.core.step(
            Message(.append, from: ReplicaID(1), to: ReplicaID(4), term: 1, commit: 1, entries: [entry])
        )
        try host.run()
        #expect(host.core.log.lastIndex == 0)
        #expect(host.core.configuration.voters.isEmpty)
        #expect(!host.core.isPromotable)
    }

    @Test func `a group shrinks to one voter and commits alone what waits`() throws {
        let cluster = try TestCluster(2)
        try cluster.elect(1)
        try cluster[1].propose(change([.init(.remove, ReplicaID(2))]))
        try cluster.settle()
        cluster[2].isDown = true
        try cluster[1].propose("alone")
        try cluster[1].core.readIndex(context: 3)
        try cluster.settle()
        #expect(cluster[1].texts == ["alone"])
        #expect(cluster[1].ready.map(\.context) == [3])
    }

    @Test func `configurations and changes survive their bytes, and no bytes trap`() throws {
        let configuration = Configuration(
            voters: [1, 2, 300].map { ReplicaID($0) },
            outgoing: [1, 7].map { ReplicaID($0) },
            learners: [ReplicaID(.max)],
            learnersNext: [ReplicaID(7)],
            leavesAutomatically: true
        )
        #expect(try Configuration(decoding: configuration.encoded) == configuration)
        let change = ConfigurationChange(
            transition: .jointExplicit,
            items: [.init(.addVoter, ReplicaID(1)), .init(.update, ReplicaID(900))],
            context: [1, 2, 3]
        )
        #expect(try ConfigurationChange(decoding: change.encoded) == change)
        var generator = TestGenerator(seed: 1)
        for encoded in [configuration.encoded, change.encoded] {
            for length in 0..<encoded.count {
                #expect(throws: DecodingError.self) { try Configuration(decoding: Array(encoded.prefix(length))) }
                #expect(throws: DecodingError.self) { try ConfigurationChange(decoding: Array(encoded.prefix(length))) }
            }
            for _ in 0..<2_000 {
                var damaged = encoded
                damaged[Int.random(in: 0..<damaged.count, using: &generator)] = UInt8.random(
                    in: 0...255,
                    using: &generator
                )
                _ = try? Configuration(decoding: damaged)
                _ = try? ConfigurationChange(decoding: damaged)
            }
        }
    }

    private func enterJoint(_ cluster: TestCluster, _ items: [ConfigurationChange.Item]) throws {
        try cluster[1].propose(ConfigurationChange(transition: .jointAutomatic, items: items))
        try cluster.settle()
        #expect(cluster[1].core.configuration.isJoint)
    }

    @Test func `the host is asked at once to leave each joint configuration, and again by each leader`() throws {
        let cluster = try TestCluster(3, isFounded: true)
        try cluster.elect(1)
        for _ in 0..<2 {
            try enterJoint(cluster, [.init(.update, ReplicaID(2))])
            #expect(cluster[1].leaveJointWanted)
            try leaveJoint(cluster)
            #expect(!cluster[1].core.configuration.isJoint)
        }
        try enterJoint(cluster, [.init(.update, ReplicaID(2))])
        for number: UInt64 in [2, 1] {
            for host in cluster.hosts { host.leaveJointWanted = false }
            try cluster[3 - number].core.transferLeadership(to: ReplicaID(number))
            try cluster.settle()
            #expect(cluster.leader?.replica == ReplicaID(number))
            #expect(cluster[number].leaveJointWanted)
        }
    }

    @Test func `a configuration that is not joint is not left, whatever it says`() throws {
        let cluster = try TestCluster(1)
        cluster[1].core.tracker.adopt(
            Configuration(voters: [ReplicaID(1)], leavesAutomatically: true),
            lastIndex: 0,
            settings: cluster[1].settings
        )
        try cluster.elect(1)
        #expect(cluster[1].core.role == .leader && !cluster[1].leaveJointWanted)
    }

    @Test func `on top of no configuration no change takes effect`() throws {
        let payload = change([.init(.addVoter, ReplicaID(4))]).encoded
        let entry = Entry(index: 1, term: 1, kind: .configuration, time: 0, checksum: 0, payload: payload)
        var core = try RaftCore(
            TestCluster.settings(),
            restored: RestoredState(
                replica: ReplicaID(4),
                hardState: HardState(term: 1, commit: 1),
                configuration: Configuration(),
                entries: [entry]
            ),
            seed: 1
        )
        var effects = Effects()
        core.takeEffects(into: &effects)
        #expect(effects.entriesToApply == [entry])
        #expect(throws: RaftError.configurationRefused(.noVoterToStartFrom)) { try core.applyConfiguration(entry) }
    }

    @Test func `where changes are not checked when they are proposed, they are refused when they are applied`() throws {
        let cluster = try TestCluster(3, settings: TestCluster.settings { $0.validatesChanges = false })
        try cluster.elect(1)
        try cluster[1].propose(.leaveJoint)
        try cluster[1].propose("after")
        try cluster.settle()
        #expect(cluster.hosts.allSatisfy { $0.texts == ["after"] && $0.core.configuration.voters.count == 3 })
    }

    @Test func `a change that waits is named by its index, wherever it stands among what was proposed`() throws {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        func proposed(_ kind: EntryKind, _ payload: [UInt8]) -> ProposedEntry {
            ProposedEntry(kind: kind, time: 0, payload: payload, group: GroupID(0))
        }
        let addition = proposed(.configuration, change([.init(.addLearner, ReplicaID(4))]).encoded)
        let command = proposed(.commands, [1])
        #expect(throws: RaftError.configurationRefused(.pending(4))) {
            try cluster[1].core.propose([command, command, addition, addition])
        }
        let first = try cluster[1].core.propose([command, command, addition, command]).first
        #expect(throws: RaftError.configurationRefused(.pending(first + 2))) {
            try cluster[1].core.propose([addition])
        }
        try cluster.settle()
        #expect(cluster[1].core.configuration.learners == [ReplicaID(4)])
    }

    @Test func `which changes enter a joint configuration, and which leave it by themselves`() {
        let one = ConfigurationChange.Item(.addVoter, ReplicaID(4))
        let cases: [(ConfigurationChange.Transition, Int, enters: Bool, leaves: Bool)] = [
            (.automatic, 1, false, false), (.automatic, 2, true, true), (.jointAutomatic, 1, true, true),
            (.jointAutomatic, 2, true, true), (.jointExplicit, 1, true, false), (.jointExplicit, 2, true, false),
            (.jointExplicit, 0, true, false), (.automatic, 0, false, false),
        ]
        for (transition, count, enters, leaves) in cases {
            let change = ConfigurationChange(transition: transition, items: Array(repeating: one, count: count))
            #expect(change.entersJoint == enters && change.leavesAutomatically == leaves, "\(change)")
            #expect(change.leavesJoint == (transition == .automatic && count == 0))
        }
    }

    /// Groups start cut at index 1, so theirs get a snapshot sooner; this one's log goes back to its first entry.
    @Test func `a newcomer that knows nothing gets a snapshot, once`() throws {
        let cluster = try TestCluster(2)
        try cluster.elect(1)
        try cluster[1].propose("before")
        try cluster.settle()
        try grow(cluster, to: 3)
        var refusals: [Message] = []
        try cluster[1].propose(change([.init(.addLearner, ReplicaID(3))]))
        try cluster.settle(dropping: { message in
            if message.isRejected { refusals.append(message) }
            return false
        })
        for _ in 0..<2 {
            for host in cluster.hosts { host.core.tick() }
            try cluster.settle(dropping: { message in
                if message.isRejected { refusals.append(message) }
                return false
            })
        }
        #expect(cluster[1].snapshotsToSend.map(\.replica) == [ReplicaID(3)])
        try cluster.shipSnapshots()
        #expect(cluster[3].texts == ["before"])
        // A refusal that was long on its way.
        let late = try #require(refusals.first { $0.index == 0 })
        try cluster.deliver(late)
        try cluster.settle()
        #expect(cluster[1].snapshotsToSend.isEmpty)
        #expect(cluster[1].core.progress[2].state == .replicate)
    }

    @Test func `no snapshot is asked for before anything is applied`() throws {
        let cluster = try TestCluster(3)
        cluster[1].writesAreImmediate = false
        try cluster.elect(1)
        try cluster[1].finishWrites(1)
        #expect(cluster[1].core.role == .leader && cluster[1].core.applied == 0)
        cluster[1].core.tracker[1].isRecentlyActive = true
        cluster[1].core.askForSnapshot(1)
        cluster[1].core.askForRebuild(1)
        #expect(cluster[1].core.output.snapshotsToSend.isEmpty)
    }

    @Test func `bytes of another version, or too many, say no configuration`() {
        let encoded = Configuration(voters: [ReplicaID(1)]).encoded
        #expect(throws: DecodingError.self) { try Configuration(decoding: encoded + [0]) }
        #expect(throws: DecodingError.self) { try Configuration(decoding: [encoded[0] + 1] + encoded.dropFirst()) }
        #expect(throws: DecodingError.self) { try Configuration(decoding: [encoded[0], 2] + encoded.dropFirst(2)) }
    }

    @Test func `a read that waits for one who leaves is ready when it has left`() throws {
        let cluster = try TestCluster(2)
        try cluster.elect(1)
        try cluster[1].propose(change([.init(.remove, ReplicaID(2))]))
        try cluster[1].core.readIndex(context: 3)
        try cluster.settle(dropping: { $0.kind == .heartbeatResponse })
        #expect(cluster[1].core.configuration.voters == [ReplicaID(1)])
        #expect(cluster[1].ready.map(\.context) == [3])
    }

    @Test func `what waits for one who leaves is committed when it has left`() throws {
        let cluster = try TestCluster(2)
        try cluster.elect(1)
        try cluster[1].propose(change([.init(.remove, ReplicaID(2))]))
        let index = try cluster[1].propose("waiting")
        try cluster.settle(dropping: { $0.to == ReplicaID(2) && $0.entries.last?.index == index })
        #expect(cluster[1].core.configuration.voters == [ReplicaID(1)])
        #expect(cluster[1].texts == ["waiting"])
    }
}
