import KVBase
import KVRaft
import Testing

/// Groups under loss, repetition, reordering, crashes, slow disks, log cuts, snapshots and changes of membership.
///
/// After every step: one leader for each term, no committed entry ever differs, and no read may miss what was committed
/// before it was asked.
struct ChaosTests {
    @Test func `no committed entry changes, whatever the network and the disks do`() throws {
        var counts: [String: Int] = [:]
        for seed: UInt64 in 1...16 { try Self.run(seed, changesMembership: false, &counts) }
        // A fault that never happened was not tested.
        for name in Self.faults { #expect(counts[name, default: 0] > 5, "\(name) in \(counts)") }
        #expect(counts["proposed", default: 0] > 500 && counts["reads", default: 0] > 100, "\(counts)")
    }

    @Test func `the same holds while the membership changes`() throws {
        var counts: [String: Int] = [:]
        for seed: UInt64 in 1...16 { try Self.run(seed, changesMembership: true, &counts) }
        for name in Self.faults + ["changes", "joint"] {
            #expect(counts[name, default: 0] > 5, "\(name) in \(counts)")
        }
    }

    private static let faults = [
        "lost", "repeated", "reordered", "crashed", "restarted", "cut", "snapshots", "elections", "applied",
    ]

    private static func run(
        _ seed: UInt64,
        changesMembership: Bool,
        isVaried: Bool = false,
        _ counts: inout [String: Int]
    ) throws {
        var chaos = try Chaos(seed: seed, changesMembership: changesMembership, isVaried: isVaried)
        do {
            try chaos.run(steps: 2_000)
            try chaos.heal()
        } catch {
            throw ChaosFailure(description: "seed \(seed): \(error)")
        }
        counts.merge(chaos.counts) { $0 + $1 }
    }

    @Test func `the same holds with other settings and replicas that fetch their state anew`() throws {
        var counts: [String: Int] = [:]
        for seed: UInt64 in 1...16 {
            try Self.run(seed, changesMembership: seed % 3 == 0, isVaried: true, &counts)
        }
        #expect(counts["rebuilds", default: 0] > 5, "\(counts)")
    }

    /// Each error that is planted on purpose is seen by these tests, from any of three starts.
    @Test(arguments: [
        ("applied ahead of the own log", PlantedBugs.appliedAheadOfOwnLog), ("vote not synced", .voteNotSynced),
        ("old term committed by counting", .commitOldTermByCounting),
        ("previous entry not checked", .skipPreviousEntryCheck),
        ("stale report of durability accepted", .stalePersistedAckAccepted),
        ("acknowledged before the sync", .acknowledgeBeforeSync),
        ("a leader's reads without a round", .readsWithoutRound),
        ("a follower's reads without the leader's index", .followerReadsWithoutIndex),
    ])
    func `a planted bug is found`(_ name: String, _ bug: PlantedBugs) throws {
        for start: UInt64 in [0, 10_000, 20_000] {
            var found: (seed: UInt64, failure: any Error)?
            for seed in start..<(start + 3_000) where found == nil {
                do {
                    var chaos = try Chaos(seed: seed, changesMembership: false, plantedBugs: bug)
                    try chaos.run(steps: 2_000)
                } catch {
                    found = (seed, error)
                }
            }
            #expect(found != nil, "\(name) from seed \(start)")
        }
    }
}

struct ChaosFailure: Error, CustomStringConvertible {
    let description: String
}

struct Chaos {
    private var generator: TestGenerator
    private let cluster: TestCluster
    private let changesMembership: Bool
    private let isVaried: Bool
    /// What all replicas decided so far, as a number.
    var digest: UInt64 { cluster.hosts.reduce(0) { $0 &* 31 &+ $1.digest.value } }
    private var leaders: [Term: ReplicaID] = [:]
    private var firstCommits: [Term: LogIndex] = [:]
    private var committed: [Entry] = []
    private var checkedCounts: [ReplicaID: Int] = [:]
    private var reads: [UInt64: LogIndex] = [:]
    private var lastRead: UInt64 = 0
    private var proposals = 0
    private(set) var counts: [String: Int] = [:]

