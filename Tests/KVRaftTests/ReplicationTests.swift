import KVBase
import Testing

@testable import KVRaft

struct ReplicationTests {
    @Test func `what is proposed reaches every replica in order`() throws {
        let cluster = try TestCluster(3, learners: 1)
        try cluster.elect(1)
        for text in ["a", "b", "c"] { try cluster[1].propose(text) }
        try cluster.settle()
        #expect(cluster.hosts.allSatisfy { $0.texts == ["a", "b", "c"] })
    }

    @Test func `only the leader takes proposals, others name it`() throws {
        let cluster = try TestCluster(3)
        #expect(throws: RaftError.notLeader(nil)) { try cluster[2].propose("x") }
        try cluster.elect(1)
        #expect(throws: RaftError.notLeader(ReplicaID(1))) { try cluster[2].propose("x") }
    }

    @Test func `several entries proposed at once travel in one message`() throws {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        let entries = (0..<5).map {
            ProposedEntry(kind: .commands, time: 9, payload: [UInt8($0)], group: GroupID(0))
        }
        let (first, term) = try cluster[1].core.propose(entries)
        #expect(first == 2 && term == 1)
        try cluster[1].run()
        let appends = cluster[1].outbox.filter { $0.kind == .append && $0.to == ReplicaID(2) }
        #expect(appends.map(\.entries.count) == [5])
        #expect(cluster[1].core.lastTime == 9)
    }

    @Test func `appends are sent before the leader's own write is durable, and committed without it`() throws {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        cluster[1].writesAreImmediate = false
        let index = try cluster[1].propose("fast")
        try cluster.settle()
        // Two followers are a quorum without the leader.
        #expect(cluster[1].core.commit == index)
        #expect(cluster[2].core.commit == index)
        #expect(cluster[1].texts.isEmpty)
        #expect(cluster[2].texts == ["fast"])
        try cluster[1].finishWrites(1)
        try cluster.settle()
        #expect(cluster[1].texts == ["fast"])
    }

    @Test func `an acknowledgement waits for the sync, also that of a repeated append`() throws {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        cluster.cutOff = [ReplicaID(3)]
        cluster[2].writesAreImmediate = false
        let index = try cluster[1].propose("x")
        try cluster[1].run()
        let append = try #require(cluster[1].outbox.last { $0.kind == .append && $0.to == ReplicaID(2) })
        try cluster.settle()
        try cluster.deliver(append)
        try cluster.settle()
        #expect(cluster[1].core.commit < index)
        try cluster[2].finishWrites(1)
        try cluster.settle()
        #expect(cluster[1].core.commit == index)
    }

    @Test func `the window bounds appends on their way in number and in bytes`() throws {
        for settings in [
            TestCluster.settings { $0.inflightMessagesMax = 3 },
            TestCluster.settings { $0.inflightBytesMax = 3 * (100 + Entry.overhead) },
        ] {
            let cluster = try TestCluster(3, settings: settings)
            try cluster.elect(1)
            let text = String(repeating: "x", count: 100)
            for _ in 0..<10 { try cluster[1].propose(text) }
            try cluster[1].run()
            #expect(cluster[1].outbox.filter { $0.to == ReplicaID(2) && !$0.entries.isEmpty }.count == 3)
            #expect(cluster[1].core.progress[1].isInflightFull)
            try cluster.settle()
            #expect(cluster[2].texts.count == 10)
        }
    }

    @Test func `a message carries no more bytes than allowed, but always one entry`() throws {
        let cluster = try TestCluster(3, settings: TestCluster.settings { $0.messageBytesMax = 300 })
        try cluster.elect(1)
        let texts = [10, 100, 100, 1_000, 10, 10].map { String(repeating: "x", count: $0) }
        _ = try cluster[1].core.propose(
            texts.map { ProposedEntry(kind: .commands, time: 0, payload: Array($0.utf8), group: GroupID(0)) }
        )
        try cluster[1].run()
        var appends = cluster[1].outbox.filter { $0.kind == .append && $0.to == ReplicaID(2) }
        try cluster.settle(dropping: { message in
            if message.kind == .append, message.to == ReplicaID(2) { appends.append(message) }
            return false
        })
        #expect(appends.allSatisfy { $0.entries.count <= 1 || $0.entries.reduce(0) { $0 + $1.size } <= 300 })
        #expect(cluster[2].texts == texts)
    }

    @Test func `too many uncommitted bytes are refused, and taken again when some are committed`() throws {
        let cluster = try TestCluster(3, settings: TestCluster.settings { $0.uncommittedBytesMax = 1_000 })
        try cluster.elect(1)
        #expect(cluster[1].core.uncommittedByteCount == 0)
        let text = String(repeating: "x", count: 600)
        try cluster[1].propose(text)
        #expect(throws: RaftError.overloaded) { try cluster[1].propose(text) }
        try cluster.settle()
        #expect(cluster[1].core.uncommittedByteCount == 0)
        // Alone, even an entry above the bound is taken.
        try cluster[1].propose(String(repeating: "y", count: 5_000))
    }

