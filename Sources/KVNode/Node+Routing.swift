import KVBase
import KVReplication
package import KVService

// From an edge to the group that serves: here where this node leads, else over the peer connection to the node that does, else
// into the queue of those who wait for a leader.

extension Node {
    package func submit(_ batch: borrowing RequestBatch, to sink: any ReplySink) {
        if home.isCurrent {
            route(batch, to: sink)
        } else {
            let copy = copy batch
            home.execute { self.route(copy, to: sink) }
        }
    }

    private func route(_ batch: borrowing RequestBatch, to sink: any ReplySink) {
        if let rest = batch.withoutOutgrown({ sink.complete($0, .failed(RequestBatch.outgrownError(bytes: $1))) }) {
            return route(rest, to: sink)
        }
        let deadline = clock.monotonicNanoseconds + settings.group.requestTimeoutNanoseconds
        let items = batch.items
        batch.bytes.withUnsafeBytes { bytes in
            for item in items {
                let start = Int(item.offset)
                let request = UnsafeRawBufferPointer(rebasing: bytes[start..<(start + Int(item.length))])
                route(request, item: item, origin: Origin(sink: sink, tag: item.tag, deadline: deadline))
            }
        }
        turnEnd.ask()
    }

    package func submit(
        _ request: ShardRequest,
        completion: @escaping @Sendable (Result<Bool, ServiceError>) -> Void
    ) {
        onHome { [self] in
            var batch = RequestBatch()
            for number in 0..<shardMap.shardCount {
                let first = shardMap.slots(of: ShardID(UInt32(number))).lowerBound
                request.add(to: &batch, Slot(rawValue: UInt16(first)), tag: UInt64(number))
            }
            route(batch, to: ShardReplies(count: shardMap.shardCount, completion))
        }
    }

    /// Sends one request where it belongs.
    ///
    /// The caller asks for the turn's end.
    func route(_ bytes: UnsafeRawBufferPointer, item: RequestBatch.Item, origin: Origin, isRetry: Bool = false) {
        if let retirement { return origin.fail(retirement) }
        let shard = shardMap.shard(of: item.slot)
        let owner = shardMap.owner(of: shard)
        guard let group = groups[owner.group] else {
            origin.fail(ServiceError(.unavailable, "group \(owner.group) has no replica on node \(settings.node)"))
            return
        }
        let request = RoutedRequest(bytes: bytes, item: item, shard: shard, epoch: owner.epoch)
        if item.consistency == .stale, !item.operation.isWrite {
            group.readStale(request, origin: origin)
        } else if !isRetry, waiting.count > 0 {
            wait(bytes, item: item, origin: origin)
        } else if group.isLeader {
            group.submit(request, origin: origin)
        } else if item.redirects, let leader = group.leaderNode, leader != settings.node {
            origin.fail(ServiceError(.notLeader, "node \(leader) leads this shard", leader: leader, slot: item.slot))
        } else if let leader = group.leaderNode, leader != settings.node, isConnected(leader) {
            guard proxies.count < settings.proxiedRequestsMax else {
                origin.fail(
                    ServiceError(.overloaded, "\(proxies.count) requests wait for node \(leader) already; send less")
                )
                return
            }
            proxies.add(request, origin: origin, target: leader, group: group.id, joinsPrevious: item.joinsPrevious)
        } else {
            wait(bytes, item: item, origin: origin)
        }
    }

    /// Puts a request that nobody can serve now into the queue of those that try again when a leader is known.
    func wait(_ bytes: UnsafeRawBufferPointer, item: RequestBatch.Item, origin: Origin) {
        let until = min(origin.deadline, clock.monotonicNanoseconds + settings.leaderWaitNanoseconds)
        guard waiting.add(bytes, item: item, origin: origin, until: until) else {
            origin.fail(ServiceError(.overloaded, "\(waiting.count) requests wait for a leader already; send less"))
            return
        }
    }

    /// Tries again what waits for a leader.
    func retryWaiting() {
        guard waiting.count > 0 else { return }
        let now = clock.monotonicNanoseconds
        for request in waiting.takeAll() {
            guard request.until > now else {
                request.origin.fail(noLeaderError)
                continue
            }
            request.bytes.withUnsafeBytes { bytes in
                let group = groups[shardMap.owner(of: shardMap.shard(of: request.item.slot)).group]
                if let group, group.isLeader || group.leaderNode.map(isConnected) == true {
                    route(bytes, item: request.item, origin: request.origin, isRetry: true)
                } else if !waiting.add(bytes, item: request.item, origin: request.origin, until: request.until) {
                    request.origin.fail(noLeaderError)
                }
            }
        }
        turnEnd.ask()
    }

    var noLeaderError: ServiceError {
        let voters = voterNodes
        let connected = voters.filter { $0 == settings.node || isConnected($0) }.count
        return ServiceError(
            .noLeader,
            "no leader within the waiting time; this node reaches \(connected) of \(voters.count) members, a majority is"
                + " \(voters.count / 2 + 1): see 'kvctl status'"
        )
    }
}
