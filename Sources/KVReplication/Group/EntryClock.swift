import DequeModule
import KVBase
import KVService

/// When each entry that this leader proposed passed each stage on its way to its answer.
///
/// One reading of the clock for an entry and stage, none for a request: a request's arrival is its deadline less the time it has.
/// Bounded: what is not committed for long is forgotten, oldest first.
struct EntryClock {
    private struct Times {
        let index: LogIndex
        let term: Term
        let requests: Int
        let arrived: UInt64
        let proposed: UInt64
        var began: UInt64 = 0
        var synced: UInt64 = 0
        var committed: UInt64 = 0
    }

    private var open: Deque<Times> = []
    private static let openMax = 4_096

    /// An entry with callers is in the log.
    mutating func propose(_ index: LogIndex, _ term: Term, requests: Int, arrived: UInt64, now: UInt64) {
        while let last = open.last, last.index >= index { open.removeLast() }
        if open.count == Self.openMax { open.removeFirst() }
        open.append(Times(index: index, term: term, requests: requests, arrived: min(arrived, now), proposed: now))
    }

    /// Everything through `index` is durable here, by a write that began and ended at these times.
    mutating func sync(through index: LogIndex, began: UInt64, ended: UInt64) {
        for place in open.indices {
            guard open[place].index <= index else { return }
            guard open[place].synced == 0 else { continue }
            open[place].began = began
            open[place].synced = ended
        }
    }

    /// Everything through `index` is committed and about to be applied.
    mutating func commit(through index: LogIndex, now: UInt64) {
        for place in open.indices {
            guard open[place].index <= index else { return }
            if open[place].committed == 0 { open[place].committed = now }
        }
    }

    /// Whether the time of an entry is kept.
    func isOpen(_ index: LogIndex) -> Bool { open.first.map { $0.index <= index } ?? false }

    /// An entry was applied: its stages, where this leader proposed it.
    mutating func apply(_ index: LogIndex, _ term: Term, now: UInt64) -> (stages: SlowRequest.Stages, requests: Int)? {
        while let first = open.first, first.index <= index {
            open.removeFirst()
            guard first.index == index, first.term == term else { continue }
            // Stages are in order, whatever the clocks of two threads say.
            let began = max(first.began, first.proposed)
            let synced = max(first.synced, began)
            let committed = max(first.committed, synced)
            var stages = SlowRequest.Stages()
            stages.queue = first.proposed - first.arrived
            stages.propose = began - first.proposed
            stages.sync = synced - began
            stages.replicate = committed - synced
            stages.apply = max(now, committed) - committed
            return (stages, first.requests)
        }
        return nil
    }
}
