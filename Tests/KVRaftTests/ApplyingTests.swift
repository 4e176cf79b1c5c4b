import KVBase
import Testing

@testable import KVRaft

/// What a host is given to apply and to install, and how much of it at once.
struct ApplyingTests {
    private let size = 10 + Entry.overhead

    private func entries(_ range: ClosedRange<LogIndex>, term: Term = 1) -> [Entry] {
        range.map {
            Entry(
                index: $0,
                term: term,
                kind: .commands,
                time: 0,
                checksum: 0,
                payload: [UInt8](repeating: 0, count: 10)
            )
        }
    }

    /// A follower whose log of four entries is committed and not applied, and is in memory or on disk only.
    private func follower(isEvicted: Bool = false, _ change: (inout RaftSettings) -> Void) throws -> TestCore {
        TestCore(
            try RaftCore(
                TestCluster.settings(change),
                restored: RestoredState(
                    replica: ReplicaID(3),
                    hardState: HardState(term: 1, commit: 4),
                    configuration: Configuration(voters: (1...3).map { ReplicaID($0) }),
                    evictedTerms: isEvicted ? [TermRun(first: 1, term: 1)] : [],
                    evictedThrough: isEvicted ? 4 : 0,
                    entries: isEvicted ? [] : entries(1...4)
                ),
                seed: 1
            )
        )
    }

    private func offer(_ index: LogIndex, term: Term = 1, knows replicas: ClosedRange<UInt64> = 1...3) -> Message {
        Message(
            .snapshot,
            from: ReplicaID(1),
            to: ReplicaID(3),
            term: 2,
            logTerm: term,
            index: index,
            configuration: Configuration(voters: replicas.map { ReplicaID($0) }).encoded
        )
    }

    private func append(after index: LogIndex, term: Term, _ entries: [Entry], commit: LogIndex) -> Message {
        Message(
            .append,
            from: ReplicaID(1),
            to: ReplicaID(3),
            term: 2,
            logTerm: term,
            index: index,
            commit: commit,
            entries: entries
        )
    }

    @Test func `no more is given to apply than the host may hold, until it reports`() throws {
        let host = try follower {
            $0.applyPageBytesMax = 1
            $0.applyingBytesMax = 2 * size
        }
        #expect(host.next().entriesToApply.map(\.index) == [1])
        #expect(host.next().entriesToApply.map(\.index) == [2])
        #expect(!host.core.hasEffects)
        // Nor where there is something else to do.
        host.core.campaign()
        #expect(host.core.hasEffects)
        #expect(host.next().entriesToApply.isEmpty)
        host.core.applied(through: 1)
        #expect(host.next().entriesToApply.map(\.index) == [3])
        host.core.applied(through: 3)
        // A report that comes late changes nothing.
        host.core.applied(through: 2)
        #expect(host.core.applied == 3)
        #expect(host.next().entriesToApply.map(\.index) == [4])
    }

    @Test func `entries to apply are read from disk once, and count like those in memory`() throws {
        let host = try follower(isEvicted: true) { $0.applyingBytesMax = 2 * size }
        let request = try #require(host.next().entriesNeeded.first)
        #expect(request.purpose == .apply && request.first == 1 && request.last == 4)
        #expect(!host.core.hasEffects)
        host.core.campaign()
        #expect(host.next().entriesNeeded.isEmpty)
        try host.core.supplyEntries(entries(1...2), for: request)
        #expect(host.next().entriesToApply.map(\.index) == [1, 2])
        #expect(!host.core.hasEffects)
        host.core.applied(through: 2)
        #expect(host.next().entriesNeeded.map(\.first) == [3])
    }

    @Test func `what is read from disk and is not what the log has is refused`() throws {
        for wrong in [entries(1...1, term: 2), entries(2...2)] {
            let host = try follower(isEvicted: true) { _ in }
            let request = try #require(host.next().entriesNeeded.first)
            #expect(throws: RaftError.self) { try host.core.supplyEntries(wrong, for: request) }
        }
    }

    @Test func `an event alone is told of`() throws {
        let host = TestCore(
            try RaftCore(TestCluster.settings(), restored: .joining(ReplicaID(3)), seed: 1)
        )
        #expect(!host.core.hasEffects)
        host.core.campaign()
        #expect(host.core.hasEffects)
        #expect(host.next().events == [.campaignRefused(hasUnappliedChange: false)])
    }

