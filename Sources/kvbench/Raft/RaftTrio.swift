import KVBase
import KVRaft

/// Three replicas of one group in one thread: the consensus core as nodes run it, with memory for its disks and a queue for its network.
///
/// What is measured is the deciding alone: no socket, no system call, no other thread.
struct RaftTrio {
    private struct Host {
        var core: RaftCore
        var effects = Effects()
        /// The log that a disk would hold, above the cut.
        var log: [Entry] = []
        var cutIndex: LogIndex
        /// How many commands were applied, and what they were, as a number.
        var appliedCommands: UInt64 = 0
        var digest: UInt64 = 0
        var outbox: [Message] = []
    }

    /// Entries that the log keeps behind what is applied.
    private static let kept: LogIndex = 4_096
    /// The log is cut when this many more are applied.
    private static let cutEvery: LogIndex = 16_384
    private static let rounds = 1_000

    private let group = GroupID(1)
    private var hosts: [Host] = []

    /// Three replicas, of which the first leads.
    /// - Throws: `BenchmarkError` where it is not elected; the core's own errors.
    init() throws {
        let replicas = (1...3).map { ReplicaID($0) }
        let configuration = Configuration(voters: replicas)
        var settings = RaftSettings()
        settings.group = group
        settings.tellsCommitAtTicks = true
        for replica in replicas {
            let state = RestoredState.founding(replica, configuration: configuration)
            hosts.append(Host(core: try RaftCore(settings, restored: state, seed: replica.rawValue), cutIndex: 1))
        }
        hosts[0].core.campaign()
        for _ in 0..<Self.rounds where hosts[0].core.role != .leader { try turn() }
        guard hosts[0].core.role == .leader else { throw BenchmarkError("the first replica was not elected") }
    }

    /// How many commands the leader has applied.
    var committed: UInt64 { hosts[0].appliedCommands }

    /// Proposes entries, each with a payload of its own.
    mutating func propose(_ count: Int, bytes: Int, from first: UInt64) throws {
        let entries = (0..<count).map { place in
            var payload = [UInt8](repeating: UInt8(truncatingIfNeeded: place), count: bytes)
            for (byte, shift) in zip(0..<min(8, bytes), stride(from: 0, to: 64, by: 8)) {
                payload[byte] = UInt8(truncatingIfNeeded: (first + UInt64(place)) >> UInt64(shift))
            }
            return ProposedEntry(kind: .commands, time: 1, payload: payload, group: group)
        }
        _ = try hosts[0].core.propose(entries)
    }

    /// Each replica does what it decided, then hears what the others sent.
    mutating func turn() throws {
        for place in hosts.indices { try work(place) }
        for place in hosts.indices {
            let messages = hosts[place].outbox
            hosts[place].outbox.removeAll(keepingCapacity: true)
            for message in messages { try hosts[Int(message.to.rawValue) - 1].core.step(message) }
        }
    }

    /// Ticks and turns until all replicas applied as much as the leader.
    /// - Throws: `BenchmarkError` where they do not, or applied something else.
    mutating func settle() throws {
        for _ in 0..<Self.rounds where !isLevel {
            for place in hosts.indices { hosts[place].core.tick() }
            try turn()
        }
        guard isLevel, hosts.allSatisfy({ $0.digest == hosts[0].digest }) else {
            throw BenchmarkError("the replicas differ: applied \(hosts.map(\.appliedCommands))")
        }
    }

    private var isLevel: Bool { hosts.allSatisfy { $0.appliedCommands == hosts[0].appliedCommands } }

    private mutating func work(_ place: Int) throws {
        var effects = Effects()
        swap(&effects, &hosts[place].effects)
        defer { swap(&effects, &hosts[place].effects) }
        while hosts[place].core.takeEffects(into: &effects) {
            write(effects, &hosts[place])
            hosts[place].outbox += effects.messagesNow
            hosts[place].outbox += effects.messagesAfterPersist
            guard effects.snapshotsToSend.isEmpty, effects.entriesNeeded.isEmpty else {
                throw BenchmarkError("a replica fell behind the log that is kept")
            }
            if let last = effects.entriesToApply.last {
                apply(effects.entriesToApply, to: &hosts[place])
                hosts[place].core.applied(through: last.index)
                cut(&hosts[place])
            }
        }
    }

    private func write(_ effects: Effects, _ host: inout Host) {
        if let first = effects.entries.first?.index {
            let count = host.cutIndex + LogIndex(host.log.count) + 1 - first
            host.log.removeLast(Int(count))
            host.log += effects.entries
        }
        if effects.ticket > 0 { host.core.persisted(ticket: effects.ticket) }
    }

    private func apply(_ entries: [Entry], to host: inout Host) {
        for entry in entries where entry.kind == .commands {
            host.appliedCommands += 1
            host.digest = host.digest &* 31 &+ UInt64(entry.checksum) &+ entry.index
        }
    }

    private func cut(_ host: inout Host) {
        let applied = host.core.applied
        guard applied > host.cutIndex + Self.cutEvery + Self.kept else { return }
        host.core.cutLog(through: applied - Self.kept)
        host.log.removeFirst(Int(applied - Self.kept - host.cutIndex))
        host.cutIndex = applied - Self.kept
    }
}
