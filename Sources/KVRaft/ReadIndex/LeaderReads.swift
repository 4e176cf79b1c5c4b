import DequeModule
import KVBase

/// The reads that wait at a leader (Ongaro 6.4).
///
/// 1. A read notes the commit index when it arrives. Before the term's first commit that index may be too low, so reads wait.
/// 2. A read gets a position. Heartbeats carry the newest position whose round was started; a follower echoes it.
/// 3. When a quorum echoed a position, this leader was still one after every read at or below it had arrived: all of them are ready.
/// 4. While a round is on its way, new reads join the next one, which starts as soon as this one ends: one round serves many reads.
struct LeaderReads: Sendable {
    struct Read: Sendable {
        /// Who asked: the own replica or a follower.
        let from: ReplicaID
        let context: UInt64
        let index: LogIndex
        let position: UInt64
    }

    /// Reads from before the term's first commit.
    private var early: [(from: ReplicaID, context: UInt64)] = []
    private var waiting: Deque<Read> = []
    /// The newest position that heartbeats carry.
    private(set) var started: UInt64 = 0
    private(set) var confirmed: UInt64 = 0

    var count: Int { early.count + waiting.count }

    mutating func addEarly(from: ReplicaID, context: UInt64) {
        early.append((from, context))
    }

    mutating func takeEarly() -> [(from: ReplicaID, context: UInt64)] {
        defer { early = [] }
        return early
    }

    /// Notes a read; returns whether a round is to be started for it.
    mutating func add(from: ReplicaID, context: UInt64, index: LogIndex) -> Bool {
        let startsRound = started == confirmed
        if startsRound { started += 1 }
        let position = startsRound ? started : started + 1
        waiting.append(Read(from: from, context: context, index: index, position: position))
        return startsRound
    }

    /// The quorum confirmed `position`.
    mutating func confirm(_ position: UInt64) {
        confirmed = max(confirmed, min(position, started))
    }

    /// The next read that is ready, or nil.
    mutating func takeReady() -> Read? {
        guard let first = waiting.first, first.position <= confirmed else { return nil }
        return waiting.removeFirst()
    }

    /// Whether reads wait for a round that is not started; starts it.
    mutating func startNextRound() -> Bool {
        guard started == confirmed, !waiting.isEmpty else { return false }
        started += 1
        return true
    }

    /// Forgets everything; returns the contexts that `own` asked with.
    mutating func removeAll(own: ReplicaID) -> [UInt64] {
        let failed = early.filter { $0.from == own }.map(\.context) + waiting.filter { $0.from == own }.map(\.context)
        self = LeaderReads()
        return failed
    }
}