    /// A group; where it is varied, settings differ from seed to seed and replicas lose what they applied now and then.
    init(seed: UInt64, changesMembership: Bool, plantedBugs: PlantedBugs = [], isVaried: Bool = false) throws {
        generator = TestGenerator(seed: seed)
        self.changesMembership = changesMembership
        self.isVaried = isVaried
        let settings = TestCluster.settings {
            $0.tracesEvents = false
            $0.electionTicks = 6
            $0.inflightMessagesMax = 4
            $0.messageBytesMax = 200
            $0.applyPageBytesMax = 200
            // A replica that was removed and does not know it needs these to be kept from disturbing.
            $0.preVotes = seed % 4 != 0 || changesMembership
            $0.checksQuorum = seed % 3 != 0 || changesMembership
            $0.plantedBugs = plantedBugs
            guard isVaried else { return }
            $0.tellsCommitAtTicks = seed % 2 == 0
            $0.uncommittedBytesMax = seed % 5 == 0 ? 300 : $0.uncommittedBytesMax
            $0.pendingReadsMax = seed % 7 == 0 ? 2 : $0.pendingReadsMax
            $0.inflightBytesMax = seed % 3 == 1 ? 150 : $0.inflightBytesMax
            $0.applyingBytesMax = seed % 3 == 2 ? 300 : $0.applyingBytesMax
            $0.isLeaseEnabled = seed % 11 == 0
        }
        cluster = try TestCluster(3, settings: settings, isFounded: true)
        if changesMembership {
            for number: UInt64 in 4...5 {
                cluster.hosts.append(
                    try TestHost(ReplicaID(number), settings: settings, disk: TestDisk(), seed: seed &+ number)
                )
            }
        }
        for host in cluster.hosts { host.writesAreImmediate = false }
    }

    mutating func run(steps: Int) throws {
        for _ in 0..<steps {
            try act()
            try cluster.collect()
            try check()
        }
    }

    private mutating func count(_ name: String) { counts[name, default: 0] += 1 }

    private mutating func pick() -> TestHost {
        cluster.hosts[Int.random(in: 0..<cluster.hosts.count, using: &generator)]
    }

    private mutating func act() throws {
        let host = pick()
        switch Int.random(in: 0..<100, using: &generator) {
        case 0..<16:
            if !host.isDown { host.core.tick() }
        case 16..<58:
            // A backlog that only grows would make every message stale.
            for _ in 0...(cluster.messages.count / 8) { try deliverOne() }
        case 58..<74:
            if !host.isDown { try host.finishWrites(Int.random(in: 0...2, using: &generator)) }
        case 74..<82:
            propose()
        case 82..<86:
            read(host)
        case 86..<90:
            try keepHouse(host)
        case 90..<93:
            try crashOrRestart(host)
        case 93..<96:
            for host in cluster.hosts { try ship(host) }
        case 96..<97:
            if generator.oneIn(3) { cutOff(host) } else { disturb(host) }
        default:
            change()
        }
    }

    private mutating func deliverOne() throws {
        guard !cluster.messages.isEmpty else { return }
        // Mostly the oldest; now and then any: that is reordering.
        let place = generator.oneIn(5) ? Int.random(in: 0..<cluster.messages.count, using: &generator) : 0
        if place > 0 { count("reordered") }
        let message = cluster.messages[place]
        if generator.oneIn(20) {
            count("repeated")
        } else {
            cluster.messages.remove(at: place)
        }
        if generator.oneIn(12) {
            count("lost")
            return
        }
        try cluster.deliver(message)
    }

    private mutating func propose() {
        guard
            let leader = cluster.hosts.filter({ !$0.isDown && $0.core.role == .leader }).randomElement(
                using: &generator
            )
        else { return }
        proposals += 1
        // Refusals are part of the game.
        if (try? leader.propose("value \(proposals)")) != nil { count("proposed") }
    }

