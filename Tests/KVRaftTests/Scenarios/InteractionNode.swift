import KVBase

@testable import KVRaft

/// A replica in a scenario: the core, and a host that keeps everything in memory.
final class InteractionNode {
    struct Snapshot {
        let index: LogIndex
        let term: Term
        let configuration: Configuration
    }

    struct WriteTask {
        let entries: [Entry]
        let ticket: UInt64
        let messages: [Message]
    }

    let replica: ReplicaID
    let isAsynchronous: Bool
    var core: RaftCore
    var effects = Effects()
    /// What the disk holds above `cut`.
    var entries: [Entry] = []
    var cut: LogIndex
    /// After each applied entry one.
    var history: [Snapshot]
    var writes: [WriteTask] = []
    var applications: [[Entry]] = []
    var givenCommit: LogIndex

    init(
        _ replica: ReplicaID,
        settings: RaftSettings,
        configuration: Configuration,
        index: LogIndex,
        isAsynchronous: Bool
    ) throws {
        self.replica = replica
        self.isAsynchronous = isAsynchronous
        let term: Term = index > 0 ? 1 : 0
        core = try RaftCore(
            settings,
            restored: RestoredState(
                replica: replica,
                hardState: HardState(commit: index),
                configuration: configuration,
                cutIndex: index,
                cutTerm: term,
                applied: index
            ),
            seed: replica.rawValue
        )
        cut = index
        givenCommit = index
        history = [Snapshot(index: index, term: term, configuration: configuration)]
    }

    var lastStored: LogIndex { cut + LogIndex(entries.count) }

    func write(_ new: [Entry]) {
        guard let first = new.first?.index, first > cut, first <= lastStored + 1 else { return }
        entries.removeLast(Int(lastStored + 1 - first))
        entries += new
    }

    func compact(through index: LogIndex) {
        core.cutLog(through: index)
        guard index > cut else { return }
        entries.removeFirst(min(entries.count, Int(index - cut)))
        cut = index
    }

    func apply(_ page: [Entry]) {
        for entry in page {
            if entry.kind == .configuration { _ = try? core.applyConfiguration(entry) }
            history.append(Snapshot(index: entry.index, term: entry.term, configuration: core.configuration))
        }
        if let last = page.last { core.applied(through: last.index) }
    }

    func install(_ offer: SnapshotOffer) {
        entries = []
        cut = offer.index
        history.append(Snapshot(index: offer.index, term: offer.term, configuration: offer.configuration))
        core.snapshotInstalled()
        entries = Array(core.log.entries)
    }

    var log: [String] {
        guard !entries.isEmpty else { return ["log is empty: first index=\(cut + 1), last index=\(cut)"] }
        return entries.map(ScenarioText.entry)
    }

    var state: String {
        let membership = core.configuration.isVoter(replica) ? "Voter" : "Non-Voter"
        return
            "\(replica): \(ScenarioText.role(core.role)) (\(membership)) Term:\(core.term) Lead:\(core.leader?.rawValue ?? 0)"
    }
}
