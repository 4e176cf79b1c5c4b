package import KVService

/// The slow requests of a node: the newest `capacity`, and how many there were in all.
package struct SlowLog: Sendable {
    /// From how many nanoseconds on a request is slow; 0 for never.
    package var thresholdNanoseconds: UInt64
    /// How many there were since the start.
    package private(set) var total: UInt64 = 0
    private var ring: [SlowRequest] = []
    private let capacity: Int

    /// An empty log.
    package init(thresholdNanoseconds: UInt64, capacity: Int = 128) {
        precondition(capacity > 0, "a slow log of \(capacity)")
        self.thresholdNanoseconds = thresholdNanoseconds
        self.capacity = capacity
    }

    /// Whether a request that took this long belongs here.
    package func isSlow(_ nanoseconds: UInt64) -> Bool {
        thresholdNanoseconds > 0 && nanoseconds >= thresholdNanoseconds
    }

    /// Keeps a request, under the next id; the oldest makes room.
    package mutating func add(_ request: SlowRequest) {
        total += 1
        var request = request
        request.id = total
        if ring.count < capacity {
            ring.append(request)
        } else {
            ring[Int((total - 1) % UInt64(capacity))] = request
        }
    }

    /// What is kept, newest first.
    package var newestFirst: [SlowRequest] { ring.sorted { $0.id > $1.id } }

    /// What is kept and came after the request with this id, oldest first.
    package func after(_ id: UInt64) -> [SlowRequest] {
        total > id ? ring.filter { $0.id > id }.sorted { $0.id < $1.id } : []
    }
}
