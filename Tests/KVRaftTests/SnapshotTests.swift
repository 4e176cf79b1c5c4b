import KVBase
import Testing

@testable import KVRaft

struct SnapshotTests {
    private func laggingGroup() throws -> TestCluster {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        cluster.cutOff = [ReplicaID(3)]
        for number in 0..<10 { try cluster[1].propose("\(number)") }
        try cluster.settle()
        cluster[1].flush()
        cluster[1].cutLog(through: cluster[1].core.applied)
        cluster.cutOff = []
        try cluster.tick(2)
        return cluster
    }

    @Test func `a follower that needs what is cut gets a snapshot and then follows again`() throws {
        let cluster = try laggingGroup()
        #expect(cluster[1].core.progress[2].state == .snapshot)
        #expect(cluster[1].snapshotsToSend == [SnapshotRequest(replica: ReplicaID(3), atLeast: 11)])
        try cluster.shipSnapshots()
        #expect(cluster[3].texts == cluster[1].texts)
        #expect(cluster[3].core.firstIndex == 12)
        #expect(cluster[1].core.progress[2].state == .replicate)
        try cluster[1].propose("more")
        try cluster.settle()
        #expect(cluster[3].texts.last == "more")
        try cluster[3].crash(keeping: 0)
        try cluster[3].restart(seed: 4, evicting: 0)
        #expect(cluster[3].core.applied == 11)
    }

    @Test func `no snapshot is made for a follower that is not there`() throws {
        let cluster = try TestCluster(3)
        cluster.cutOff = [ReplicaID(3)]
        try cluster.elect(1)
        try cluster.tick(12)
        cluster[1].flush()
        cluster[1].cutLog(through: cluster[1].core.applied)
        try cluster[1].propose("x")
        try cluster.tick(12)
        #expect(cluster[1].snapshotsToSend.isEmpty)
        #expect(!cluster[1].core.hasEffects)
    }

    @Test func `the message that tells of a snapshot is repeated until it is answered`() throws {
        let cluster = try laggingGroup()
        let data = cluster[1].disk
        cluster[1].snapshotsToSend = []
        cluster[3].arrived[data.applied] = data
        cluster[1].core.snapshotDelivered(
            to: ReplicaID(3),
            index: data.applied,
            term: 1,
            configuration: data.configuration
        )
        try cluster.settle(dropping: { $0.kind == .snapshot })
        #expect(cluster[3].texts.isEmpty)
        try cluster.tick(1)
        #expect(cluster[3].texts == cluster[1].texts)
    }

    /// Found by the chaos tests.
    @Test func `a follower whose snapshot was too old when it arrived gets another`() throws {
        let cluster = try laggingGroup()
        let old = cluster[1].disk
        let configuration = cluster[1].core.configuration
        cluster[1].snapshotsToSend = []
        try cluster[1].propose("meanwhile")
        try cluster.settle()
        cluster[1].flush()
        cluster[1].cutLog(through: cluster[1].core.applied)
        cluster[3].arrived[old.applied] = old
        cluster[1].core.snapshotDelivered(to: ReplicaID(3), index: old.applied, term: 1, configuration: configuration)
        try cluster.settle()
        #expect(cluster[3].core.applied == old.applied)
        #expect(cluster[1].snapshotsToSend == [SnapshotRequest(replica: ReplicaID(3), atLeast: 12)])
        try cluster.shipSnapshots()
        #expect(cluster[3].texts == cluster[1].texts)
    }

    @Test func `a snapshot that failed is asked for again`() throws {
        let cluster = try laggingGroup()
        cluster[1].snapshotsToSend = []
        cluster[1].core.reportSnapshotFailed(ReplicaID(3))
        #expect(cluster[1].core.progress[2].state == .probe)
        try cluster.tick(2)
        #expect(cluster[1].snapshotsToSend.count == 1)
        // The follower's host cannot use it: its core tells the leader's.
        cluster[1].snapshotsToSend = []
        cluster[1].core.snapshotDelivered(
            to: ReplicaID(3),
            index: 11,
            term: 1,
            configuration: cluster[1].core.configuration
        )
        try cluster.settle()
        #expect(cluster[1].core.progress[2].state == .probe)
        try cluster.tick(2)
        try cluster.shipSnapshots()
        #expect(cluster[3].texts == cluster[1].texts)
    }

