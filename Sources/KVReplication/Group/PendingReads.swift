import DequeModule
import KVBase
import KVService

/// Reads of a leader: those that fill the next round, those whose round is under way, and those that are confirmed and wait for
/// the applied index.
struct PendingReads {
    /// A read with its bytes in the batch's buffer.
    struct Item {
        let offset: Int
        let item: RequestBatch.Item
        let shard: ShardID
        let epoch: Epoch
        let origin: Origin
    }

    /// Reads that share a round.
    struct Batch {
        var bytes: [UInt8] = []
        var items: [Item] = []
        /// When its round began and ended, in monotonic nanoseconds.
        var began: UInt64 = 0
        var confirmed: UInt64 = 0
        /// The index that it waits for.
        var index: LogIndex = 0

        mutating func add(_ request: RoutedRequest, origin: Origin) {
            items.append(
                Item(
                    offset: bytes.count,
                    item: request.item,
                    shard: request.shard,
                    epoch: request.epoch,
                    origin: origin
                )
            )
            bytes.append(contentsOf: request.bytes)
        }

        /// Calls `body` with each read.
        func visit(_ body: (RoutedRequest, Origin) -> Void) {
            bytes.withUnsafeBytes { buffer in
                for read in items {
                    let view = UnsafeRawBufferPointer(
                        rebasing: buffer[read.offset..<(read.offset + Int(read.item.length))]
                    )
                    body(
                        RoutedRequest(bytes: view, item: read.item, shard: read.shard, epoch: read.epoch),
                        read.origin
                    )
                }
            }
        }
    }

    private var filling = Batch()
    private var rounds: [UInt64: Batch] = [:]
    private var confirmed: Deque<(index: LogIndex, batch: Batch)> = []
    private var lastContext: UInt64 = 0
    /// How many reads wait anywhere.
    private(set) var count = 0

    mutating func add(_ request: RoutedRequest, origin: Origin) {
        filling.add(request, origin: origin)
        count += 1
    }

    /// Whether reads wait for a round to begin.
    var isFilling: Bool { !filling.items.isEmpty }

    /// A number for a round that nobody else has.
    mutating func makeContext() -> UInt64 {
        lastContext += 1
        return lastContext
    }

    /// Begins a round with all reads that wait for one; returns its number.
    mutating func beginRound(now: UInt64) -> UInt64 {
        let context = makeContext()
        filling.began = now
        rounds[context] = filling
        filling = Batch()
        return context
    }

    /// A round ended well: its reads may be served once `index` is applied.
    mutating func confirm(_ context: UInt64, at index: LogIndex, now: UInt64) {
        guard var batch = rounds.removeValue(forKey: context) else { return }
        batch.confirmed = now
        batch.index = index
        confirmed.append((index, batch))
    }

    /// Takes reads that may be served at this applied index.
    mutating func takeServable(applied: LogIndex) -> Batch? {
        guard let place = confirmed.firstIndex(where: { $0.index <= applied }) else { return nil }
        let batch = confirmed.remove(at: place).batch
        count -= batch.items.count
        return batch
    }

    /// Takes the reads of a round that cannot end.
    mutating func takeRound(_ context: UInt64) -> Batch? {
        guard let batch = rounds.removeValue(forKey: context) else { return nil }
        count -= batch.items.count
        return batch
    }

    /// Takes all reads that have no index yet, because leadership was lost.
    mutating func takeUnconfirmed() -> [Batch] {
        var batches = rounds.keys.sorted().compactMap { rounds[$0] }
        if isFilling { batches.append(filling) }
        rounds = [:]
        filling = Batch()
        count -= batches.reduce(0) { $0 + $1.items.count }
        return batches
    }

    /// Takes every read, because the node stops.
    mutating func takeAll() -> [Batch] {
        let batches = confirmed.map(\.batch)
        confirmed = []
        count -= batches.reduce(0) { $0 + $1.items.count }
        return takeUnconfirmed() + batches
    }

    /// Answers "timed out" to reads whose time is up.
    mutating func expire(at now: UInt64) {
        let late = rounds.filter { ($0.value.items.first?.origin.deadline ?? UInt64.max) <= now }.keys.sorted()
        for context in late {
            guard let batch = takeRound(context) else { continue }
            for read in batch.items {
                read.origin.fail(ServiceError(.timeout, "no majority confirmed leadership in time; try again"))
            }
        }
    }
}
