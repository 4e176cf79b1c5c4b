import KVBase
import KVRaft

/// What one replica keeps on its simulated disk.
struct TestDisk {
    var hardState = HardState()
    var cutIndex: LogIndex = 0
    var cutTerm: Term = 0
    /// The log above the cut.
    var entries: [Entry] = []
    /// What was applied, as far as it is flushed: the state machine is the list of all entries, entry 1 first.
    var state: [Entry] = []
    var applied: LogIndex = 0
    var configuration = Configuration()

    var lastIndex: LogIndex { cutIndex + LogIndex(entries.count) }

    mutating func write(_ new: [Entry], _ hardState: HardState?) throws {
        if let hardState { self.hardState = hardState }
        guard let first = new.first?.index else { return }
        guard first > cutIndex, first <= lastIndex + 1 else {
            throw ChaosFailure(description: "writing \(first), the log on disk is \(cutIndex + 1)…\(lastIndex)")
        }
        entries.removeLast(Int(lastIndex + 1 - first))
        entries += new
    }

    mutating func cut(through index: LogIndex, term: Term) {
        guard index > cutIndex else { return }
        entries.removeFirst(min(entries.count, Int(index - cutIndex)))
        cutIndex = index
        cutTerm = term
    }

    /// Starts as `RestoredState.founding` does; the place of the entry that never was is taken.
    mutating func found() {
        let founding = RestoredState.founding(ReplicaID(1), configuration: configuration)
        cutIndex = founding.cutIndex
        cutTerm = founding.cutTerm
        applied = founding.applied
        hardState = founding.hardState
        state = [Entry(index: 1, term: 0, kind: .empty, time: 0, checksum: 0, payload: [])]
    }

    func entry(at index: LogIndex) -> Entry? {
        index > cutIndex && index <= lastIndex ? entries[Int(index - cutIndex) - 1] : nil
    }

    /// Throws where a message promises what this disk does not hold.
    func check(promise message: Message) throws {
        let isKept: Bool
        switch message.kind {
        case .voteResponse where !message.isRejected:
            isKept = hardState.term > message.term || (hardState.term == message.term && hardState.vote == message.to)
        case .appendResponse where !message.isRejected:
            isKept = lastIndex >= message.index && hardState.term >= message.term
        default:
            return
        }
        guard isKept else {
            throw ChaosFailure(description: "\(message.from) promised what is not durable: \(message.kind)")
        }
    }

    func read(_ request: EntryRequest) -> [Entry] {
        guard request.first > cutIndex, request.first <= lastIndex else { return [] }
        let start = Int(request.first - cutIndex) - 1
        let end = min(entries.count, start + Int(request.last - request.first) + 1)
        return Array(entries[start..<min(end, start + 3)])
    }
}

/// A host for one core in one thread: writes wait until the test lets them finish, everything else happens at once.
final class TestHost {
    struct Write {
        let entries: [Entry]
        let hardState: HardState?
        let ticket: UInt64
        let messages: [Message]
    }

    let replica: ReplicaID
    let settings: RaftSettings
    var core: RaftCore
    var effects = Effects()
    var disk: TestDisk
    var writes: [Write] = []
    var outbox: [Message] = []
    /// The state machine in memory, entry 1 first; the disk's follows it when flushed.
    var state: [Entry]
    var ready: [ReadyRead] = []
    var failed: [UInt64] = []
    var events: [RaftEvent] = []
    var snapshotsToSend: [SnapshotRequest] = []
    /// Snapshot data that arrived, by index.
    var arrived: [LogIndex: TestDisk] = [:]
    var leaveJointWanted = false
    var isDown = false
    var writesAreImmediate = true
    /// What this replica decided so far.
    var digest = EffectsDigest()

    init(_ replica: ReplicaID, settings: RaftSettings, disk: TestDisk, seed: UInt64, evicting: Int = 0) throws {
        self.replica = replica
        self.settings = settings
        self.disk = disk
        state = disk.state
        core = try Self.start(replica, settings, disk, seed, evicting)
    }

