import KVBase
import KVReplication
import KVService

// Requests between nodes: what this node sends on to a leader, and what others send here because this node leads.

extension Node {
    /// Serves requests that another node sent here.
    func serve(_ requests: ProxiedRequests, from node: NodeID) {
        let proxy = IncomingProxy(requests.id, from: node, outbox: outbox, turnEnd: turnEnd) { [unowned self] proxy in
            self.repliesReady.append(proxy)
        }
        var batch = RequestBatch()
        do {
            try requests.payload.withUnsafeBufferPointer { (bytes) throws(DecodingError) in
                try ProxyFormat.decodeRequests(UnsafeRawBufferPointer(bytes), into: &batch)
            }
        } catch {
            // The sender's own bytes are wrong, and it hears of it by its deadline.
            log.error("requests that cannot be read", metadata: ["peer": "\(node)", "error": "\(error)"])
            return
        }
        if requests.group == .scanPositions {
            serveScanPositions(batch, to: proxy)
            turnEnd.ask()
            return
        }
        guard let group = groups[requests.group] else {
            let failure = ServiceError(.unavailable, "group \(requests.group) has no replica on node \(settings.node)")
            for item in batch.items { proxy.complete(item.tag, .failed(failure)) }
            return
        }
        let deadline = clock.monotonicNanoseconds + settings.group.requestTimeoutNanoseconds
        batch.bytes.withUnsafeBytes { bytes in
            for item in batch.items {
                let origin = Origin(sink: proxy, tag: item.tag, deadline: deadline)
                let shard = shardMap.shard(of: item.slot)
                let owner = shardMap.owner(of: shard)
                guard owner.group == group.id, group.isLeader, !isStopping else {
                    origin.fail(
                        ServiceError(.notLeader, "node \(settings.node) does not lead", leader: group.leaderNode)
                    )
                    continue
                }
                let start = Int(item.offset)
                let view = UnsafeRawBufferPointer(rebasing: bytes[start..<(start + Int(item.length))])
                group.submit(RoutedRequest(bytes: view, item: item, shard: shard, epoch: owner.epoch), origin: origin)
            }
        }
        turnEnd.ask()
    }

    /// Hands the answers of a leader to those who wait for them.
    func receive(_ replies: ProxiedReplies) {
        do {
            try replies.payload.withUnsafeBufferPointer { (bytes) throws(DecodingError) in
                try ProxyFormat.decodeReplies(UnsafeRawBufferPointer(bytes)) { position, reply in
                    answered(replies.id, position, reply)
                }
            }
            proxies.forgetIfDone(replies.id)
        } catch {
            log.warning("replies that cannot be read", metadata: ["error": "\(error)"])
            failProxied(replies.id, because: "the leader's answer could not be read")
        }
    }

    private func answered(_ id: UInt64, _ position: UInt64, _ reply: borrowing Reply) {
        guard let (origin, item) = proxies.answer(id, position) else { return }
        if reply.error?.code == .notLeader || reply.error?.code == .unavailable {
            // Refused before anything was done, as it leads no more or is about to stop: safe to try again, writes too.
            proxies.bytes(id, item).withUnsafeBytes { wait($0, item: item, origin: origin) }
        } else {
            origin.complete(reply)
        }
    }

    /// Ends what was sent to a node that went away.
    ///
    /// A write may have been done there: its outcome is unknown. A read is tried again.
    func failProxies(to node: NodeID) {
        for id in proxies.sent(to: node) { failProxied(id, because: "the connection to node \(node) was lost") }
        retryWaiting()
    }

    /// Ends one batch that gets no (further) answer.
    func failProxied(_ id: UInt64, because reason: String) {
        guard let batch = proxies.remove(id), !failPositions(batch) else { return }
        batch.requests.bytes.withUnsafeBytes { bytes in
            for (item, origin) in zip(batch.requests.items, batch.origins) {
                guard let origin else { continue }
                if item.operation.isWrite {
                    origin.fail(
                        ServiceError(
                            .unknownOutcome,
                            "\(reason); the write may or may not have been done: read before a retry"
                        )
                    )
                } else {
                    let start = Int(item.offset)
                    wait(
                        UnsafeRawBufferPointer(rebasing: bytes[start..<(start + Int(item.length))]),
                        item: item,
                        origin: origin
                    )
                }
            }
        }
    }

    /// Ends questions for places of scans, which only the asked node can answer; returns whether these were such.
    private func failPositions(_ batch: OutgoingProxies.Batch) -> Bool {
        guard batch.group == .scanPositions else { return false }
        for origin in batch.origins {
            origin?.fail(
                ServiceError(.unavailable, "node \(batch.target), which gave the cursor, does not answer; retry")
            )
        }
        return true
    }

    /// Takes back what the transport did not take: nothing was delivered, so everything may be tried again.
    func takeBack(_ requests: ProxiedRequests) {
        guard let batch = proxies.remove(requests.id), !failPositions(batch) else { return }
        batch.requests.bytes.withUnsafeBytes { bytes in
            for (item, origin) in zip(batch.requests.items, batch.origins) {
                guard let origin else { continue }
                let start = Int(item.offset)
                wait(
                    UnsafeRawBufferPointer(rebasing: bytes[start..<(start + Int(item.length))]),
                    item: item,
                    origin: origin
                )
            }
        }
    }
}
