import KVBase
import KVReplication
import KVService

/// Requests that this node sent on to a leader and has no answer to yet.
struct OutgoingProxies {
    struct Batch {
        let target: NodeID
        let group: GroupID
        var requests: RequestBatch
        var origins: [Origin?]
        var open: Int
        let deadline: UInt64
    }

    /// Being filled in this turn, one for each leader and group.
    private var filling: [Key: Batch] = [:]
    /// Filled to the brim in this turn.
    private var full: [Batch] = []
    private var sent: [UInt64: Batch] = [:]
    /// Begins at random and grows, so that an answer to a request from before a restart is never taken for another's.
    private var lastID: UInt64

    init(firstID: UInt64) {
        lastID = firstID
    }

    private struct Key: Hashable {
        let target: NodeID
        let group: GroupID
    }

    /// How many requests wait for an answer or to be sent.
    private(set) var count = 0

    /// Adds a request to what goes to `target` at the end of the turn.
    mutating func add(_ request: RoutedRequest, origin: Origin, target: NodeID, group: GroupID, joinsPrevious: Bool) {
        let key = Key(target: target, group: group)
        if let batch = filling[key], isFull(batch, adding: request.bytes.count, joinsPrevious: joinsPrevious) {
            full.append(batch)
            filling[key] = nil
        }
        var batch =
            filling.removeValue(forKey: key)
            ?? Batch(
                target: target,
                group: group,
                requests: RequestBatch(),
                origins: [],
                open: 0,
                deadline: origin.deadline
            )
        batch.requests.append(
            request.bytes,
            like: request.item,
            tag: UInt64(batch.origins.count),
            joinsPrevious: joinsPrevious
        )
        batch.origins.append(origin)
        batch.open += 1
        filling[key] = batch
        count += 1
    }

    /// Whether this many bytes more would outgrow a message; the one before may be joined whatever its size.
    private func isFull(_ batch: Batch, adding bytes: Int, joinsPrevious: Bool) -> Bool {
        let overhead = (batch.origins.count + 1) * ProxyFormat.overheadBytesMax
        return !joinsPrevious && batch.requests.bytes.count + bytes + overhead > Self.messageBytesMax
    }

    /// Where a message of requests is full, beyond its first request, in bytes.
    private static let messageBytesMax = 1 << 20

    /// Takes what was filled, as messages to send.
    mutating func takeFilled() -> [(NodeID, ProxiedRequests)] {
        guard !filling.isEmpty else { return [] }
        let leaving = full + filling.values.sorted { ($0.target, $0.group) < ($1.target, $1.group) }
        filling.removeAll(keepingCapacity: true)
        full = []
        return leaving.map { batch in
            lastID &+= 1
            sent[lastID] = batch
            var payload: [UInt8] = []
            payload.reserveCapacity(
                batch.requests.bytes.count + batch.origins.count * ProxyFormat.overheadBytesMax
            )
            for item in batch.requests.items { ProxyFormat.append(item, of: batch.requests, to: &payload) }
            return (batch.target, ProxiedRequests(id: lastID, group: batch.group, payload: payload))
        }
    }

    /// Takes the origin of one request of a batch; nil where it was answered before.
    mutating func answer(_ id: UInt64, _ position: UInt64) -> (origin: Origin, item: RequestBatch.Item)? {
        guard let index = sent.index(forKey: id), position < UInt64(sent.values[index].origins.count),
            let origin = sent.values[index].origins[Int(position)]
        else { return nil }
        sent.values[index].origins[Int(position)] = nil
        sent.values[index].open -= 1
        count -= 1
        return (origin, sent.values[index].requests.items[Int(position)])
    }

    /// Forgets a batch where all of it is answered.
    mutating func forgetIfDone(_ id: UInt64) {
        guard let batch = sent[id], batch.open == 0 else { return }
        sent[id] = nil
    }

    /// The bytes of one request of a batch that is not forgotten.
    func bytes(_ id: UInt64, _ item: RequestBatch.Item) -> [UInt8] {
        guard let batch = sent[id] else { return [] }
        return Array(batch.requests.bytes[Int(item.offset)..<Int(item.offset + item.length)])
    }

    /// Takes out a whole batch.
    mutating func remove(_ id: UInt64) -> Batch? {
        guard let batch = sent.removeValue(forKey: id) else { return nil }
        count -= batch.open
        return batch
    }

    /// The batches that a node has not answered.
    func sent(to node: NodeID) -> [UInt64] {
        sent.filter { $0.value.target == node }.keys.sorted()
    }

    /// The batches whose time is up.
    func expired(at now: UInt64) -> [UInt64] {
        sent.filter { $0.value.deadline <= now }.keys.sorted()
    }
}