    private mutating func read(_ host: TestHost) {
        guard !host.isDown else { return }
        lastRead += 1
        reads[lastRead] = LogIndex(committed.count)
        // Refusals are part of the game.
        if (try? host.core.readIndex(context: lastRead)) == nil { reads[lastRead] = nil }
    }

    private mutating func keepHouse(_ host: TestHost) throws {
        guard !host.isDown else { return }
        switch Int.random(in: 0..<4, using: &generator) {
        case 0:
            host.flush()
        case 1:
            host.core.evict(through: host.core.applied)
        default:
            host.flush()
            let kept = min(host.disk.applied, LogIndex.random(in: 0...1, using: &generator))
            host.cutLog(through: host.disk.applied - kept)
            count("cut")
        }
    }

    private mutating func crashOrRestart(_ host: TestHost) throws {
        if host.isDown {
            let evicting = Int.random(in: 0...host.disk.entries.count, using: &generator)
            try host.restart(seed: generator.next(), evicting: evicting)
            // It applies again from where it was flushed.
            checkedCounts[host.replica] = 0
            count("restarted")
        } else if generator.oneIn(4) {
            try host.crash(keeping: Int.random(in: 0...host.writes.count, using: &generator))
            count("crashed")
        }
    }

    private mutating func ship(_ host: TestHost) throws {
        guard !host.isDown, let request = host.snapshotsToSend.first else { return }
        host.snapshotsToSend.removeFirst()
        guard !generator.oneIn(4), let target = cluster.hosts.first(where: { $0.replica == request.replica }),
            !target.isDown
        else {
            host.core.reportSnapshotFailed(request.replica)
            return
        }
        host.flush()
        guard let term = host.core.term(at: host.disk.applied) else { return }
        target.arrived[host.disk.applied] = host.disk
        host.core.snapshotDelivered(
            to: request.replica,
            index: host.disk.applied,
            term: term,
            configuration: host.disk.configuration
        )
        count("snapshots")
    }

    private mutating func cutOff(_ host: TestHost) {
        if cluster.cutOff.isEmpty { cluster.cutOff = [host.replica] } else { cluster.cutOff = [] }
    }

    private mutating func disturb(_ host: TestHost) {
        guard !host.isDown else { return }
        switch Int.random(in: 0..<(isVaried ? 7 : 5), using: &generator) {
        case 5:
            host.core.beginRebuild()
            host.core.askForRebuild()
            count("rebuilds")
        case 6: host.core.askForRebuild()
        case 0: host.core.campaign()
        case 1: host.core.forgetLeader()
        case 2:
            if let leader = host.core.leader, host.core.leaderConnectionClosed(leader) { host.core.campaignSoon() }
        case 3: host.core.reportUnreachable(pick().replica)
        default:
            let target = pick().replica
            // Refusals are part of the game.
            try? host.core.transferLeadership(to: target)
        }
    }

    private mutating func change() {
        guard changesMembership, let leader = cluster.leader else { return }
        let change: ConfigurationChange
        if leader.leaveJointWanted || leader.core.configuration.isJoint {
            change = .leaveJoint
        } else {
            let steps: [ConfigurationChange.Step] = [.addVoter, .addLearner, .remove]
            let items = (0..<Int.random(in: 1...2, using: &generator)).map { _ in
                ConfigurationChange.Item(steps.randomElement(using: &generator) ?? .update, pick().replica)
            }
            let transitions: [ConfigurationChange.Transition] = [.automatic, .jointAutomatic, .jointExplicit]
            change = ConfigurationChange(
                transition: transitions.randomElement(using: &generator) ?? .automatic,
                items: items
            )
        }
        // Refusals are part of the game.
        if (try? leader.propose(change)) != nil { count("changes") }
    }

