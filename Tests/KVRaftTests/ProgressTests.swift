import KVBase
import Testing

@testable import KVRaft

/// What a leader keeps of each follower, by itself.
struct ProgressTests {
    private func progress(_ change: (inout RaftSettings) -> Void = { _ in }) -> Progress {
        var settings = RaftSettings()
        change(&settings)
        return Progress(replica: ReplicaID(2), next: 11, isLearner: false, isRecentlyActive: true, settings: settings)
    }

    @Test func `a probe begins behind what is known to be held, or behind a snapshot on its way`() {
        var one = progress()
        one.match = 4
        one.sentCommit = 9
        one.becomeProbe()
        #expect(one.next == 5 && one.sentCommit == 4)

        var two = progress()
        two.match = 4
        two.becomeSnapshot(atLeast: 8)
        #expect(two.next == 9 && two.pendingSnapshot == 8 && two.isPaused)
        two.sentCommit = 20
        two.becomeProbe()
        #expect(two.next == 9 && two.sentCommit == 8 && two.pendingSnapshot == 0 && !two.isPaused)

        var three = progress()
        three.match = 9
        three.becomeSnapshot(atLeast: 8)
        #expect(three.next == 10)
        three.becomeProbe()
        #expect(three.next == 10)
    }

    @Test func `a snapshot is followed by what it does not hold, and tells no later commit`() {
        var one = progress()
        one.sentCommit = 10
        one.becomeSnapshot(atLeast: 6)
        #expect(one.next == 7 && one.sentCommit == 6)
        one.sentCommit = 3
        one.becomeSnapshot(atLeast: 6)
        #expect(one.sentCommit == 3)
    }

    @Test func `replication goes on behind what is known to be held`() {
        var one = progress()
        one.match = 6
        one.isFlowPaused = true
        one.awaitsEntries = true
        one.becomeReplicate()
        #expect(one.next == 7 && !one.isPaused && one.state == .replicate)
    }

    @Test func `what is sent fills the window, a probe waits for its answer`() {
        var one = progress { $0.inflightMessagesMax = 2 }
        one.becomeReplicate()
        one.sent(count: 3, bytes: 10, commit: 1)
        #expect(one.next == 4 && !one.isPaused && one.sentCommit == 1)
        one.sent(count: 0, bytes: 0, commit: 3)
        #expect(one.next == 4 && one.inflight.count == 1 && one.sentCommit == 3)
        one.sent(count: 1, bytes: 10, commit: 2)
        #expect(one.next == 5 && one.isPaused && one.sentCommit == 3)

        var two = progress()
        two.sent(count: 0, bytes: 0, commit: 0)
        #expect(!two.isPaused)
        two.sent(count: 5, bytes: 10, commit: 0)
        #expect(two.isPaused && two.next == 11 && two.inflight.count == 0)
    }

    @Test func `an acknowledgement moves forward only`() {
        var one = progress()
        one.isFlowPaused = true
        #expect(one.acknowledged(through: 5) == true)
        #expect(one.match == 5 && one.next == 11 && !one.isPaused)
        #expect(one.acknowledged(through: 5) == false)
        #expect(one.acknowledged(through: 4) == false)
        #expect(one.match == 5)
        #expect(one.acknowledged(through: 11) == true)
        #expect(one.next == 12)
    }

    @Test func `a refused append in replication is tried again behind what is held`() {
        var one = progress()
        one.match = 4
        one.becomeReplicate()
        one.sent(count: 6, bytes: 1, commit: 9)
        #expect(one.next == 11)
        // An old refusal, of what was acknowledged since.
        #expect(one.refused(at: 4, hint: 2) == false)
        #expect(one.next == 11)
        #expect(one.refused(at: 7, hint: 6) == true)
        #expect(one.next == 5 && one.sentCommit == 4)
    }

    @Test func `a refused probe goes back to the hint, never behind what is held`() {
        var one = progress()
        one.isFlowPaused = true
        one.awaitsEntries = true
        one.sentCommit = 9
        #expect(one.refused(at: 9, hint: 3) == false)
        #expect(one.next == 11 && one.isPaused)
        #expect(one.refused(at: 10, hint: 3) == true)
        #expect(one.next == 4 && one.sentCommit == 3 && !one.isPaused)
        #expect(one.refused(at: 3, hint: 9) == true)
        #expect(one.next == 3)
        one.match = 2
        #expect(one.refused(at: 2, hint: 0) == true)
        #expect(one.next == 3)
    }

    @Test func `a window is full by count or by bytes, and freed through an index`() {
        var window = InflightWindow(countMax: 3, bytesMax: 100)
        window.add(last: 5, bytes: 60)
        #expect(!window.isFull)
        window.add(last: 7, bytes: 40)
        #expect(window.isFull && window.bytes == 100)
        window.free(through: 4)
        #expect(window.count == 2)
        window.free(through: 5)
        #expect(window.count == 1 && window.bytes == 40 && !window.isFull)
        window.add(last: 8, bytes: 1)
        window.add(last: 9, bytes: 1)
        #expect(window.isFull)
        window.removeAll()
        #expect(window.count == 0 && window.bytes == 0)
    }

    @Test func `newcomers are taken to be there, and who stays keeps what is known`() {
        let settings = RaftSettings()
        var tracker = ProgressTracker(
            Configuration(voters: [ReplicaID(1), ReplicaID(2)]),
            lastIndex: 7,
            settings: settings
        )
        #expect(tracker.replicas.allSatisfy { $0.next == 8 && !$0.isRecentlyActive })
        tracker[1].match = 5
        tracker.adopt(
            Configuration(voters: [ReplicaID(1)], learners: [ReplicaID(2), ReplicaID(3)]),
            lastIndex: 9,
            settings: settings
        )
        #expect(tracker.replicas.map(\.replica) == [1, 2, 3].map { ReplicaID($0) })
        #expect(tracker[1].match == 5 && tracker[1].isLearner && !tracker[1].isRecentlyActive)
        #expect(tracker[2].next == 9 && tracker[2].isRecentlyActive && tracker[2].isLearner)
        tracker.adopt(Configuration(voters: [ReplicaID(1), ReplicaID(4)]), lastIndex: 0, settings: settings)
        #expect(tracker[1].next == 1 && !tracker[1].isLearner)
        tracker[0].isRecentlyActive = true
        tracker.reset(lastIndex: 3, settings: settings)
        #expect(tracker.replicas.allSatisfy { $0.next == 4 && $0.match == 0 && !$0.isRecentlyActive })
    }

    @Test func `a vote counts once, and of voters only`() {
        var tracker = ProgressTracker(
            Configuration(voters: [ReplicaID(1), ReplicaID(2), ReplicaID(3)], learners: [ReplicaID(4)]),
            lastIndex: 0,
            settings: RaftSettings()
        )
        tracker.recordVote(ReplicaID(1), granted: true)
        tracker.recordVote(ReplicaID(4), granted: true)
        tracker.recordVote(ReplicaID(9), granted: true)
        #expect(tracker.voteOutcome == .pending)
        tracker.recordVote(ReplicaID(2), granted: false)
        tracker.recordVote(ReplicaID(2), granted: true)
        #expect(tracker.voteOutcome == .pending)
        tracker.recordVote(ReplicaID(3), granted: true)
        #expect(tracker.voteOutcome == .won)
        tracker.forgetVotes()
        #expect(tracker.voteOutcome == .pending)
    }
}
