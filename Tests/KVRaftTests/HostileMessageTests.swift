import KVBase
import Testing

@testable import KVRaft

/// Nothing that a peer can send traps. (A trap ends the test process, so these tests expect little else.)
struct HostileMessageTests {
    @Test func `what no correct peer sends is refused`() throws {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        let entry = Entry(index: 5, term: 1, kind: .commands, time: 0, checksum: 0, payload: [])
        var late = entry
        late.term = 9
        let refused: [Message] = [
            Message(.heartbeat, from: ReplicaID(2), to: ReplicaID(1), term: 1),
            Message(.append, from: ReplicaID(2), to: ReplicaID(1), term: .max),
            Message(.append, from: ReplicaID(2), to: ReplicaID(1), term: 2, index: .max),
            Message(.appendResponse, from: ReplicaID(2), to: ReplicaID(1), term: 1, index: 1_000),
            Message(.append, from: ReplicaID(2), to: ReplicaID(3), term: 1),
            Message(.append, from: ReplicaID(0), to: ReplicaID(1), term: 1),
            Message(.append, from: ReplicaID(1), to: ReplicaID(1), term: 1),
            Message(.append, from: ReplicaID(2), to: ReplicaID(1), term: 0),
            Message(.append, from: ReplicaID(2), to: ReplicaID(1), term: 2, logTerm: 1, index: 3, entries: [entry]),
            Message(.append, from: ReplicaID(2), to: ReplicaID(1), term: 2, logTerm: 1, index: 4, entries: [late]),
            Message(.append, from: ReplicaID(2), to: ReplicaID(1), term: 2, logTerm: 3, index: 4),
        ]
        for message in refused {
            #expect(throws: RaftError.self) { try cluster[1].core.step(message) }
            cluster[1].core.checkInvariants()
        }
        #expect(cluster[1].core.role == .leader)
        #expect(throws: RaftError.unknownPeer(ReplicaID(8))) {
            try cluster[1].core.step(Message(.appendResponse, from: ReplicaID(8), to: ReplicaID(1), term: 1, index: 1))
        }
    }

    @Test func `an append that is another's, or whose terms descend, is refused by a follower`() throws {
        func entry(_ index: LogIndex, _ term: Term) -> Entry {
            Entry(index: index, term: term, kind: .commands, time: 0, checksum: 0, payload: [])
        }
        func append(to number: UInt64, logTerm: Term = 1, index: LogIndex = 1, _ entries: [Entry] = []) -> Message {
            Message(
                .append,
                from: ReplicaID(1),
                to: ReplicaID(number),
                term: 3,
                logTerm: logTerm,
                index: index,
                entries: entries
            )
        }
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        for message in [
            append(to: 3), append(to: 2, [entry(2, 3), entry(3, 2)]), append(to: 2, logTerm: 2, [entry(2, 1)]),
            append(to: 2, [entry(2, 4)]), append(to: 2, [entry(2, 3), entry(4, 3)]),
            append(to: 2, index: RaftCore.numberMax),
            Message(.heartbeat, from: ReplicaID(1), to: ReplicaID(2), term: RaftCore.numberMax),
            Message(.heartbeat, from: ReplicaID(0), to: ReplicaID(2), term: 3),
        ] {
            #expect(throws: RaftError.self) { try cluster[2].core.step(message) }
            cluster[2].core.checkInvariants()
        }
        #expect(cluster[2].core.term == 1 && cluster[2].core.lastIndex == 1)
    }

    @Test func `entries that contradict what is committed are refused`() throws {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        try cluster[1].propose("x")
        try cluster.settle()
        let other = Entry(index: 2, term: 2, kind: .commands, time: 0, checksum: 0, payload: [])
        let before = cluster[2].core.lastIndex
        _ = try? cluster[2].core.step(
            Message(.append, from: ReplicaID(3), to: ReplicaID(2), term: 2, logTerm: 1, index: 1, entries: [other])
        )
        #expect(cluster[2].core.lastIndex == before)
        #expect(cluster[2].core.term(at: 2) == 1)
    }

    @Test func `a leader that counts on entries this replica lost is told apart`() throws {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        #expect(throws: RaftError.logLost(last: 1, needed: 50)) {
            try cluster[2].core.step(Message(.heartbeat, from: ReplicaID(1), to: ReplicaID(2), term: 1, commit: 50))
        }
    }

    @Test(arguments: UInt64(1)...20) func `random messages of any kind, from anyone, never trap`(_ seed: UInt64) throws
    {
        var generator = TestGenerator(seed: seed)
        let cluster = try TestCluster(3, learners: 1)
        try cluster.elect(1)
        func number() -> UInt64 {
            switch Int.random(in: 0..<8, using: &generator) {
            case 0: .max
            case 1: .max / 2
            case 2: UInt64.random(in: 0...(.max), using: &generator)
            default: UInt64.random(in: 0...6, using: &generator)
            }
        }
        for _ in 0..<1_500 {
            let host = cluster.hosts[Int.random(in: 0..<4, using: &generator)]
            let kind = MessageKind.allCases[Int.random(in: 0..<MessageKind.allCases.count, using: &generator)]
            var index = number()
            let start = index
            let term = generator.oneIn(3) ? number() : host.core.term
            var entries: [Entry] = []
            for _ in 0..<Int.random(in: 0...2, using: &generator) {
                index = generator.oneIn(10) ? number() : index &+ 1
                entries.append(
                    Entry(
                        index: index,
                        term: generator.oneIn(5) ? number() : term,
                        kind: .commands,
                        time: number(),
                        checksum: 0,
                        payload: []
                    )
                )
            }
            let configuration = generator.oneIn(2) ? host.core.configuration.encoded : [1, 0, 1, 9]
            let message = Message(
                kind,
                from: ReplicaID(UInt64.random(in: 0...6, using: &generator)),
                to: generator.oneIn(20) ? ReplicaID(number()) : host.replica,
                term: term,
                logTerm: number(),
                index: start,
                commit: number(),
                isRejected: generator.oneIn(2),
                isForced: generator.oneIn(2),
                rejectHint: number(),
                context: number(),
                entries: entries,
                configuration: configuration
            )
            // What is refused is refused; only traps are looked for.
            try? host.core.step(message)
            host.core.checkInvariants()
            if generator.oneIn(4) { host.core.tick() }
            host.arrived = [:]
            host.core.takeEffects(into: &host.effects)
            if host.effects.snapshotToInstall != nil {
                if generator.oneIn(2) { host.core.snapshotInstalled() } else { host.core.snapshotRefused() }
            }
            host.core.persisted(ticket: host.effects.ticket)
            for request in host.effects.entriesNeeded { try host.core.supplyEntries([], for: request) }
            if let last = host.effects.entriesToApply.last { host.core.applied(through: last.index) }
            host.core.checkInvariants()
        }
    }
}