    @Test func `an old snapshot, or one whose last entry the log holds, is not installed`() throws {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        try cluster[1].propose("a")
        try cluster.settle()
        try cluster[1].propose("b")
        try cluster.settle(dropping: { $0.kind == .appendResponse })
        let configuration = cluster[1].core.configuration
        for index: LogIndex in [1, 3] {
            try cluster.deliver(
                Message(
                    .snapshot,
                    from: ReplicaID(1),
                    to: ReplicaID(2),
                    term: 1,
                    logTerm: 1,
                    index: index,
                    configuration: configuration.encoded
                )
            )
            cluster[2].core.takeEffects(into: &cluster[2].effects)
            #expect(cluster[2].effects.snapshotToInstall == nil)
            #expect(cluster[2].effects.messagesNow.last?.index == max(index, 2))
        }
        #expect(cluster[2].core.commit == 3)
    }

    @Test func `nothing is applied and nobody campaigns while a snapshot is being installed`() throws {
        let cluster = try TestCluster(3)
        let host = cluster[3]
        let offered = Configuration(voters: (1...4).map { ReplicaID($0) })
        try host.core.step(
            Message(
                .snapshot,
                from: ReplicaID(1),
                to: ReplicaID(3),
                term: 2,
                logTerm: 2,
                index: 9,
                configuration: offered.encoded
            )
        )
        host.core.takeEffects(into: &host.effects)
        #expect(host.effects.snapshotToInstall?.index == 9)
        host.core.campaign()
        #expect(host.core.role == .follower)
        host.core.snapshotInstalled()
        host.core.checkInvariants()
        #expect(host.core.applied == 9)
        #expect(host.core.lastIndex == 9)
        #expect(host.core.term(at: 9) == 2)
        #expect(host.core.configuration == offered)
    }

    @Test func `only what is applied can be cut`() throws {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        cluster[1].core.cutLog(through: 99)
        #expect(cluster[1].core.firstIndex == 2)
        #expect(cluster[1].core.term(at: 0) == nil)
        #expect(cluster[1].core.term(at: 1) == 1)
    }

    /// The follower had the snapshot from elsewhere and acknowledged it before this leader's host reported it sent.
    @Test func `a follower that acknowledged too old a snapshot before it was reported gets another`() throws {
        let cluster = try laggingGroup()
        let leader = cluster[1]
        let configuration = leader.core.configuration
        leader.snapshotsToSend = []
        for text in ["a", "b", "c"] { try leader.propose(text) }
        try cluster.settle(dropping: { $0.to == ReplicaID(3) })
        leader.flush()
        leader.cutLog(through: leader.core.applied)
        func acknowledge() throws {
            try cluster.deliver(Message(.appendResponse, from: ReplicaID(3), to: ReplicaID(1), term: 1, index: 12))
        }
        try acknowledge()
        #expect(leader.core.progress[2].state == .snapshot && leader.core.progress[2].match == 12)
        // One that is older than what it acknowledged changes nothing about what it needs.
        leader.core.snapshotDelivered(to: ReplicaID(3), index: 11, term: 1, configuration: configuration)
        leader.core.checkInvariants()
        #expect(leader.core.progress[2].next == 13 && leader.core.progress[2].pendingSnapshot == 11)
        leader.core.snapshotDelivered(to: ReplicaID(3), index: 12, term: 1, configuration: configuration)
        #expect(leader.core.progress[2].pendingSnapshot == 12)
        // A later one than was asked for: what follows it is sent next.
        var later = leader.core
        later.snapshotDelivered(to: ReplicaID(3), index: 14, term: 1, configuration: configuration)
        #expect(later.progress[2].next == 15 && later.progress[2].pendingSnapshot == 14)
        try acknowledge()
        try leader.run()
        #expect(leader.snapshotsToSend == [SnapshotRequest(replica: ReplicaID(3), atLeast: 14)])
    }
}
