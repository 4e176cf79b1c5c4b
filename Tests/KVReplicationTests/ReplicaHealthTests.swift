import KVBase
import KVReplication
import Testing

struct ReplicaHealthTests {
    private let own = ReplicaID(1)
    private let voters = [ReplicaID(1), ReplicaID(2), ReplicaID(3)]

    private func sample(_ index: LogIndex, _ digest: UInt64) -> ReplicaHealth.Sample {
        ReplicaHealth.Sample(index: index, digest: digest)
    }

    /// Whether the leader is the one that is wrong, after what another said.
    private func isWrong(
        _ health: inout ReplicaHealth,
        _ sample: ReplicaHealth.Sample,
        _ replica: ReplicaID,
        _ voters: [ReplicaID]
    ) -> Bool {
        health.reported(sample, by: replica, own: own, voters: voters)
    }

    @Test func `what two of three say is what heartbeats tell, and the third is named until it says the same again`() {
        var health = ReplicaHealth()
        health.note(sample(64, 7))
        let wrong1 = isWrong(&health, sample(64, 8), ReplicaID(2), voters)
        #expect(!wrong1)
        #expect(health.agreed == nil)
        let wrong2 = isWrong(&health, sample(64, 7), ReplicaID(3), voters)
        #expect(!wrong2)
        #expect(health.agreed == sample(64, 7))
        #expect(health.differing == [ReplicaID(2): 64])
        health.note(sample(128, 9))
        _ = health.reported(sample(128, 9), by: ReplicaID(2), own: own, voters: voters)
        #expect(health.differing == [:])
        #expect(health.agreed == sample(128, 9))
    }

    @Test func `a leader that differs from the majority is the one that is wrong`() {
        var health = ReplicaHealth()
        health.note(sample(64, 7))
        let wrong3 = isWrong(&health, sample(64, 8), ReplicaID(2), voters)
        #expect(!wrong3)
        let wrong4 = isWrong(&health, sample(64, 8), ReplicaID(3), voters)
        #expect(wrong4)
        #expect(health.agreed == sample(64, 8))
    }

    @Test func `of two voters that differ nobody is judged, and the other is named`() {
        var health = ReplicaHealth()
        health.note(sample(64, 7))
        let two = Array(voters.prefix(2))
        let wrong5 = isWrong(&health, sample(64, 8), ReplicaID(2), two)
        #expect(!wrong5)
        #expect(health.agreed == nil)
        #expect(health.differing == [ReplicaID(2): 64])
    }

    @Test func `learners have no say`() {
        var health = ReplicaHealth()
        health.note(sample(64, 7))
        let wrong6 = isWrong(&health, sample(64, 8), ReplicaID(4), voters)
        #expect(!wrong6)
        let wrong7 = isWrong(&health, sample(64, 8), ReplicaID(5), voters)
        #expect(!wrong7)
        #expect(health.agreed == nil)
    }

    @Test func `a follower is wrong only at an index that it noted itself`() {
        var health = ReplicaHealth()
        health.note(sample(64, 7))
        health.note(sample(128, 8))
        #expect(health.contradicts(sample(64, 1)))
        #expect(!health.contradicts(sample(64, 7)))
        #expect(!health.contradicts(sample(192, 1)))
        // It went back: what it noted before is of another state.
        health.note(sample(64, 9))
        #expect(!health.contradicts(sample(128, 1)))
        health.reset()
        #expect(!health.contradicts(sample(64, 1)))
    }
}
