import DequeModule
package import KVBase
import KVEnvironment
package import KVRaft
import KVService

/// One group's replica on this node: drives the consensus core and does what it decides.
///
/// A turn of the home scheduler goes:
/// 1. Requests, messages and finished log writes arrive and are only taken down.
/// 2. At the end of the turn, writes that came together are proposed as one entry, unless enough of the log's own writes are under
///    way: then they wait and grow, so that batches adapt to the load without a timer.
/// 3. Reads that came together share one round.
/// 4. The core's effects are carried out: messages that may go at once go to the outbox, entries and hard state to the log, and
///    messages that must not overtake their sync wait for it.
/// 5. What is committed and durable here is applied in order, and whoever waits for it is answered.
///
/// SENDABLE: touched on the home scheduler only; jobs elsewhere carry what they need and come back to it.
package final class GroupReplica: @unchecked Sendable {
    /// The group.
    package let id: GroupID
    /// This replica in it.
    package let replica: ReplicaID
    let host: GroupHost
    let settings: GroupSettings
    let machine: any GroupStateMachine
    let store: GroupStore
    let openTablet: TabletOpener
    weak var observer: (any GroupObserver)?

    var core: RaftCore
    var effects = Effects()
    var membership: GroupMembership
    /// On which nodes replicas live that this one hears from and that its configuration does not name yet.
    private var strangers: [ReplicaID: NodeID] = [:]
    private static let strangersMax = 64
    var proposals: Proposals
    var reads = PendingReads()
    var barriers = Barriers()
    var entryClock = EntryClock()
    var applyQueue: Deque<Entry> = []
    /// Whether a snapshot is being put in place.
    var isInstalling = false
    /// Whether an entry waits for blocks from the disk.
    var isApplyBlocked = false
    /// How often applying waited for the disk, or began anew: what came before does not count.
    var applyBlocks: UInt64 = 0
    /// The commit that the log was last told to write by itself; it may be on its way.
    var loggedCommit: LogIndex = 0
    /// To whose node this leader last handed over, without it having taken over; nil where it did, or there was none.
    var lastSuccessor: NodeID?
    /// How often in a row the read failed that applying waits for.
    var readFailures = 0
    /// Who waits for the entry that is being applied.
    var applyingOrigins: [Origin]?
    var logWritesInFlight = 0
    /// The commit index at the last tick.
    var commitAtLastTick: LogIndex = 0
    /// For how many ticks it did not change.
    var ticksAtRest = 0
    /// For how many ticks it did not although this leader has entries that wait for it.
    var ticksStalled = 0
    /// How many of the ticks that the node takes next the core has taken already.
    var ticksAhead = 0
    /// Since when no write of the log has ended although some are under way.
    var logWaitsSince: UInt64 = 0
    /// When leadership was last given away since the own disk is slow.
    var steppedAwayAt: UInt64 = 0
    /// How often that was.
    package internal(set) var stepsAway: UInt64 = 0
    /// Whether the manifest is being told of a new cut.
    var isCutting = false
    /// Through where the manifest says that tablets hold everything.
    var durableCut = LogCut()
    /// The applied entries that are still in memory.
    var inMemory: Deque<(index: LogIndex, bytes: Int)> = []
    var inMemoryBytes = 0
    /// Whether no write is taken, since the disk has no room.
    var isStorageFull = false
    /// Whether nothing is proposed, since memtables wait for their flush.
    var isStorageBehind = false
    var isSweeping = false
    /// Where the newest command to the controller of the node's own accord stands.
    var ownControl: (term: Term, index: LogIndex) = (0, 0)
    var sweptShards = 0
    /// The last piece had many expired keys: the same shard is next.
    var sweepFoundMany = false
    var sweepers: [ShardID: Sweeper] = [:]
    /// The newest write that is durable here.
    private var durableTicket: UInt64 = 0
    private var held: Deque<(ticket: UInt64, messages: [Message])> = []
    /// Why the group stopped for good; nil while it works.
    package internal(set) var stopReason: String?
    /// Whether the replicas hold the same.
    var health = ReplicaHealth()
    /// Why this replica's state is void and is fetched anew; nil while it is well.
    package internal(set) var quarantine: String?
    var ticksInQuarantine = 0
    /// How often a snapshot took the place of a state that was void.
    package internal(set) var rebuilds: UInt64 = 0
    var known = KnownRole()
    var quickElection: (any ScheduledJob)?
    /// Whether an entry that only logs the time is on its way.
    var isTimeProposed = false
    /// Where that entry stands.
    var timeIndex: LogIndex = 0
    var readsForTime: [ReadForTime] = []

    /// The part that the observer last heard of.
    struct KnownRole: Equatable {
        var role = Role.follower
        var term: Term = 0
        var leader: ReplicaID?
    }

    /// A replica that goes on from what the log and the tablets hold.
    package init(
        _ id: GroupID,
        replica: ReplicaID,
        host: GroupHost,
        settings: GroupSettings,
        machine: any GroupStateMachine,
        core: RaftCore,
        membership: GroupMembership,
        store: GroupStore,
        openTablet: @escaping TabletOpener,
        observer: any GroupObserver
    ) {
        self.id = id
        self.replica = replica
        self.host = host
        self.settings = settings
        self.machine = machine
        self.core = core
        self.membership = membership
        self.store = store
        durableCut = LogCut(index: store.state.cutIndex, term: store.state.cutTerm)
        self.openTablet = openTablet
        self.observer = observer
        proposals = Proposals(entryBytesMax: settings.entryBytesMax)
    }

    /// Whether this replica leads.
    package var isLeader: Bool { core.role == .leader && stopReason == nil }

    /// The node that leads, where known.
    package var leaderNode: NodeID? { core.leader.flatMap { membership.node(of: $0) ?? strangers[$0] } }

    // MARK: Inputs

    /// Time passes: to be called every `tickNanoseconds`, or for several ticks at once, as `host.pace` has it.
    package func tick(_ count: Int) {
        guard stopReason == nil else { return }
        noteRest(count)
        for _ in ticksAhead..<max(ticksAhead, count) { core.tick() }
        ticksAhead = 0
        let now = host.clock.monotonicNanoseconds
        noteStorage()
        judgeOwnState()
        tickQuarantine()
        leaveLeadershipToFasterDisk(now)
        proposals.expire(at: now)
        reads.expire(at: now)
        barriers.expire(at: now, ServiceError(.timeout, "group \(id) did not confirm the read in time; try again"))
        host.turnEnd.ask()
    }

    /// A message from another replica arrived.
    package func receive(_ message: Message, from node: NodeID) {
        guard stopReason == nil, message.to == replica else { return }
        // One whose joining is not applied here yet: it is to be answered.
        if membership.node(of: message.from) == nil, strangers.count < Self.strangersMax {
            strangers[message.from] = node
        }
        for entry in message.entries where !entry.holdsChecksum(group: id) {
            // Damaged on the way or at the sender: as if it had been lost. The leader sends it again.
            damagedEntriesReceived += 1
            return
        }
        catchUp()
        // A message that the core refuses is a stray one: the peer's own time-outs repair what it meant to do.
        do {
            try core.step(message)
            if message.kind == .heartbeat || message.kind == .heartbeatResponse { readHealth(message) }
        } catch {
            strayMessages += 1
        }
        host.turnEnd.ask()
    }

    /// How many appends were dropped because an entry failed its checksum.
    package private(set) var damagedEntriesReceived: UInt64 = 0
    /// How many messages the core refused.
    package private(set) var strayMessages: UInt64 = 0
    /// In how many ticks nothing was proposed because storage is behind.
    package private(set) var stalledTicks: UInt64 = 0
    /// How many elections this replica began.
    package internal(set) var electionsBegun: UInt64 = 0
    /// How often it heard of another leader than before.
    package internal(set) var leaderChanges: UInt64 = 0
    /// The leader that it last heard of.
    var lastLeader: ReplicaID?

    /// The connection to the leader was closed by its end: its process is gone or stopping.
    ///
    /// The group elects without waiting for the time-out: each follower asks after a short random while.
    package func leaderConnectionClosed(_ node: NodeID) {
        guard stopReason == nil, let peer = membership.replica(on: node) else { return }
        catchUp()
        guard core.leaderConnectionClosed(peer) else { return }
        let least: UInt64 = 2_000_000
        let delay = least + host.randomness.next() % (settings.quickElectionNanosecondsMax - least)
        quickElection?.cancel()
        quickElection = host.home.schedule(afterNanoseconds: delay) { [weak self] in
            guard let self, self.stopReason == nil else { return }
            self.catchUp()
            self.core.campaignSoon()
            self.host.turnEnd.ask()
        }
        host.turnEnd.ask()
    }

    /// A node's connection went away: probe it before sending more.
    package func peerUnreachable(_ node: NodeID) {
        guard stopReason == nil, let peer = membership.replica(on: node) else { return }
        catchUp()
        core.reportUnreachable(peer)
    }

    /// Takes a request that belongs to a shard of this group.
    ///
    /// Answers at once where it cannot be served.
    package func submit(_ request: RoutedRequest, origin: Origin) {
        if let stopReason {
            origin.fail(ServiceError(.unavailable, "group \(id) stopped on this node: \(stopReason)"))
        } else if let quarantineError {
            origin.fail(quarantineError)
        } else if request.item.operation.isWrite {
            guard proposals.bytes + request.bytes.count <= settings.uncommittedBytesMax else {
                origin.fail(
                    ServiceError(
                        .overloaded,
                        "\(proposals.bytes) bytes wait for their commit already; try again, or send less"
                    )
                )
                return
            }
            guard !isStorageFull else {
                origin.fail(diskFullError)
                return
            }
            proposals.add(request, origin: origin)
        } else {
            guard reads.count < settings.readsWaitingMax else {
                origin.fail(ServiceError(.overloaded, "\(reads.count) reads wait already; try again, or send less"))
                return
            }
            reads.add(request, origin: origin)
        }
    }

    /// Looks at what writes must wait for; asked of every tablet, so once a tick and not once a write.
    func noteStorage() {
        isStorageFull = host.log.isDiskFull || machine.tablets.contains { $0.tablet.isDiskFull }
        isStorageBehind = machine.tablets.contains { $0.tablet.pressure >= 1 }
        if quarantine == nil, core.configuration.replicas.count > 1 {
            for hosted in machine.tablets {
                guard case .damaged(let error) = hosted.tablet.state else { continue }
                quarantine("shard \(hosted.shard) is damaged: \(error)")
            }
        }
        if isStorageBehind { stalledTicks += 1 }
    }

    private var diskFullError: ServiceError {
        ServiceError(.diskFull, "the disk of the leader is full: free space or add some; writes resume by themselves")
    }

    // MARK: The end of a turn

    /// Proposes, reads, and does what the core decided.
    ///
    /// Called once at the end of each turn in which something happened.
    package func endTurn() {
        guard stopReason == nil else { return }
        if core.role == .leader {
            propose()
            if reads.isFilling { beginReadRound() }
        }
        carryOutEffects()
        noticeRoleChange()
    }

    private func propose() {
        // Flushes are behind: writes wait here, bounded, and not in the memtables.
        guard !isStorageBehind, quarantine == nil else { return }
        // Leadership is being handed over: what waits goes with it, or is proposed here where that fails.
        guard core.transferTarget == nil else { return }
        while logWritesInFlight < settings.logWritesInFlightMax || proposals.filling.count > 1 {
            guard let filled = proposals.takeFilled() else { return }
            let payload = filled.entry.payload
            guard payload.count <= EntryFormat.payloadBytesMax else {
                // No message would take it to the others, and nothing behind it would ever be committed.
                proposals.forget(bytes: filled.bytes)
                for origin in filled.origins { origin.fail(RequestBatch.outgrownError(bytes: payload.count)) }
                continue
            }
            do {
                let place = try propose(.commands, payload)
                proposals.wait(filled, index: place.index, term: place.term)
                clockProposal(filled, index: place.index, term: place.term)
            } catch {
                proposals.forget(bytes: filled.bytes)
                for origin in filled.origins {
                    origin.fail(
                        ServiceError(.overloaded, "the log takes no more before some of it is committed; try again")
                    )
                }
            }
            carryOutEffects()
        }
    }

    @discardableResult
    func propose(_ kind: EntryKind, _ payload: [UInt8]) throws -> (index: LogIndex, term: Term) {
        let time = max(core.lastTime, machine.loggedTime, host.clock.wallMilliseconds)
        catchUp()
        let place = try core.propose([ProposedEntry(kind: kind, time: time, payload: payload, group: id)])
        return (place.first, place.term)
    }

    private func beginReadRound() {
        let context = reads.beginRound(now: host.clock.monotonicNanoseconds)
        catchUp()
        do {
            try core.readIndex(context: context)
        } catch {
            returnToRouter(reads.takeRound(context))
        }
    }

    // MARK: Effects

    func carryOutEffects() {
        while stopReason == nil, core.takeEffects(into: &effects) {
            for message in effects.messagesNow { send(message) }
            persist()
            hold()
            clockCommit()
            for entry in effects.entriesToApply { applyQueue.append(entry) }
            for read in effects.readsReady where !barriers.confirm(read.context, at: read.index) {
                reads.confirm(read.context, at: read.index, now: host.clock.monotonicNanoseconds)
            }
            for context in effects.readsFailed where !barriers.fail(context, leadershipLost) {
                returnToRouter(reads.takeRound(context))
            }
            for request in effects.snapshotsToSend { observer?.snapshotNeeded(self, request) }
            if let offer = effects.snapshotToInstall { observer?.installSnapshot(self, offer) }
            for request in effects.entriesNeeded { readEntries(request) }
            if effects.leaveJointWanted {
                // Refused where one is on its way: the core asks again.
                _ = try? propose(.configuration, ConfigurationChange.leaveJoint.encoded)
            }
            applyCommitted()
        }
        serveReads()
    }

    private func send(_ message: Message) {
        guard let node = membership.node(of: message.to) ?? strangers[message.to] else { return }
        var message = message
        addHealth(to: &message)
        host.outbox.add(.raft(id, message), to: node)
    }

    private func persist() {
        guard effects.needsPersisting else { return }
        let ticket = effects.ticket
        let last = effects.entries.last?.index
        if logWritesInFlight == 0 { logWaitsSince = host.clock.monotonicNanoseconds }
        logWritesInFlight += 1
        host.queue(
            NodeLogWork(group: id, entries: effects.entries, hardState: effects.hardState) { [weak self] in
                self?.logWritten(ticket, through: last)
            }
        )
    }

    /// Messages that must not overtake a sync wait for its ticket.
    private func hold() {
        guard !effects.messagesAfterPersist.isEmpty else { return }
        if effects.ticket <= durableTicket {
            for message in effects.messagesAfterPersist { send(message) }
        } else {
            held.append((effects.ticket, effects.messagesAfterPersist))
        }
    }

    private func logWritten(_ ticket: UInt64, through last: LogIndex?) {
        logWritesInFlight -= 1
        logWaitsSince = host.clock.monotonicNanoseconds
        guard stopReason == nil else { return }
        if let last { entryClock.sync(through: last, began: host.log.lastWrite.began, ended: host.log.lastWrite.ended) }
        precondition(ticket > durableTicket, "ticket \(ticket) after \(durableTicket)")
        durableTicket = ticket
        core.persisted(ticket: ticket)
        while let first = held.first, first.ticket <= ticket {
            held.removeFirst()
            for message in first.messages { send(message) }
        }
        host.turnEnd.ask()
    }

    /// Reads entries that left memory, for a follower that is behind or to apply them.
    private func readEntries(_ need: EntryRequest) {
        host.log.read(id, from: need.first, to: need.last + 1, bytesMax: need.bytesMax) { [weak self] result in
            guard let self, self.stopReason == nil else { return }
            switch result {
            case .success(let entries): self.supply(entries, for: need)
            // Dropped or overwritten since: the core is told that there are none, and goes on from what the log has now.
            case .failure(.unavailable): self.supply([], for: need)
            case .failure(let error):
                self.stop("entries \(need.first) to \(need.last) of its log cannot be read: \(error)")
            }
        }
    }

    private func supply(_ entries: [Entry], for need: EntryRequest) {
        // Refused where the log was overwritten meanwhile: the core asks again.
        try? core.supplyEntries(entries, for: need)
        host.turnEnd.ask()
    }

    private var leadershipLost: ServiceError {
        ServiceError(.noLeader, "leadership of group \(id) changed during the read; try again")
    }

    private func noticeRoleChange() {
        let now = KnownRole(role: core.role, term: core.term, leader: core.leader)
        guard now != known else { return }
        let wasLeader = known.role == .leader
        countElection(from: known, to: now)
        known = now
        if wasLeader, now.role != .leader { giveBack() }
        if now.role != .leader {
            health.forgetReports()
            lastSuccessor = nil
        }
        if core.leader != nil {
            quickElection?.cancel()
            quickElection = nil
        }
        observer?.groupChanged(self)
    }

    /// Leadership is lost: what was not proposed yet is for someone else, and so are all reads without an index.
    func giveBack() {
        while let filled = proposals.takeFilled() {
            proposals.forget(bytes: filled.bytes)
            filled.forEachRequest { bytes, item, origin in observer?.reroute(bytes, item: item, origin: origin) }
        }
        for batch in reads.takeUnconfirmed() { returnToRouter(batch) }
        for read in readsForTime {
            read.withRequest { observer?.reroute($0.bytes, item: $0.item, origin: read.origin) }
        }
        readsForTime = []
        isTimeProposed = false
    }

    func returnToRouter(_ batch: PendingReads.Batch?) {
        batch?.visit { request, origin in observer?.reroute(request.bytes, item: request.item, origin: origin) }
    }

    /// The group takes no further part on this node: its data or its log is damaged.
    package func stop(_ reason: String) {
        guard stopReason == nil else { return }
        stopReason = reason
        quickElection?.cancel()
        failApplying("the group stopped on this node: \(reason)")
        barriers.failAll(ServiceError(.unavailable, "group \(id) stopped on this node: \(reason)"))
        proposals.failAllWaiters()
        giveBack()
        for batch in reads.takeAll() { returnToRouter(batch) }
        observer?.groupStopped(self, reason: reason)
    }
}

// MARK: What it is now

extension GroupReplica {
    /// Whether a caller waits here for a write.
    package var hasWritesInFlight: Bool { !proposals.waiters.isEmpty || !proposals.filling.isEmpty }
    /// Its role.
    package var role: Role { core.role }
    /// Its term.
    package var term: Term { core.term }
    /// The highest index known to be committed.
    package var commitIndex: LogIndex { core.commit }
    /// The highest index applied.
    package var appliedIndex: LogIndex { core.applied }
    /// The first index that the log still has.
    package var firstIndex: LogIndex { core.firstIndex }
    /// The last index of the log.
    package var lastIndex: LogIndex { core.lastIndex }
    /// The term of the last entry.
    package var lastTerm: Term { core.term(at: core.lastIndex) ?? 0 }
    /// As leader: what it knows of each replica.
    package var progress: [ReplicaProgress] { core.progress }
    /// The tablets that hold its state.
    package var tablets: [HostedTablet] { machine.tablets }
    /// The node on which a replica lives.
    package func node(of replica: ReplicaID) -> NodeID? { membership.node(of: replica) }
}
