import KVBase
import KVRaft
import KVService

// Where the time of requests goes: the clock is read once for an entry and stage, never for a request.

extension GroupReplica {
    /// An entry with callers was proposed.
    func clockProposal(_ filled: Proposals.Filling, index: LogIndex, term: Term) {
        guard host.timings.isTiming else { return }
        entryClock.propose(
            index,
            term,
            requests: filled.origins.count,
            arrived: filled.origins.first.map(arrival) ?? 0,
            now: host.clock.monotonicNanoseconds
        )
    }

    /// Entries are about to be applied.
    func clockCommit() {
        guard let last = effects.entriesToApply.last?.index, entryClock.isOpen(last) else { return }
        entryClock.commit(through: last, now: host.clock.monotonicNanoseconds)
    }

    /// An entry was applied and its callers were answered.
    func clockApplied(_ entry: Entry) {
        guard entryClock.isOpen(entry.index),
            let (stages, requests) = entryClock.apply(
                entry.index,
                entry.term,
                now: host.clock.monotonicNanoseconds
            )
        else { return }
        host.timings.record(stages, requests: requests)
        guard host.timings.slow.isSlow(stages.total) else { return }
        entry.payload.withUnsafeBytes { payload in
            var reader = EntryReader(payload)
            // It was applied, so it can be read; one that could not would only be missing here.
            guard let command = try? reader.next() else { return }
            noteSlow(command.request(in: payload), command.shard, requests, entry.index, stages)
        }
    }

    /// Reads of a round were served from memory, or handed to a worker.
    func clockReads(_ batch: PendingReads.Batch) {
        guard host.timings.isTiming, let first = batch.items.first else { return }
        let arrived = min(arrival(first.origin), batch.began)
        var stages = SlowRequest.Stages()
        stages.queue = batch.began - arrived
        stages.replicate = max(batch.confirmed, batch.began) - batch.began
        stages.apply = max(host.clock.monotonicNanoseconds, batch.confirmed) - batch.confirmed
        host.timings.reads.observe(stages.total, times: UInt64(batch.items.count))
        host.timings.readsPerRound.observe(UInt64(batch.items.count))
        guard host.timings.slow.isSlow(stages.total) else { return }
        var isNoted = false
        batch.visit { request, _ in
            if !isNoted { noteSlow(request.bytes, request.shard, batch.items.count, batch.index, stages) }
            isNoted = true
        }
    }

    /// When a request came to this node: its deadline less the time that every request has.
    private func arrival(_ origin: Origin) -> UInt64 {
        origin.deadline > settings.requestTimeoutNanoseconds ? origin.deadline - settings.requestTimeoutNanoseconds : 0
    }

    private func noteSlow(
        _ bytes: UnsafeRawBufferPointer,
        _ shard: ShardID,
        _ requests: Int,
        _ index: LogIndex,
        _ stages: SlowRequest.Stages
    ) {
        // As above.
        guard let request = try? Request(bytes) else { return }
        host.timings.slow.add(
            SlowRequest(
                id: 0,
                finishedAt: host.clock.wallMilliseconds,
                group: id,
                shard: shard,
                operation: request.operation,
                key: Array(request.key),
                requests: requests,
                index: index,
                stages: stages
            )
        )
    }

    /// What waits here: reads and scans for their index, entries to be applied, and bytes of writes that are not committed.
    package var queues: (reads: Int, barriers: Int, applyEntries: Int, proposalBytes: Int) {
        (reads.count, barriers.count, applyQueue.count, proposals.bytes)
    }

    /// Counts elections begun here and changes of the leader.
    func countElection(from old: KnownRole, to new: KnownRole) {
        if new.role == .candidate || new.role == .preCandidate, old.role != new.role || old.term != new.term {
            electionsBegun += 1
        }
        if let leader = new.leader, leader != lastLeader {
            lastLeader = leader
            leaderChanges += 1
        }
    }
}
