import KVBase

/// How a leader sends to a follower.
///
///     state      sends                                   becomes
///     probe      one append, then waits for its answer   replicate on an acknowledgement; snapshot where the log is cut
///     replicate  a window of appends                     probe on a refusal or a lost connection
///     snapshot   nothing                                 replicate when the follower holds the log's start; probe on failure
package enum ReplicationState: UInt8, Sendable {
    case probe
    case replicate
    case snapshot
}

/// What a leader knows about one replica (of itself, too).
///
/// Invariants: `match < next`. In `probe` and `replicate`, entries below `next` were sent or are known to be held. Where
/// entries are awaited from disk, they could be sent at once. Who does not lead has all in `probe`, and awaits nothing.
struct Progress: Sendable {
    let replica: ReplicaID
    /// The highest index that it is known to hold durably.
    var match: LogIndex = 0
    /// The first index to send next.
    var next: LogIndex
    var state: ReplicationState = .probe
    /// In `snapshot`: the index that the snapshot on its way has at least.
    var pendingSnapshot: LogIndex = 0
    /// Whether it was heard from since the last check of the quorum.
    var isRecentlyActive: Bool
    /// Whether nothing is sent until it answers or a heartbeat does.
    var isFlowPaused = false
    /// Whether the host is reading entries for it.
    var awaitsEntries = false
    /// Whether an answer to a heartbeat may start a probe: once each tick of the heartbeat, however many reads pass in between.
    var mayProbe = true
    var isLearner: Bool
    /// The highest commit index that it was told.
    var sentCommit: LogIndex = 0
    /// The highest read position that it confirmed in this term.
    var confirmedRead: UInt64 = 0
    /// Whether it asked for a snapshot although its log is whole: its state is to be replaced.
    var isRebuilding = false
    /// In `snapshot`: what tells the follower that the data is there, once it is.
    var snapshotMessage: Message?
    var inflight: InflightWindow

    init(replica: ReplicaID, next: LogIndex, isLearner: Bool, isRecentlyActive: Bool, settings: RaftSettings) {
        self.replica = replica
        self.next = next
        self.isLearner = isLearner
        self.isRecentlyActive = isRecentlyActive
        self.inflight = InflightWindow(
            countMax: settings.inflightMessagesMax,
            bytesMax: settings.inflightBytesMax
        )
    }

    var isPaused: Bool { state == .snapshot || isFlowPaused || awaitsEntries }

    mutating func becomeProbe() {
        let first = state == .snapshot ? max(match, pendingSnapshot) : match
        enter(.probe)
        next = first + 1
        sentCommit = min(sentCommit, next - 1)
    }

    mutating func becomeReplicate() {
        enter(.replicate)
        next = match + 1
    }

    mutating func becomeSnapshot(atLeast index: LogIndex) {
        enter(.snapshot)
        pendingSnapshot = index
        next = max(index, match) + 1
        sentCommit = min(sentCommit, next - 1)
    }

    private mutating func enter(_ newState: ReplicationState) {
        state = newState
        isFlowPaused = false
        awaitsEntries = false
        pendingSnapshot = 0
        snapshotMessage = nil
        inflight.removeAll()
    }

    /// Notes that an append with these entries is on its way.
    mutating func sent(count: Int, bytes: Int, commit: LogIndex) {
        switch state {
        case .replicate:
            if count > 0 {
                next += LogIndex(count)
                inflight.add(last: next - 1, bytes: bytes)
            }
            isFlowPaused = inflight.isFull
        case .probe:
            if count > 0 { isFlowPaused = true }
        case .snapshot:
            preconditionFailure("an append to a replica that waits for a snapshot")
        }
        sentCommit = max(sentCommit, commit)
    }

    /// Notes an acknowledgement through `index`; returns whether it says anything new.
    mutating func acknowledged(through index: LogIndex) -> Bool {
        guard index > match else { return false }
        match = index
        next = max(next, index + 1)
        isFlowPaused = false
        return true
    }

    /// Notes that the append after `rejected` was refused and that the logs may still agree at `hint`; returns whether that is
    /// news and not the answer to something older.
    mutating func refused(at rejected: LogIndex, hint: LogIndex) -> Bool {
        if state == .replicate {
            guard rejected > match else { return false }
            next = match + 1
            sentCommit = min(sentCommit, next - 1)
            return true
        }
        guard next - 1 == rejected else { return false }
        next = max(min(rejected, hint + 1), match + 1)
        sentCommit = min(sentCommit, next - 1)
        isFlowPaused = false
        awaitsEntries = false
        return true
    }
}