    @Test func `a proposal of nothing is refused, and one that fills the bound exactly is taken`() throws {
        let size = 100 + Entry.overhead
        let cluster = try TestCluster(3, settings: TestCluster.settings { $0.uncommittedBytesMax = 2 * size })
        try cluster.elect(1)
        #expect(throws: RaftError.self) { try cluster[1].core.propose([]) }
        let text = String(repeating: "x", count: 100)
        try cluster[1].propose(text)
        try cluster[1].propose(text)
        #expect(cluster[1].core.uncommittedByteCount == 2 * size)
        #expect(throws: RaftError.overloaded) { try cluster[1].propose("") }
    }

    @Test func `a lost append is found by the next heartbeat`() throws {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        try cluster[1].propose("lost on the way")
        try cluster.settle(dropping: { $0.kind == .append && $0.to == ReplicaID(3) })
        #expect(cluster[3].texts.isEmpty)
        try cluster.tick(2)
        #expect(cluster[3].texts == ["lost on the way"])
    }

    @Test func `one probe settles a whole term of differing entries`() throws {
        let cluster = try TestCluster(
            3,
            settings: TestCluster.settings {
                $0.preVotes = false
                $0.checksQuorum = false
            }
        )
        try cluster.elect(1)
        cluster.cutOff = [ReplicaID(2), ReplicaID(3)]
        for number in 0..<50 { try cluster[1].propose("never \(number)") }
        try cluster.settle()
        cluster.cutOff = [ReplicaID(1)]
        try cluster.elect(2)
        try cluster[2].propose("ever")
        try cluster.settle()
        cluster.cutOff = []
        var refusals = 0
        for _ in 0..<3 {
            for host in cluster.hosts { host.core.tick() }
            try cluster.settle(dropping: { message in
                if message.kind == .appendResponse, message.isRejected { refusals += 1 }
                return false
            })
        }
        #expect(refusals <= 1)
        #expect(cluster[1].texts == ["ever"])
    }

    @Test func `an append that brings nothing new is acknowledged as well`() throws {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        try cluster[1].propose("a")
        try cluster[1].run()
        let append = try #require(cluster[1].outbox.last { $0.kind == .append && $0.to == ReplicaID(2) })
        try cluster.settle()
        #expect(!cluster[2].core.hasEffects)
        try cluster.deliver(append)
        #expect(cluster[2].core.hasEffects)
        try cluster[2].run()
        #expect(cluster[2].outbox.map(\.kind) == [.appendResponse])
    }

    @Test func `a late append does not cut off newer entries`() throws {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        try cluster[1].propose("a")
        try cluster[1].run()
        let old = try #require(cluster[1].outbox.last { $0.kind == .append && $0.to == ReplicaID(2) })
        try cluster[1].propose("b")
        try cluster.settle()
        let last = cluster[2].core.lastIndex
        try cluster.deliver(old)
        #expect(cluster[2].core.lastIndex == last)
    }

    @Test func `a follower commits no further than the append at hand confirmed`() throws {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        // An entry of this leader's that a newer one will not have.
        let host = cluster[2]
        try host.core.step(
            Message(
                .append,
                from: ReplicaID(1),
                to: ReplicaID(2),
                term: 1,
                logTerm: 1,
                index: 1,
                commit: 1,
                entries: [Entry(index: 2, term: 1, kind: .commands, time: 0, checksum: 0, payload: [])]
            )
        )
        // The newer one knows 2 to be committed, in another form, and probes at 1.
        try host.core.step(
            Message(.append, from: ReplicaID(3), to: ReplicaID(2), term: 2, logTerm: 1, index: 1, commit: 2)
        )
        #expect(host.core.commit == 1)
    }

    @Test func `entries that left memory are read from disk to be sent and applied`() throws {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        cluster.cutOff = [ReplicaID(3)]
        for number in 0..<20 { try cluster[1].propose("\(number)") }
        try cluster.settle()
        cluster[1].core.evict(through: cluster[1].core.applied)
        #expect(cluster[1].core.firstInMemory == cluster[1].core.applied + 1)
        cluster.cutOff = []
        try cluster.tick(12)
        #expect(cluster[3].texts == cluster[1].texts)
        // A replica that starts with most of its log on disk only applies it from there.
        try cluster[3].crash(keeping: 0)
        try cluster[3].restart(seed: 5, evicting: 15)
        #expect(cluster[3].texts.isEmpty)
        try cluster.tick(3)
        #expect(cluster[3].texts == cluster[1].texts)
    }