    @Test func `while a snapshot is being installed the log and what is applied stay as they are`() throws {
        let host = try follower {
            $0.checksQuorum = false
            $0.applyPageBytesMax = 1
        }
        try host.core.step(append(after: 4, term: 1, entries(5...6, term: 2), commit: 4))
        #expect(host.next().entriesToApply.map(\.index) == [1])
        try host.core.step(offer(9, term: 2))
        #expect(host.next().snapshotToInstall?.index == 9)
        #expect(host.next().entriesToApply.isEmpty)

        // Nothing is appended, and nothing is learned of.
        try host.core.step(append(after: 6, term: 2, entries(7...7, term: 2), commit: 4))
        #expect(host.core.lastIndex == 6)
        try host.core.step(
            Message(
                .preVote,
                from: ReplicaID(2),
                to: ReplicaID(3),
                term: 3,
                logTerm: 2,
                index: 6,
                commit: 6,
                context: 2
            )
        )
        #expect(host.core.commit == 4)
        // Another snapshot is not begun, nor asked for, and nobody campaigns, however long it takes.
        try host.core.step(offer(12, term: 2))
        #expect(host.next().snapshotToInstall == nil)
        host.core.beginRebuild()
        host.core.askForRebuild()
        #expect(host.core.output.messagesNow.isEmpty && host.core.output.messagesAfterPersist.isEmpty)
        for _ in 0..<200 { host.core.tick() }
        #expect(host.core.role == .follower)

        host.core.snapshotInstalled()
        host.core.checkInvariants()
        #expect(host.core.applied == 9 && host.core.lastIndex == 9)
    }

    @Test func `entries that were read while a snapshot is being installed are not applied`() throws {
        let host = try follower(isEvicted: true) { _ in }
        let request = try #require(host.next().entriesNeeded.first)
        try host.core.step(offer(9, term: 2))
        #expect(host.next().snapshotToInstall?.index == 9)
        try host.core.supplyEntries(entries(1...4), for: request)
        host.core.snapshotRefused()
        #expect(host.next().entriesNeeded.map(\.first) == [1])
        // Nor those that come when it is there.
        try host.core.step(offer(9, term: 2))
        #expect(host.next().snapshotToInstall?.index == 9)
        host.core.snapshotInstalled()
        try host.core.supplyEntries(entries(1...4), for: request)
        #expect(host.next().entriesToApply.isEmpty)
    }

    /// A snapshot takes the log's place, and the entry after it is there to be applied.
    private func expectApplyingGoesOnAfterSnapshot(_ host: TestCore) throws {
        try host.core.step(offer(9, term: 2))
        #expect(host.next().snapshotToInstall?.index == 9)
        host.core.snapshotInstalled()
        try host.core.step(append(after: 9, term: 2, entries(10...10, term: 2), commit: 10))
        host.core.persisted(ticket: host.next().ticket)
        #expect(host.next().entriesToApply.map(\.index) == [10])
    }

    @Test func `what the host held to apply is forgotten with a snapshot`() throws {
        let host = try follower {
            $0.applyPageBytesMax = 1
            $0.applyingBytesMax = 1
        }
        #expect(host.next().entriesToApply.map(\.index) == [1])
        try expectApplyingGoesOnAfterSnapshot(host)
    }

    @Test func `a rebuild takes no snapshot that is older than what was applied meanwhile`() throws {
        let host = try follower { _ in }
        #expect(host.next().entriesToApply.count == 4)
        host.core.beginRebuild()
        try host.core.step(offer(2))
        #expect(host.next().snapshotToInstall?.index == 2)
        host.core.applied(through: 4)
        host.core.snapshotInstalled()
        host.core.checkInvariants()
        #expect(host.core.applied == 4 && host.core.isRebuilding)
    }

    @Test func `a rebuild takes a snapshot of what was applied, and keeps the log after it`() throws {
        let host = try follower { $0.applyPageBytesMax = 2 * size }
        #expect(host.next().entriesToApply.count == 2)
        host.core.applied(through: 2)
        host.core.beginRebuild()
        try host.core.step(offer(2))
        #expect(host.next().snapshotToInstall?.index == 2)
        host.core.snapshotInstalled()
        host.core.checkInvariants()
        #expect(host.core.applied == 2 && host.core.lastIndex == 4 && !host.core.isRebuilding)
    }

    @Test func `a snapshot of nothing, or of a group that does not know this replica, is not taken`() throws {
        let host = try follower { _ in }
        host.core.beginRebuild()
        try host.core.step(offer(0, term: 0))
        try host.core.step(offer(9, term: 2, knows: 1...2))
        #expect(host.next().snapshotToInstall == nil)
        #expect(host.core.installing == nil)
    }

    @Test func `a read that is never answered holds nothing up once a snapshot is installed`() throws {
        let host = try follower(isEvicted: true) { _ in }
        #expect(host.next().entriesNeeded.map(\.first) == [1])
        try expectApplyingGoesOnAfterSnapshot(host)
    }
}
