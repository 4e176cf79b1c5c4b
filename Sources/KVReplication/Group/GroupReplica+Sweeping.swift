import KVBase
package import KVEnvironment
import KVRaft
import KVService
import KVStorage

// Expired keys: the leader looks for them piece by piece and logs their removal, so that all replicas remove the same.

extension GroupReplica {
    /// Looks at the next piece of the next shard; to be called about once a second.
    ///
    /// Where the last piece had many expired keys it goes on with that shard, and may be called five times as often to that
    /// end alone (`isGoingOn`).
    package func sweep(on workers: any WorkerPool, isGoingOn: Bool = false) {
        if isGoingOn, !sweepFoundMany { return }
        guard core.role == .leader, stopReason == nil, !isSweeping, let shards = machine as? ShardGroupMachine else {
            return
        }
        let pinned = shards.pin()
        guard !pinned.isEmpty else { return }
        if !sweepFoundMany { sweptShards += 1 }
        let place = sweptShards % pinned.count
        let shard = pinned[place]
        let epoch = shard.mark.epoch
        let before = sweepers[shard.shard] ?? Sweeper()
        // The sweep is logged later than now, so what has expired by now has expired by then.
        let time = max(machine.loggedTime, host.clock.wallMilliseconds)
        isSweeping = true
        workers.submit { [weak self, home = host.home] in
            var sweeper = before
            let result = Result<Sweep, any Error> {
                let (keys, isAtEnd) = try sweeper.round(shard, time: time)
                return Sweep(keys: keys, isAtEnd: isAtEnd, records: try sweeper.recordRound(shard, time: time))
            }
            let after = sweeper
            home.execute { [weak self] in self?.swept(shard.shard, epoch, after, result) }
        }
    }

    private func swept(
        _ shard: ShardID,
        _ epoch: Epoch,
        _ sweeper: Sweeper,
        _ result: Result<Sweep, any Error>
    ) {
        isSweeping = false
        sweepFoundMany = false
        // A shard that cannot be read is found by whoever reads it; the sweep goes on with the next.
        guard case .success(let found) = result else { return }
        sweepers[shard] = sweeper
        // A piece that ended for the keys it found, not for the rows it looked at.
        sweepFoundMany = !found.isAtEnd && found.keys.count * 64 >= Sweeper.foundMax
        guard core.role == .leader, stopReason == nil, !found.keys.isEmpty || !found.records.isEmpty else { return }
        var entry = EntryBuilder()
        for expired in found.keys {
            entry.appendSweep(expired.key, version: expired.version, shard: shard, epoch: epoch)
        }
        for record in found.records { entry.appendSweep(record: record, shard: shard, epoch: epoch) }
        // Where the log takes no more now, the next round finds them again.
        _ = try? propose(.commands, entry.take())
        host.turnEnd.ask()
    }
}

/// What a piece of a shard held.
private struct Sweep {
    let keys: [Sweeper.Expired]
    /// Whether the piece ended where the shard's keys end.
    let isAtEnd: Bool
    let records: [[UInt8]]
}
