import KVBase
import KVRaft

/// Several replicas and the messages between them; what is delivered when is the test's choice.
final class TestCluster {
    var hosts: [TestHost] = []
    var messages: [Message] = []
    /// Replicas that nothing reaches and that reach nobody.
    var cutOff: Set<ReplicaID> = []

    init(
        _ count: Int,
        learners: Int = 0,
        settings: RaftSettings = TestCluster.settings(),
        isFounded: Bool = false
    ) throws {
        let ids = (1...UInt64(count + learners)).map { ReplicaID($0) }
        let configuration = Configuration(voters: Array(ids.prefix(count)), learners: Array(ids.suffix(learners)))
        for id in ids {
            var disk = TestDisk()
            disk.configuration = configuration
            if isFounded { disk.found() }
            hosts.append(try TestHost(id, settings: settings, disk: disk, seed: id.rawValue))
        }
    }

    static func settings(_ change: (inout RaftSettings) -> Void = { _ in }) -> RaftSettings {
        var settings = RaftSettings()
        settings.tracesEvents = true
        change(&settings)
        return settings
    }

    subscript(number: UInt64) -> TestHost { hosts[Int(number) - 1] }

    /// The one leader of the highest term, if there is one.
    var leader: TestHost? {
        hosts.filter { !$0.isDown && $0.core.role == .leader }.max { $0.core.term < $1.core.term }
    }

    /// Runs all hosts and gathers what they send.
    func collect() throws {
        for host in hosts {
            try host.run()
            messages += host.outbox
            host.outbox = []
        }
    }

    /// Delivers everything, in order, until nothing is left.
    func settle(dropping: (Message) -> Bool = { _ in false }) throws {
        var rounds = 0
        try collect()
        while !messages.isEmpty {
            rounds += 1
            precondition(rounds < 500, "does not settle")
            let batch = messages
            messages = []
            for message in batch where !dropping(message) { try deliver(message) }
            try collect()
        }
    }

    func deliver(_ message: Message) throws {
        guard !cutOff.contains(message.from), !cutOff.contains(message.to) else { return }
        guard let host = hosts.first(where: { $0.replica == message.to }), !host.isDown else { return }
        do {
            try host.core.step(message)
        } catch {
            // A replica that was removed may answer late.
            guard case .unknownPeer = error else { throw error }
        }
        host.core.checkInvariants()
    }

    /// Elects a replica.
    @discardableResult
    func elect(_ number: UInt64) throws -> TestHost {
        self[number].core.campaign()
        try settle()
        return self[number]
    }

    func tick(_ count: Int = 1) throws {
        for _ in 0..<count {
            for host in hosts where !host.isDown { host.core.tick() }
            try settle()
        }
    }

    /// Ships the snapshots that leaders were asked for.
    func shipSnapshots() throws {
        for host in hosts {
            let requests = host.snapshotsToSend
            host.snapshotsToSend = []
            for request in requests {
                host.flush()
                guard let target = hosts.first(where: { $0.replica == request.replica }),
                    let term = host.core.term(at: host.disk.applied)
                else { continue }
                target.arrived[host.disk.applied] = host.disk
                host.core.snapshotDelivered(
                    to: request.replica,
                    index: host.disk.applied,
                    term: term,
                    configuration: host.disk.configuration
                )
            }
        }
        try settle()
    }
}

extension TestHost {
    /// The other end of a connection closed; returns whether an early campaign is due.
    func hearsClosing(of number: UInt64) -> Bool { core.leaderConnectionClosed(ReplicaID(number)) }

    /// Proposes one entry with this text.
    @discardableResult
    func propose(_ text: String) throws -> LogIndex {
        try core.propose([
            ProposedEntry(kind: .commands, time: core.lastTime, payload: Array(text.utf8), group: settings.group)
        ])
        .first
    }

    /// Proposes a change of the configuration.
    @discardableResult
    func propose(_ change: ConfigurationChange) throws -> LogIndex {
        try core.propose(
            [ProposedEntry(kind: .configuration, time: core.lastTime, payload: change.encoded, group: settings.group)]
        ).first
    }

    /// The texts of the commands that were applied, in order.
    var texts: [String] {
        state.filter { $0.kind == .commands }.map {
            String(decoding: $0.payload, as: UTF8.self)
        }
    }
}
