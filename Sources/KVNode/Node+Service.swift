import KVBase
import KVReplication
package import KVService
import KVStorage

// Reads over many keys: this node's own tablets, once they hold what was committed when the request came.

extension Node {
    package func scan(
        _ request: ScanRequest,
        completion: @escaping @Sendable (Result<ScanPage, ServiceError>) -> Void
    ) {
        withShards(request.consistency, completion) { shards, time in
            try ShardScan.page(request, over: shards, time: time)
        }
    }

    package func count(
        _ consistency: Consistency,
        completion: @escaping @Sendable (Result<UInt64, ServiceError>) -> Void
    ) {
        withShards(consistency, completion) { shards, time in try ShardScan.count(over: shards, time: time) }
    }

    package func digest(completion: @escaping @Sendable (Result<[ShardDigest], ServiceError>) -> Void) {
        onHome { [self] in
            let pinned = dataGroups.compactMap { group in shardMachine(of: group).map { (group.id, $0.pin()) } }
            environment.readers.submit {
                do {
                    let digests = try pinned.flatMap { id, shards in
                        try shards.map { try ShardScan.digest(of: $0, group: id) }
                    }
                    completion(.success(digests))
                } catch {
                    completion(.failure(ServiceError(.corruption, "a tablet cannot be read: \(error)")))
                }
            }
        }
    }

    private var dataGroups: [GroupReplica] { sortedGroups.filter { $0.id != .controller } }

    private func shardMachine(of group: GroupReplica) -> ShardGroupMachine? { shardMachines[group.id] }

    /// Runs `body` on a worker over the shards of all groups, each at a moment that `consistency` asks for.
    private func withShards<Value: Sendable>(
        _ consistency: Consistency,
        _ completion: @escaping @Sendable (Result<Value, ServiceError>) -> Void,
        _ body: @escaping @Sendable ([PinnedShard<Tablet>], UInt64) throws -> Value
    ) {
        onHome { [self] in
            if let retirement { return completion(.failure(retirement)) }
            guard consistency != .stale else { return readShards(stale: true, completion, body) }
            barrier(dataGroups) { [self] error in
                if let error { completion(.failure(error)) } else { readShards(stale: false, completion, body) }
            }
        }
    }

    /// Waits for the barrier of every group, one after the other.
    private func barrier(_ groups: [GroupReplica], _ completion: @escaping @Sendable (ServiceError?) -> Void) {
        guard let first = groups.first else { return completion(nil) }
        let rest = Array(groups.dropFirst())
        first.barrier { [self] error in
            if let error { completion(error) } else { barrier(rest, completion) }
        }
    }

    private func readShards<Value: Sendable>(
        stale: Bool,
        _ completion: @escaping @Sendable (Result<Value, ServiceError>) -> Void,
        _ body: @escaping @Sendable ([PinnedShard<Tablet>], UInt64) throws -> Value
    ) {
        var pinned: [PinnedShard<Tablet>] = []
        var time: UInt64 = 0
        for group in dataGroups {
            if let error = group.quarantineError { return completion(.failure(error)) }
            guard group.stopReason == nil, let machine = shardMachine(of: group) else {
                return completion(
                    .failure(ServiceError(.unavailable, "group \(group.id) stopped on node \(settings.node)"))
                )
            }
            pinned += machine.pin()
            time = max(time, machine.loggedTime)
        }
        // Keys are hidden by logged time alone: every replica hides the same, and for ever.
        let shards = pinned
        let loggedTime = time
        environment.readers.submit {
            do {
                completion(.success(try body(shards, loggedTime)))
            } catch {
                completion(.failure(ServiceError(.corruption, "a tablet cannot be read: \(error)")))
            }
        }
    }
}