    private var summary: String {
        cluster.hosts.map { host in
            let core = host.core
            return
                "\(host.replica) is \(core.role) of term \(core.term), log \(core.firstIndex)…\(core.lastIndex), committed "
                + "\(core.commit), applied \(core.applied), \(ScenarioText.configuration(core.configuration))"
        }.joined(separator: "; ")
    }

    // MARK: What must hold

    private mutating func check() throws {
        for host in cluster.hosts where !host.isDown {
            let core = host.core
            if core.configuration.isJoint { count("joint") }
            if core.role == .leader {
                if let other = leaders[core.term], other != host.replica {
                    throw ChaosFailure(description: "\(other) and \(host.replica) lead term \(core.term)")
                }
                if leaders.updateValue(host.replica, forKey: core.term) == nil {
                    count("elections")
                    firstCommits[core.term] = core.commit
                    // What a later leader committed an earlier one need not hold.
                    for entry in committed
                    where leaders.keys.max() == core.term && entry.index > core.commit
                        && core.term(at: entry.index) != entry.term
                    {
                        throw ChaosFailure(
                            description: "\(host.replica) leads without committed \(entry.term)/\(entry.index)"
                        )
                    }
                }
                if core.commit > firstCommits[core.term, default: 0], core.term(at: core.commit) != core.term {
                    throw ChaosFailure(
                        description: "term \(core.term) committed an older one's \(core.commit) by counting"
                    )
                }
            }
            try checkApplied(host)
            let durable = core.durableIndex
            guard durable <= host.disk.lastIndex,
                durable <= host.disk.cutIndex || host.disk.entry(at: durable)?.term == core.term(at: durable)
            else {
                throw ChaosFailure(description: "\(host.replica) takes \(durable) for durable, the disk holds another")
            }
            for read in host.ready {
                if let needed = reads[read.context], read.index < needed {
                    throw ChaosFailure(
                        description: "\(host.replica) may read at \(read.index) what \(needed) was applied before"
                    )
                }
                count("reads")
            }
            host.ready = []
            host.failed = []
        }
    }

    private mutating func checkApplied(_ host: TestHost) throws {
        let checked = min(checkedCounts[host.replica, default: 0], host.state.count)
        for entry in host.state[checked...] {
            let place = Int(entry.index) - 1
            if place == committed.count {
                committed.append(entry)
            } else if committed[place] != entry {
                throw ChaosFailure(
                    description:
                        "\(host.replica) applied \(entry.term)/\(entry.index), others term \(committed[place].term)"
                )
            }
        }
        if host.state.count > checked { count("applied") }
        checkedCounts[host.replica] = host.state.count
    }

    /// Repairs everything; then the group must make progress and its members agree.
    mutating func heal() throws {
        cluster.cutOff = []
        for host in cluster.hosts {
            // One that waits for a snapshot would lead nobody; as far as this test goes its state is what it was.
            if host.core.isRebuilding, !host.isDown { try host.crash(keeping: host.writes.count) }
            if host.isDown { try host.restart(seed: generator.next(), evicting: 0) }
            host.writesAreImmediate = true
            try host.finishWrites(host.writes.count)
        }
        for round in 0..<300 {
            try cluster.tick()
            try cluster.shipSnapshots()
            if let leader = cluster.leader, leader.leaveJointWanted {
                // Another change may be under way.
                _ = try? leader.propose(ConfigurationChange.leaveJoint)
            }
            if round == 200, let leader = cluster.leader { try leader.propose("last") }
            try check()
        }
        guard let leader = cluster.leader else {
            throw ChaosFailure(description: "nobody leads after all is repaired: \(summary)")
        }
        guard leader.texts.last == "last" else {
            throw ChaosFailure(description: "nothing is committed after all is repaired: \(summary)")
        }
        for member in leader.core.configuration.replicas where cluster[member.rawValue].state != leader.state {
            throw ChaosFailure(
                description:
                    "\(member) applied \(cluster[member.rawValue].core.applied), the leader \(leader.core.applied): \(leader.core.progress)"
            )
        }
    }
}
