import DequeModule
import KVBase
import KVRaft
import KVReplication

/// The end of a recovered log: the newest entries up to a bound of bytes, and of those before only the terms.
struct RecoveredTail {
    private(set) var entries: Deque<Entry> = []
    private(set) var terms: [TermRun] = []
    private(set) var configurations: [LogIndex] = []
    private(set) var evictedThrough: LogIndex
    private(set) var lastTime: UInt64 = 0
    private var bytes = 0
    private let bytesMax: Int

    init(cut: LogCut, bytesMax: Int) {
        evictedThrough = cut.index
        self.bytesMax = bytesMax
    }

    mutating func take(_ entry: Entry) {
        entries.append(entry)
        bytes += entry.size
        lastTime = entry.time
        while bytes > bytesMax, entries.count > 1, let first = entries.popFirst() { evict(first) }
    }

    private mutating func evict(_ entry: Entry) {
        bytes -= entry.size
        evictedThrough = entry.index
        if terms.last?.term != entry.term { terms.append(TermRun(first: entry.index, term: entry.term)) }
        if entry.kind == .configuration { configurations.append(entry.index) }
    }
}
