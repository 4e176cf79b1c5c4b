package import KVBase
import KVReplication
package import KVService
import KVStorage

// Compaction on request: this node's own tablets, one after the other, so that the others' background work goes on beside it.

extension Node {
    /// Rewrites this node's own tablets, one shard's where named; `completion` is called once, on any thread, when that is done or has
    /// failed.
    package func compact(
        _ shard: ShardID?,
        completion: @escaping @Sendable (Result<[CompactedShard], ServiceError>) -> Void
    ) {
        onHome { [self] in
            if let retirement { return completion(.failure(retirement)) }
            guard !isCompactingOnRequest else {
                return completion(.failure(ServiceError(.overloaded, "a compaction that was asked for is under way")))
            }
            let chosen = sortedGroups.filter { $0.id != .controller }.flatMap { group in
                group.tablets.filter { shard == nil || $0.shard == shard }.map { (group: group.id, hosted: $0) }
            }
            if let shard, chosen.isEmpty {
                return completion(.failure(ServiceError(.notFound, "node \(settings.node) has no shard \(shard)")))
            }
            isCompactingOnRequest = true
            compactNext(ArraySlice(chosen), [], completion)
        }
    }

    /// Home scheduler.
    private func compactNext(
        _ rest: ArraySlice<(group: GroupID, hosted: HostedTablet)>,
        _ done: [CompactedShard],
        _ completion: @escaping @Sendable (Result<[CompactedShard], ServiceError>) -> Void
    ) {
        guard let next = rest.first, !isStopping else {
            isCompactingOnRequest = false
            return completion(rest.isEmpty ? .success(done) : .failure(stoppingError))
        }
        let tablet = next.hosted.tablet
        let before = tablet.statistics.bytesPerLevel.reduce(0, +)
        tablet.flush()
        tablet.compactAll { [weak self] result in
            guard let self else { return completion(.failure(ServiceError(.unavailable, "the node is gone"))) }
            onHome { [self] in
                switch result {
                case .failure(let error):
                    isCompactingOnRequest = false
                    let text = "group \(next.group) shard \(next.hosted.shard): \(error)"
                    completion(.failure(ServiceError(.unavailable, text)))
                case .success:
                    let outcome = CompactedShard(
                        group: next.group,
                        shard: next.hosted.shard,
                        bytesBefore: before,
                        bytesAfter: tablet.statistics.bytesPerLevel.reduce(0, +)
                    )
                    compactNext(rest.dropFirst(), done + [outcome], completion)
                }
            }
        }
    }
}
