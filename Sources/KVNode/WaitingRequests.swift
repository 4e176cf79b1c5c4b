import DequeModule
import KVBase
import KVReplication
import KVService

/// Requests that found no leader or a frozen shard and wait, bounded in number and time, for another try.
struct WaitingRequests {
    private var requests: Deque<(bytes: [UInt8], item: RequestBatch.Item, origin: Origin, until: UInt64)> = []
    private let countMax: Int

    init(countMax: Int) {
        self.countMax = countMax
    }

    var count: Int { requests.count }

    /// Takes a request in; false where no room is left.
    mutating func add(_ bytes: UnsafeRawBufferPointer, item: RequestBatch.Item, origin: Origin, until: UInt64) -> Bool {
        guard requests.count < countMax else { return false }
        requests.append((Array(bytes), item, origin, until))
        return true
    }

    /// Takes out all that waits, for another try.
    mutating func takeAll() -> Deque<(bytes: [UInt8], item: RequestBatch.Item, origin: Origin, until: UInt64)> {
        defer { requests = [] }
        return requests
    }

    /// Answers those whose time is up with `error`.
    mutating func expire(at now: UInt64, _ error: ServiceError) {
        while let first = requests.first, first.until <= now {
            requests.removeFirst()
            first.origin.fail(error)
        }
    }
}
