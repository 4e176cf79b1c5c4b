import KVBase
import Testing

@testable import KVRaft

/// Entries that a leader has to read from disk to send them.
struct SupplyTests {
    /// A leader that waits for the entries from 2 on, which replica 3 lacks, and the request for them; the replica is probed.
    private func awaiting() throws -> (cluster: TestCluster, request: EntryRequest) {
        let cluster = try TestCluster(3)
        try cluster.elect(1)
        cluster.cutOff = [ReplicaID(3)]
        for number in 0..<5 { try cluster[1].propose("\(number)") }
        try cluster.settle()
        cluster[1].core.reportUnreachable(ReplicaID(3))
        cluster[1].core.evict(through: 6)
        try answerHeartbeat(cluster)
        return (cluster, try #require(effects(cluster[1]).entriesNeeded.first))
    }

    private func answerHeartbeat(_ cluster: TestCluster) throws {
        cluster[1].core.tick()
        _ = effects(cluster[1])
        try cluster[1].core.step(Message(.heartbeatResponse, from: ReplicaID(3), to: ReplicaID(1), term: 1))
    }

    private func acknowledge(_ index: LogIndex, _ cluster: TestCluster) throws {
        try cluster[1].core.step(Message(.appendResponse, from: ReplicaID(3), to: ReplicaID(1), term: 1, index: index))
    }

    @discardableResult
    private func effects(_ host: TestHost) -> Effects {
        var effects = Effects()
        host.core.takeEffects(into: &effects)
        host.core.checkInvariants()
        return effects
    }

    @Test func `what was read is sent, as far as it was read`() throws {
        let (cluster, request) = try awaiting()
        #expect(request.purpose == .replicate(ReplicaID(3)) && request.first == 2 && request.last == 6)
        try cluster[1].core.supplyEntries(Array(cluster[1].disk.entries[1...3]), for: request)
        let append = try #require(effects(cluster[1]).messagesNow.first { $0.to == ReplicaID(3) })
        #expect(append.index == 1 && append.logTerm == 1 && append.entries.map(\.index) == [2, 3, 4])
    }

    @Test func `what cannot be read is asked for again with the next heartbeat, not at once`() throws {
        let (cluster, request) = try awaiting()
        try cluster[1].core.supplyEntries([], for: request)
        #expect(!cluster[1].core.hasEffects)
        try answerHeartbeat(cluster)
        #expect(effects(cluster[1]).entriesNeeded == [request])
    }

    @Test func `what the disk holds in place of the log's entries is not sent`() throws {
        for change: (inout Entry) -> Void in [{ $0.term += 1 }, { $0.index += 1 }] {
            let (cluster, request) = try awaiting()
            var entry = cluster[1].disk.entries[1]
            change(&entry)
            #expect(throws: RaftError.self) { try cluster[1].core.supplyEntries([entry], for: request) }
            #expect(cluster[1].core.output.messagesNow.isEmpty)
        }
    }

    @Test func `what is not waited for any more is not sent`() throws {
        let (cluster, request) = try awaiting()
        // The answer to the probe: the request is for a window now.
        try acknowledge(1, cluster)
        #expect(effects(cluster[1]).entriesNeeded == [request])
        cluster[1].core.reportUnreachable(ReplicaID(3))
        try cluster[1].core.supplyEntries(Array(cluster[1].disk.entries[1...5]), for: request)
        #expect(cluster[1].core.output.messagesNow.isEmpty)
        #expect(cluster[1].core.progress[2].next == 2)
    }

    @Test func `a follower that turned out to hold everything is sent nothing`() throws {
        let (cluster, request) = try awaiting()
        try acknowledge(1, cluster)
        try acknowledge(6, cluster)
        effects(cluster[1])
        try cluster[1].core.supplyEntries(Array(cluster[1].disk.entries[1...5]), for: request)
        #expect(cluster[1].core.output.messagesNow.isEmpty)
    }

    @Test func `a leader that lost its term asks its host for nothing more`() throws {
        let (cluster, request) = try awaiting()
        try cluster[1].core.supplyEntries([], for: request)
        try answerHeartbeat(cluster)
        cluster[1].core.askForSnapshot(1)
        #expect(!cluster[1].core.output.entriesNeeded.isEmpty && !cluster[1].core.output.snapshotsToSend.isEmpty)
        cluster[1].core.becomeFollower(term: 2, leader: nil)
        let left = effects(cluster[1])
        #expect(left.entriesNeeded.isEmpty && left.snapshotsToSend.isEmpty)
    }
}