    @Test func `an unreachable follower is probed instead of sent ahead to`() throws {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        #expect(cluster[1].core.progress[1].state == .replicate)
        cluster[1].core.reportUnreachable(ReplicaID(2))
        #expect(cluster[1].core.progress[1].state == .probe)
        try cluster.tick(1)
        #expect(cluster[1].core.progress[1].state == .replicate)
    }
}

struct DurabilityTests {
    @Test func `the report of a write does not make durable what was rewritten since`() throws {
        let follower = try TestCluster(3)[1]
        follower.writesAreImmediate = false
        func entry(_ index: LogIndex, _ term: Term) -> Entry {
            Entry(index: index, term: term, kind: .commands, time: 0, checksum: 0, payload: [UInt8(term)])
        }
        func append(_ term: Term, _ entries: [Entry]) throws {
            try follower.core.step(
                Message(
                    .append,
                    from: ReplicaID(term == 3 ? 3 : 2),
                    to: ReplicaID(1),
                    term: term,
                    index: (entries.first?.index ?? 1) - 1,
                    entries: entries
                )
            )
            try follower.run()
        }
        try append(2, [entry(1, 2)])
        try append(3, [entry(1, 3)])
        // A later leader brings the first form back: index and term are those of the first write again.
        try append(4, [entry(1, 2), entry(2, 4)])
        let tickets = follower.writes.map(\.ticket)
        #expect(tickets.count == 3)
        follower.core.persisted(ticket: tickets[0])
        #expect(follower.core.durableIndex == 0)
        follower.core.persisted(ticket: tickets[1])
        #expect(follower.core.durableIndex == 0)
        follower.core.persisted(ticket: tickets[2])
        #expect(follower.core.durableIndex == 2)
        #expect(follower.core.term(at: 1) == 2)
    }

    @Test func `a vote is told only when it is durable, and survives a crash`() throws {
        let cluster = try TestCluster(3, settings: TestCluster.settings { $0.preVotes = false })
        cluster[2].writesAreImmediate = false
        cluster.cutOff = [ReplicaID(3)]
        try cluster.elect(1)
        #expect(cluster[1].core.role == .candidate)
        try cluster[2].finishWrites(1)
        try cluster.settle()
        #expect(cluster[1].core.role == .leader)
        try cluster[2].crash(keeping: 0)
        try cluster[2].restart(seed: 1, evicting: 0)
        #expect(cluster[2].core.vote == ReplicaID(1))
    }

    @Test func `one report covers all writes before it`() throws {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        let host = cluster[1]
        host.writesAreImmediate = false
        for text in ["a", "b", "c"] {
            try host.propose(text)
            try host.run()
        }
        #expect(host.writes.count == 3)
        let before = host.core.durableIndex
        host.core.persisted(ticket: try #require(host.writes.last).ticket)
        #expect(host.core.durableIndex == before + 3)
    }

    @Test func `a commit alone causes no write`() throws {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        let follower = cluster[2]
        follower.writesAreImmediate = false
        let index = try cluster[1].propose("x")
        try cluster.settle()
        #expect(follower.writes.map(\.entries.count).reduce(0, +) == 1)
        try follower.finishWrites(follower.writes.count)
        try cluster.settle()
        try cluster.tick(3)
        #expect(follower.core.commit == index)
        #expect(follower.writes.isEmpty)
    }

    @Test func `what does not fit together on disk is refused`() throws {
        func start(_ change: (inout RestoredState) -> Void) throws(RaftError) {
            var state = RestoredState(
                replica: ReplicaID(1),
                hardState: HardState(term: 3, commit: 2),
                configuration: Configuration(voters: [ReplicaID(1)]),
                entries: (1...3).map {
                    Entry(index: $0, term: $0, kind: .commands, time: 0, checksum: 0, payload: [])
                }
            )
            change(&state)
            _ = try RaftCore(RaftSettings(), restored: state, seed: 1)
        }
        try start { _ in }
        #expect(throws: RaftError.logLost(last: 3, needed: 4)) { try start { $0.hardState.commit = 4 } }
        #expect(throws: RaftError.logLost(last: 3, needed: 9)) { try start { $0.applied = 9 } }
        #expect(throws: RaftError.self) { try start { $0.entries.remove(at: 1) } }
        #expect(throws: RaftError.self) { try start { $0.entries[1].term = 9 } }
        #expect(throws: RaftError.self) { try start { $0.hardState.term = 2 } }
        #expect(throws: RaftError.self) { try start { $0.replica = ReplicaID(0) } }
        #expect(throws: RaftError.self) { try start { $0.cutIndex = .max } }
        #expect(throws: RaftError.self) { try start { $0.evictedThrough = 2 } }
    }
}
