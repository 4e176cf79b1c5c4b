package import KVBase
import KVRaft
package import KVService

// A replica whose state is damaged or differs from the majority's keeps its log, votes and acknowledges, and applies nothing more: it is in
// quarantine. It leads nobody and serves nobody until a snapshot of the leader took its tablets' place.
//
//     healthy ── differs · damaged ──▶ quarantined: asks the leader ──▶ snapshot put in place ──▶ healthy

extension GroupReplica {
    /// How many ticks pass between two requests for a snapshot.
    private static let rebuildTicks = 20
    /// By the file that is here a quarantine outlives the process.
    private var quarantinePath: String { store.directory + ".quarantined" }

    /// Why the state in its tablets is not to be believed, where a process before this one found that out.
    package var rebuildReason: String? {
        guard host.fileSystem.exists(quarantinePath) else { return nil }
        // What cannot be read was written all the same.
        let reason = (try? host.fileSystem.readAll(quarantinePath)).map { String(decoding: $0, as: UTF8.self) }
        return reason ?? "it was to be rebuilt when the node stopped"
    }

    /// Goes on with a quarantine from before the process started.
    package func resumeQuarantine() {
        if let rebuildReason { quarantine(rebuildReason, isKept: true) }
    }

    /// Nodes whose replicas differ from what the majority has, as far as this leader heard.
    package var differingNodes: [NodeID] {
        guard isLeader else { return [] }
        return health.differing.keys.compactMap { membership.node(of: $0) }.sorted()
    }

    /// An entry was applied: at each multiple of the interval the state is noted.
    func noteHealth(_ index: LogIndex) {
        if index % ReplicaHealth.interval == 0 { noteState(at: index) }
    }

    /// Nothing was committed for a while: what came after the last multiple of the interval would stay unseen for as long.
    ///
    /// All replicas come to rest at the same index.
    func noteHealthAtRest(_ index: LogIndex) {
        if quarantine == nil, index > health.newest?.index ?? 0 { noteState(at: index) }
    }

    private func noteState(at index: LogIndex) {
        var digest = ContentHash()
        for hosted in machine.tablets {
            let mark = hosted.tablet.mark
            // After a restart a tablet may be ahead of what is applied again.
            guard mark.appliedIndex <= index else { return }
            digest.add(UInt64(hosted.shard.rawValue))
            digest.add(mark.chainedHash)
            digest.add(mark.revision)
        }
        health.note(ReplicaHealth.Sample(index: index, digest: digest.value))
    }

    /// Heartbeats carry what the majority agrees on, their answers what this replica has: two numbers that they have no other use for.
    func addHealth(to message: inout Message) {
        let sample: ReplicaHealth.Sample? =
            switch message.kind {
            case .heartbeat: health.agreed
            case .heartbeatResponse: quarantine == nil ? health.newest : nil
            default: nil
            }
        guard let sample else { return }
        message.index = sample.index
        message.rejectHint = sample.digest
    }

    /// Looks at what a heartbeat or its answer says of another replica's state.
    ///
    /// What is of another term says nothing: its sender may not be what it was.
    func readHealth(_ message: Message) {
        guard message.index > 0, message.term == core.term, quarantine == nil,
            core.configuration.contains(message.from)
        else { return }
        let sample = ReplicaHealth.Sample(index: message.index, digest: message.rejectHint)
        switch message.kind {
        case .heartbeat:
            if message.from == core.leader, health.contradicts(sample) { quarantine(difference(sample), isKept: true) }
        case .heartbeatResponse:
            guard core.role == .leader else { return }
            let voters = core.configuration.voters
            if health.reported(sample, by: message.from, own: replica, voters: voters) {
                quarantine(difference(sample), isKept: true)
            }
        default: break
        }
    }

    /// A leader may hear what the others have before it applied as much itself: nobody else tells it of a difference.
    func judgeOwnState() {
        guard quarantine == nil, core.role == .leader, let newest = health.newest,
            health.judgeNewest(own: replica, voters: core.configuration.voters)
        else { return }
        quarantine(difference(newest), isKept: true)
    }

    private func difference(_ sample: ReplicaHealth.Sample) -> String {
        "its state at entry \(sample.index) differs from what a majority of the replicas has"
    }

    /// Stops applying and asks for the leader's state; where nobody else has it, the group stops here.
    ///
    /// What was found by comparing with others is kept over a restart; what this replica found itself it finds again, or it is over:
    /// that a process had no descriptor left must not bind the next one.
    package func quarantine(_ reason: String, isKept: Bool = false) {
        guard stopReason == nil, quarantine == nil else { return }
        guard core.configuration.replicas.contains(where: { $0 != replica }) else { return stop(reason) }
        quarantine = reason
        ticksInQuarantine = 0
        // Where it cannot be written, what is found again is found again.
        if isKept { try? host.fileSystem.replace(quarantinePath, with: Array(reason.utf8)) }
        catchUp()
        core.beginRebuild()
        failApplying("the group is rebuilt on this node: \(reason)")
        proposals.failAllWaiters()
        giveBack()
        if let quarantineError { barriers.failAll(quarantineError) }
        for batch in reads.takeAll() { returnToRouter(batch) }
        observer?.groupQuarantined(self, reason: reason)
        host.turnEnd.ask()
    }

    /// Time passes in quarantine.
    func tickQuarantine() {
        guard quarantine != nil, !isInstalling else { return }
        defer { ticksInQuarantine += 1 }
        guard ticksInQuarantine % Self.rebuildTicks == 0 else { return }
        if core.role == .leader {
            // Refused where nobody is fit: it is tried again.
            if let node = successor(where: { _ in true }) { try? transferLeadership(to: node) }
        } else {
            core.askForRebuild()
        }
    }

    /// A snapshot took the place of the tablets.
    func endQuarantine() {
        health.reset()
        guard quarantine != nil else { return }
        quarantine = nil
        rebuilds += 1
        // Left behind, it asks for one snapshot too many at the next start.
        try? host.fileSystem.remove(quarantinePath)
        observer?.groupRebuilt(self)
    }

    /// What whoever asks is told meanwhile.
    package var quarantineError: ServiceError? {
        quarantine.map {
            ServiceError(.unavailable, "group \(id) is rebuilt on this node from the leader's snapshot: \($0)")
        }
    }
}
