import DequeModule
import KVBase

/// The writes that the host was given and has not reported durable, oldest first.
///
/// Several may be on their way.
///
/// Each names the last entry that is durable with it. When entries are rewritten, the writes that hold their old form are
/// shortened, so the report of such a write never makes the new form count as durable, not even where index and term came
/// back to what they were.
struct PendingWrites: Sendable {
    struct Write: Sendable {
        let ticket: UInt64
        /// The last entry that is durable with this write, in it or in one before; 0 for none.
        var last: LogIndex
        /// The term and the vote that are durable with it.
        let term: Term
        let vote: ReplicaID?
    }

    private var writes: Deque<Write> = []
    /// The newest ticket given.
    private(set) var lastTicket: UInt64 = 0

    var isEmpty: Bool { writes.isEmpty }

    var count: Int { writes.count }

    /// Notes a write and returns its ticket.
    mutating func add(last: LogIndex, term: Term, vote: ReplicaID?) -> UInt64 {
        lastTicket += 1
        writes.append(Write(ticket: lastTicket, last: last, term: term, vote: vote))
        return lastTicket
    }

    /// The oldest write at or below `ticket`, taken out.
    mutating func removeFirst(through ticket: UInt64) -> Write? {
        guard let first = writes.first, first.ticket <= ticket else { return nil }
        return writes.removeFirst()
    }

    /// Entries from `index` on are rewritten.
    mutating func shorten(to index: LogIndex) {
        for place in writes.indices where writes[place].last >= index { writes[place].last = index - 1 }
    }
}
