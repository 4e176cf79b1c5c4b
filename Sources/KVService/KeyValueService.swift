package import KVBase
import Synchronization

/// What every edge speaks to.
///
/// Any thread.
package protocol KeyValueService: AnyObject, Sendable {
    /// Serves the requests of a batch and hands each one's reply to `sink`, exactly once. The batch is copied from, not kept.
    /// Requests of one batch to one shard take effect in their order. A write is answered after a majority has it on stable
    /// storage and this cluster's leader has applied it.
    func submit(_ batch: borrowing RequestBatch, to sink: any ReplySink)

    /// Reads a page of keys in key order, merged over all shards. Linearizable within each shard at its own moment unless
    /// `stale`. `completion` is called once, on any thread.
    func scan(_ request: ScanRequest, completion: @escaping @Sendable (Result<ScanPage, ServiceError>) -> Void)

    /// Counts the keys of all shards; expired ones that are not swept yet may be counted. Takes time in proportion to the data,
    /// off the request path. `completion` is called once, on any thread.
    func count(_ consistency: Consistency, completion: @escaping @Sendable (Result<UInt64, ServiceError>) -> Void)

    /// Keeps the place where a SCAN goes on, for as long as a bounded table allows; every node of the cluster understands the cursor.
    func keepScanPosition(_ key: [UInt8]) -> UInt64

    /// Finds the place of a cursor, at whichever node keeps it: the key to go on at, or `cursorExpired`. `completion` is called once,
    /// on any thread.
    func scanPosition(_ cursor: UInt64, completion: @escaping @Sendable (Result<[UInt8], ServiceError>) -> Void)

    /// Sends a request to every shard. `completion` is called once, on any thread: with whether every shard said "done" rather than
    /// "absent", or with the first failure; what was done in other shards stays.
    func submit(_ request: ShardRequest, completion: @escaping @Sendable (Result<Bool, ServiceError>) -> Void)

    /// How this node stands.
    func status(completion: @escaping @Sendable (NodeStatus) -> Void)

    /// The slow requests that this node keeps, newest first, with where their time went. `completion` is called once, on any
    /// thread.
    func slowRequests(completion: @escaping @Sendable ([SlowRequest]) -> Void)

    /// Counts and hashes this node's own tablets, each at one applied index. Reads all data, off the request path.
    func digest(completion: @escaping @Sendable (Result<[ShardDigest], ServiceError>) -> Void)

    /// The limits that edges enforce while they read, before a whole request is there.
    var requestLimits: RequestLimits { get }
}

/// A request that concerns shards, not keys.
package enum ShardRequest: Sendable, Equatable {
    /// Makes a session known; its number is the caller's, drawn at random.
    case openSession(UInt64, lifeMilliseconds: UInt64)
    /// Keeps a session from expiring; a shard that does not know it says "absent".
    case keepSession(UInt64)
    /// Ends a session.
    case endSession(UInt64)
    /// Removes all keys.
    case clear

    /// Adds the request for the shard that has `slot` to a batch.
    package func add(to batch: inout RequestBatch, _ slot: Slot, tag: UInt64) {
        switch self {
        case .openSession(let session, let life):
            batch.openSession(session, lifeMilliseconds: life, slot, tag: tag)
        case .keepSession(let session): batch.keepSession(session, slot, tag: tag)
        case .endSession(let session): batch.endSession(session, slot, tag: tag)
        case .clear: batch.clear(slot, tag: tag)
        }
    }
}

/// Waits for the replies of all shards to one `ShardRequest`.
package final class ShardReplies: ReplySink {
    private struct State {
        var missing: Int
        var isDone = true
        var error: ServiceError?
    }

    private let state: Mutex<State>
    private let completion: @Sendable (Result<Bool, ServiceError>) -> Void

    /// Waits for so many replies, at least one, then calls `completion`.
    package init(count: Int, _ completion: @escaping @Sendable (Result<Bool, ServiceError>) -> Void) {
        precondition(count > 0, "no replies to wait for")
        state = Mutex(State(missing: count))
        self.completion = completion
    }

    package func complete(_ tag: UInt64, _ reply: borrowing Reply) {
        let (outcome, error) = (reply.outcome, reply.error)
        let result = state.withLock { state -> Result<Bool, ServiceError>? in
            state.missing -= 1
            if outcome == .absent { state.isDone = false }
            if outcome == .failed, state.error == nil {
                state.error = error ?? ServiceError(.internalError, "a shard failed without a reason")
            }
            guard state.missing == 0 else { return nil }
            return state.error.map { .failure($0) } ?? .success(state.isDone)
        }
        // Outside the lock: the caller may go on from here.
        if let result { completion(result) }
    }
}

/// Sizes that an edge refuses to go past.
package struct RequestLimits: Sendable, Equatable {
    /// The longest key in bytes.
    package var keyBytesMax: Int
    /// The longest value in bytes.
    package var valueBytesMax: Int

    /// Limits with these values; the defaults are those of `Limits`.
    package init(keyBytesMax: Int = Limits.keyBytesDefault, valueBytesMax: Int = Limits.valueBytesDefault) {
        self.keyBytesMax = keyBytesMax
        self.valueBytesMax = valueBytesMax
    }
}

/// Which keys a scan reads.
package struct ScanRequest: Sendable, Equatable {
    /// The first key, inclusive; empty for the start.
    package var start: [UInt8]
    /// The end, exclusive; nil for no end.
    package var end: [UInt8]?
    /// Only keys that start with this.
    package var prefix: [UInt8]
    /// How many keys at most, 1 … 10,000.
    ///
    /// Pages also end after about 4 MiB of keys and values.
    package var limit: Int
    /// Whether to go from the end to the start.
    ///
    /// `start` and `end` stay the lower and upper bound.
    package var isReversed: Bool
    /// Whether values are left out.
    package var keysOnly: Bool
    /// How fresh it must be.
    package var consistency: Consistency

    /// A scan of these keys.
    package init(
        start: [UInt8] = [],
        end: [UInt8]? = nil,
        prefix: [UInt8] = [],
        limit: Int = 100,
        isReversed: Bool = false,
        keysOnly: Bool = false,
        consistency: Consistency = .linearizable
    ) {
        self.start = start
        self.end = end
        self.prefix = prefix
        self.limit = limit
        self.isReversed = isReversed
        self.keysOnly = keysOnly
        self.consistency = consistency
    }
}

/// A page of a scan.
package struct ScanPage: Sendable, Equatable {
    /// A key with what belongs to it.
    package struct Row: Sendable, Equatable {
        /// The user's key.
        package var key: [UInt8]
        /// The value; empty where only keys were asked for.
        package var value: [UInt8]
        /// The key's version.
        package var version: UInt64
        /// When it expires, in milliseconds since 1970; 0 for never.
        package var expiresAt: UInt64

        /// A row with these parts.
        package init(key: [UInt8], value: [UInt8], version: UInt64, expiresAt: UInt64) {
            self.key = key
            self.value = value
            self.version = version
            self.expiresAt = expiresAt
        }
    }
    /// The keys in order (descending where reversed).
    package var rows: [Row]
    /// Whether keys after the last row may exist; the next page starts just behind its key.
    package var hasMore: Bool

    /// A page with these rows.
    package init(rows: [Row], hasMore: Bool) {
        self.rows = rows
        self.hasMore = hasMore
    }
}
