package import KVBase

/// Whether replicas of a group hold the same: each notes a digest of its state at every so many entries, and where it comes to rest, tells the
/// leader with its answers to heartbeats, and the leader tells what most voters agree on with the next ones.
///
///     follower ── answer to a heartbeat: (index, digest) ──▶ leader: what does a majority say at that index?
///     follower ◀─ heartbeat: (index, agreed digest) ──────── leader
///       differs at that index? Then it is the follower that is wrong.
///
/// Nobody is judged without a majority: with two voters a difference is an alarm and no more.
package struct ReplicaHealth: Sendable {
    /// The state of a replica at an index.
    package struct Sample: Sendable, Equatable {
        /// How many entries were applied.
        package let index: LogIndex
        /// What the state came to; below `digestMax`.
        package let digest: UInt64

        /// A sample.
        package init(index: LogIndex, digest: UInt64) {
            self.index = index
            self.digest = digest & (ReplicaHealth.digestMax - 1)
        }
    }

    /// A sample is taken at each multiple of this, and where nothing was committed for a while.
    package static let interval: LogIndex = 64
    /// Messages carry numbers below 2⁶²: digests are cut to that.
    package static let digestMax: UInt64 = 1 << 61
    private static let samplesMax = 32

    private var own: [Sample] = []
    /// The own sample that was last compared with what others told before.
    private var judged: LogIndex = 0
    private var reports: [ReplicaID: [Sample]] = [:]
    /// As leader: the newest sample that a majority of the voters has.
    package private(set) var agreed: Sample?
    /// As leader: replicas whose newest comparable sample is not what the majority has, and at which index.
    package private(set) var differing: [ReplicaID: LogIndex] = [:]

    /// Nothing known.
    package init() {}

    /// The newest sample of this replica.
    package var newest: Sample? { own.last }

    /// This replica applied the entry at `index`, after which its state comes to `digest`.
    package mutating func note(_ sample: Sample) {
        if let last = own.last, last.index >= sample.index { own.removeAll() }
        own.append(sample)
        if own.count > Self.samplesMax { own.removeFirst() }
    }

    /// Forgets everything: this replica's state was put in place by other means than applying, or another leads.
    package mutating func reset() { self = ReplicaHealth() }

    /// Forgets what others said; its own samples stay.
    package mutating func forgetReports() {
        reports = [:]
        agreed = nil
        differing = [:]
        judged = 0
    }

    /// Whether a majority says otherwise than this replica at an index that both know.
    package func contradicts(_ majority: Sample) -> Bool {
        own.contains { $0.index == majority.index && $0.digest != majority.digest }
    }

    /// As leader: another replica told its sample; returns whether this replica is the one that differs from the majority.
    package mutating func reported(
        _ sample: Sample,
        by replica: ReplicaID,
        own ownID: ReplicaID,
        voters: [ReplicaID]
    )
        -> Bool
    {
        var samples = reports[replica] ?? []
        guard samples.last != sample else { return false }
        if let last = samples.last, last.index >= sample.index { samples.removeAll() }
        samples.append(sample)
        if samples.count > Self.samplesMax { samples.removeFirst() }
        reports[replica] = samples
        return compare(at: sample.index, ownID, voters)
    }

    /// As leader: compares its own newest sample, which may have come after the others told theirs; returns whether this replica is the one
    /// that differs from the majority.
    package mutating func judgeNewest(own ownID: ReplicaID, voters: [ReplicaID]) -> Bool {
        guard let newest = own.last, newest.index != judged else { return false }
        judged = newest.index
        return compare(at: newest.index, ownID, voters)
    }

    private mutating func compare(at index: LogIndex, _ ownID: ReplicaID, _ voters: [ReplicaID]) -> Bool {
        var said: [ReplicaID: UInt64] = [:]
        for (replica, samples) in reports {
            if let found = samples.last(where: { $0.index == index }) { said[replica] = found.digest }
        }
        if let found = own.last(where: { $0.index == index }) { said[ownID] = found.digest }
        guard
            let majority = Set(said.values).first(where: { digest in
                voters.count { said[$0] == digest } * 2 > voters.count
            })
        else {
            noteDisagreement(said, at: index, ownID)
            return false
        }
        if index > agreed?.index ?? 0 { agreed = Sample(index: index, digest: majority) }
        for (replica, digest) in said where replica != ownID {
            if digest != majority {
                differing[replica] = index
            } else if let known = differing[replica], known < index {
                differing[replica] = nil
            }
        }
        return said[ownID].map { $0 != majority } ?? false
    }

    /// Nobody has a majority: whoever says otherwise than the leader is named, and nobody judged.
    private mutating func noteDisagreement(_ said: [ReplicaID: UInt64], at index: LogIndex, _ ownID: ReplicaID) {
        guard let mine = said[ownID] else { return }
        for (replica, digest) in said where digest != mine { differing[replica] = index }
    }
}
