import DequeModule
import KVBase
import KVService

/// Writes of a leader on their way: those that fill the next entry, and those in the log that wait for their commit.
struct Proposals {
    /// An entry that is being filled.
    struct Filling {
        var entry = EntryBuilder()
        var items: [RequestBatch.Item] = []
        var origins: [Origin] = []
        /// The bytes of its requests, without what the entry adds.
        var bytes = 0

        /// Calls `body` with each request as it was added.
        func forEachRequest(_ body: (UnsafeRawBufferPointer, RequestBatch.Item, Origin) -> Void) {
            entry.payload.withUnsafeBytes { payload in
                var reader = EntryReader(payload)
                // What the builder wrote can be read: an error ends the loop and would be found by the builder's tests.
                while let command = try? reader.next() {
                    let place = Int(command.ordinal)
                    body(command.request(in: payload), items[place], origins[place])
                }
            }
        }
    }

    /// An entry in the log whose commands have callers that wait.
    struct Waiter {
        let index: LogIndex
        let term: Term
        let bytes: Int
        /// Nil where the caller was told "outcome unknown" already.
        var origins: [Origin]?
        let deadline: UInt64
    }

    private(set) var filling: Deque<Filling> = []
    private(set) var waiters: Deque<Waiter> = []
    /// The bytes of all that is filling or waiting.
    private(set) var bytes = 0
    private let entryBytesMax: Int

    init(entryBytesMax: Int) {
        self.entryBytesMax = entryBytesMax
    }

    /// Adds a write to the last entry, or to a new one where that is full.
    ///
    /// A write that joins the one before goes into the same entry whatever its size.
    mutating func add(_ request: RoutedRequest, origin: Origin) {
        let isFull = (filling.last?.entry.size ?? Int.max) >= entryBytesMax
        if filling.isEmpty || (isFull && !request.item.joinsPrevious) { filling.append(Filling()) }
        let last = filling.count - 1
        filling[last].entry.append(request.bytes, shard: request.shard, epoch: request.epoch)
        filling[last].items.append(request.item)
        filling[last].origins.append(origin)
        filling[last].bytes += request.bytes.count
        bytes += request.bytes.count
    }

    /// Takes the oldest entry that was filled.
    mutating func takeFilled() -> Filling? {
        filling.popFirst()
    }

    /// An entry is in the log and its callers wait for (index, term).
    mutating func wait(_ filled: Filling, index: LogIndex, term: Term) {
        // Places that an earlier reign of this replica had filled and another leader took back.
        while let last = waiters.last, last.index >= index {
            waiters.removeLast()
            forget(bytes: last.bytes)
            fail(last)
        }
        let deadline = filled.origins.last?.deadline ?? UInt64.max
        waiters.append(
            Waiter(index: index, term: term, bytes: filled.bytes, origins: filled.origins, deadline: deadline)
        )
    }

    /// Drops what was counted for an entry that is not waited for.
    mutating func forget(bytes count: Int) {
        precondition(bytes >= count, "\(count) bytes leave, \(bytes) were counted")
        bytes -= count
    }

    /// Takes the callers of the entry at `index`, and answers "outcome unknown" to those who waited for another term's entry
    /// there or for an earlier place that was never applied here.
    mutating func takeWaiter(at index: LogIndex, term: Term) -> [Origin]? {
        while let first = waiters.first, first.index <= index {
            waiters.removeFirst()
            forget(bytes: first.bytes)
            if first.index == index, first.term == term { return first.origins }
            fail(first)
        }
        return nil
    }

    /// Answers "outcome unknown" to writes whose time is up.
    ///
    /// They stay in the log and may still take effect.
    mutating func expire(at now: UInt64) {
        expireFilling(at: now)
        for place in waiters.indices {
            guard waiters[place].deadline <= now else { break }
            guard waiters[place].origins != nil else { continue }
            fail(waiters[place])
            waiters[place].origins = nil
        }
    }

    /// Answers "overloaded" to writes that were never proposed and whose time is up: nothing was done.
    private mutating func expireFilling(at now: UInt64) {
        while let first = filling.first, let origin = first.origins.first, origin.deadline <= now {
            filling.removeFirst()
            forget(bytes: first.bytes)
            for origin in first.origins {
                origin.fail(
                    ServiceError(.overloaded, "storage is behind with flushing and compaction; try again, or send less")
                )
            }
        }
    }

    /// Answers "outcome unknown" to all who wait for a place in the log, because the log was replaced by a snapshot or the node stops.
    mutating func failAllWaiters() {
        while let first = waiters.popFirst() {
            forget(bytes: first.bytes)
            fail(first)
        }
    }

    private func fail(_ waiter: Waiter) {
        for origin in waiter.origins ?? [] {
            origin.fail(
                ServiceError(
                    .unknownOutcome,
                    "no majority confirmed the write in time; it may or may not take effect: read before a retry"
                )
            )
        }
    }
}