    private static func start(
        _ replica: ReplicaID,
        _ settings: RaftSettings,
        _ disk: TestDisk,
        _ seed: UInt64,
        _ evicting: Int
    ) throws -> RaftCore {
        let evicted = disk.entries.prefix(evicting)
        var runs: [TermRun] = []
        for entry in evicted where runs.last?.term != entry.term {
            runs.append(TermRun(first: entry.index, term: entry.term))
        }
        return try RaftCore(
            settings,
            restored: RestoredState(
                replica: replica,
                hardState: disk.hardState,
                configuration: disk.configuration,
                cutIndex: disk.cutIndex,
                cutTerm: disk.cutTerm,
                evictedTerms: runs,
                evictedThrough: disk.cutIndex + LogIndex(evicted.count),
                evictedConfigurations: evicted.filter { $0.kind == .configuration }.map(\.index),
                entries: Array(disk.entries.dropFirst(evicting)),
                applied: disk.applied,
                lastTime: 0
            ),
            seed: seed
        )
    }

    /// Takes effects until there are none.
    func run() throws {
        guard !isDown else { return }
        while core.hasEffects {
            core.takeEffects(into: &effects)
            core.checkInvariants()
            digest.add(effects)
            for message in effects.messagesNow { try disk.check(promise: message) }
            outbox += effects.messagesNow
            if effects.needsPersisting || !effects.messagesAfterPersist.isEmpty {
                writes.append(
                    Write(
                        entries: effects.entries,
                        hardState: effects.hardState,
                        ticket: effects.ticket,
                        messages: effects.messagesAfterPersist
                    )
                )
            }
            try apply(effects.entriesToApply)
            ready += effects.readsReady
            failed += effects.readsFailed
            events += effects.events
            snapshotsToSend += effects.snapshotsToSend
            if effects.leaveJointWanted { leaveJointWanted = true }
            for request in effects.entriesNeeded { try core.supplyEntries(disk.read(request), for: request) }
            if let offer = effects.snapshotToInstall { try install(offer) }
            if writesAreImmediate { try finishWrites(writes.count) }
            core.checkInvariants()
        }
    }

    private func apply(_ entries: [Entry]) throws {
        for entry in entries {
            if entry.kind == .configuration {
                do {
                    _ = try core.applyConfiguration(entry)
                } catch {
                    guard case .configurationRefused = error else { throw error }
                }
            }
            guard entry.index == LogIndex(state.count + 1) else {
                throw ChaosFailure(description: "\(replica) applies \(entry.index) after \(state.count)")
            }
            state.append(entry)
        }
        if let last = entries.last { core.applied(through: last.index) }
    }

    func finishWrites(_ count: Int) throws {
        for write in writes.prefix(count) {
            try disk.write(write.entries, write.hardState)
            outbox += write.messages
            core.persisted(ticket: write.ticket)
        }
        writes.removeFirst(min(count, writes.count))
    }

    /// Makes what is applied durable, so that the log may be cut.
    func flush() {
        disk.state = state
        disk.applied = core.applied
        disk.configuration = core.configuration
    }

    func cutLog(through index: LogIndex) {
        let index = min(index, disk.applied)
        guard let term = core.term(at: index) else { return }
        core.cutLog(through: index)
        disk.cut(through: index, term: term)
    }

    private func install(_ offer: SnapshotOffer) throws {
        guard let data = arrived[offer.index] else {
            core.snapshotRefused()
            return
        }
        try finishWrites(writes.count)
        core.snapshotInstalled()
        guard core.applied == offer.index else { return }
        state = data.state
        disk.cut(through: offer.index, term: offer.term)
        if core.lastIndex == offer.index { disk.entries = [] }
        disk.cutIndex = offer.index
        disk.cutTerm = offer.term
        flush()
    }

    /// Loses what is not durable, but for `kept` writes whose report got lost.
    func crash(keeping kept: Int) throws {
        for write in writes.prefix(kept) { try disk.write(write.entries, write.hardState) }
        writes = []
        outbox = []
        arrived = [:]
        snapshotsToSend = []
        isDown = true
    }

    func restart(seed: UInt64, evicting: Int) throws {
        core = try Self.start(replica, settings, disk, seed, evicting)
        state = disk.state
        ready = []
        failed = []
        leaveJointWanted = false
        isDown = false
    }
}
