import KVBase
import Testing

@testable import KVRaft

/// Replicas whose log is whole and whose state is not to be believed.
struct RebuildTests {
    private func group() throws -> TestCluster {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        for number in 0..<5 { try cluster[1].propose("\(number)") }
        try cluster.tick(2)
        return cluster
    }

    @Test func `a replica that is rebuilt gets the log meanwhile, and its acknowledgements count`() throws {
        let cluster = try group()
        let applied = cluster[3].core.applied
        cluster[3].core.beginRebuild()
        // Its own writes are slow: what it acknowledges of before comes after it asked.
        cluster[3].writesAreImmediate = false
        try cluster[1].propose("before")
        try cluster.settle()
        cluster[3].core.askForRebuild()
        try cluster.settle()
        #expect(cluster[1].snapshotsToSend.count == 1)
        #expect(cluster[1].core.progress[2].state == .replicate)
        cluster[3].writesAreImmediate = true
        try cluster[3].finishWrites(cluster[3].writes.count)
        // With the third node gone it is half of the majority.
        cluster.cutOff = [ReplicaID(2)]
        try cluster[1].propose("meanwhile")
        try cluster.settle()
        #expect(cluster[1].texts.last == "meanwhile")

        try cluster.shipSnapshots()
        #expect(!cluster[3].core.isRebuilding)
        #expect(cluster[3].core.applied > applied && cluster[3].core.isPromotable)
        try cluster[1].propose("after")
        try cluster.tick(2)
        #expect(cluster[3].texts == cluster[1].texts)
    }

    @Test func `what tells it that the data is there is sent again when it asks again`() throws {
        let cluster = try group()
        cluster[3].core.beginRebuild()
        cluster[3].core.askForRebuild()
        try cluster.settle()
        cluster[1].flush()
        let data = cluster[1].disk
        cluster[3].arrived[data.applied] = data
        for attempt in 0..<2 {
            cluster[1].core.snapshotDelivered(
                to: ReplicaID(3),
                index: data.applied,
                term: 1,
                configuration: data.configuration
            )
            try cluster.settle(dropping: { $0.kind == .snapshot && attempt == 0 })
            #expect(cluster[3].core.isRebuilding == (attempt == 0))
        }
    }

    @Test func `it leads where nobody else can for long, as its log is what the others lack`() throws {
        let cluster = try group()
        cluster.cutOff = [ReplicaID(2)]
        try cluster[1].propose("only here and there")
        try cluster.tick()
        cluster[3].core.beginRebuild()
        try cluster[1].crash(keeping: 0)
        cluster.cutOff = []
        // Another who could lead would have campaigned by now.
        try cluster.tick(3 * cluster[3].settings.electionTicks)
        #expect(cluster.leader == nil)
        var ticks = 0
        while cluster.leader == nil, ticks < 500 {
            try cluster.tick()
            ticks += 1
        }
        #expect(cluster[3].core.role == .leader)
        try cluster[3].core.transferLeadership(to: ReplicaID(2))
        try cluster.tick(2)
        #expect(cluster[2].core.role == .leader)
        #expect(cluster[2].texts.last == "only here and there")
    }

    @Test func `it does not lead where somebody else can`() throws {
        let cluster = try group()
        #expect(cluster[3].core.isPromotable)
        cluster[3].core.beginRebuild()
        #expect(!cluster[3].core.isPromotable)
        try cluster[1].crash(keeping: 0)
        try cluster.tick(4 * cluster[3].settings.electionTicks)
        #expect(cluster[2].core.role == .leader)
    }
}
