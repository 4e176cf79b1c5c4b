import KVBase
import Testing

@testable import KVRaft

/// How long a host that has nothing else to do may let a core alone.
struct TicksUntilDueTests {
    private func cluster(heartbeatTicks: Int) throws -> TestCluster {
        let settings = TestCluster.settings {
            $0.heartbeatTicks = heartbeatTicks
            $0.electionTicks = 20
            $0.tellsCommitAtTicks = true
        }
        let cluster = try TestCluster(3, settings: settings)
        try cluster.elect(1)
        try cluster.tick(2)
        return cluster
    }

    @Test(arguments: [1, 3, 5, 7])
    func `nothing happens with the ticks before, and something with the one that is due`(_ heartbeatTicks: Int) throws {
        let cluster = try cluster(heartbeatTicks: heartbeatTicks)
        for number: UInt64 in [1, 2] {
            for _ in 0..<6 {
                var core = cluster[number].core
                let due = core.ticksUntilDue
                #expect(
                    due
                        == (number == 1
                            ? heartbeatTicks - core.heartbeatElapsed : core.electionTimeout - core.electionElapsed - 1)
                )
                for passed in 1..<max(2, due) where passed < due {
                    core.tick()
                    #expect(!core.hasEffects, "with tick \(passed) of \(due)")
                    #expect(core.ticksUntilDue == due - passed)
                }
                core.tick()
                // A follower is left the last tick for what may wait in its sockets.
                #expect(core.hasEffects == (number == 1))
                #expect(core.ticksUntilDue >= 1)
                if number == 2 {
                    #expect(core.ticksUntilDue == 1)
                    core.tick()
                    #expect(core.hasEffects)
                }
                try cluster.tick()
            }
        }
    }

    @Test func `a leader that hears nobody is due before it looks at its quorum`() throws {
        let cluster = try cluster(heartbeatTicks: 19)
        var core = cluster[1].core
        core.electionElapsed = 15
        core.heartbeatElapsed = 0
        #expect(core.ticksUntilDue == 4)
    }

    @Test func `a leader with nothing to tell is heard of less often, and as often as ever once it has`() throws {
        let settings = TestCluster.settings {
            $0.heartbeatTicks = 2
            $0.restingHeartbeatTicks = 4
            $0.electionTicks = 20
        }
        let cluster = try TestCluster(3, settings: settings)
        try cluster.elect(1)
        try cluster.tick(4)

        func ticksToHeartbeat(_ core: RaftCore) -> Int {
            var core = core
            core.heartbeatElapsed = 0
            #expect(core.ticksUntilDue <= 4)
            let due = core.ticksUntilDue
            for passed in 1...8 {
                core.tick()
                if core.hasEffects { return passed == due ? passed : -passed }
            }
            return 0
        }
        #expect(ticksToHeartbeat(cluster[1].core) == 4)

        var core = cluster[1].core
        try core.readIndex(context: 7)
        var effects = Effects()
        while core.takeEffects(into: &effects) {}
        #expect(ticksToHeartbeat(core) == 2, "a read waits for answers")

        try cluster[1].propose("a")
        try cluster.settle()
        #expect(cluster[1].core.commit == cluster[1].core.lastIndex)
        #expect(ticksToHeartbeat(cluster[1].core) == 4)

        try cluster[1].propose("b")
        try cluster.settle { $0.to == ReplicaID(3) }
        #expect(ticksToHeartbeat(cluster[1].core) == 2, "one lags behind")
    }

    @Test func `a heartbeat goes earlier with another group's, where half of its time is over`() throws {
        let settings = TestCluster.settings {
            $0.heartbeatTicks = 8
            $0.electionTicks = 40
        }
        let cluster = try TestCluster(3, settings: settings)
        try cluster.elect(1)
        try cluster.tick(8)
        func hastened(_ number: UInt64, elapsed: Int, to ticks: Int) -> Int? {
            var core = cluster[number].core
            core.heartbeatElapsed = elapsed
            core.hastenHeartbeat(toTick: ticks)
            return core.ticksUntilHeartbeat
        }
        #expect(hastened(1, elapsed: 3, to: 1) == 1)
        #expect(hastened(1, elapsed: 2, to: 1) == 6)
        #expect(hastened(1, elapsed: 2, to: 2) == 2)
        #expect(hastened(1, elapsed: 7, to: 5) == 1)
        #expect(hastened(1, elapsed: 0, to: 3) == 8)
        #expect(hastened(2, elapsed: 7, to: 1) == nil)
        #expect(cluster[2].core.heartbeatElapsed == 0)
    }

    @Test func `a commit that followers were not told of is not left alone`() throws {
        let cluster = try cluster(heartbeatTicks: 5)
        #expect(!cluster[1].core.hasUntoldCommit && !cluster[2].core.hasUntoldCommit)
        try cluster[1].propose("a")
        try cluster.settle()
        #expect(cluster[1].core.hasUntoldCommit)
        try cluster.tick()
        #expect(!cluster[1].core.hasUntoldCommit)
        #expect(cluster[2].core.commit == cluster[1].core.commit)
    }
}
