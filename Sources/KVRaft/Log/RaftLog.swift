import DequeModule
import KVBase

/// A replica's view of its log.
///
///     cut ……… firstInMemory ……… applied ……… applying ……… durable, commit ……… given ……… last
///     │ only on disk │            in memory                                                │
///
/// 1. At and below `cut` nothing is left but the term at the cut; who needs that needs a snapshot.
/// 2. From `cut` to `firstInMemory` only terms are here (as runs); the host reads the entries when asked.
/// 3. `given` is what the host got to write; `durable` what it reported written.
/// 4. Applied is only what is committed and durable here, in order; `applying` is what the host got to apply.
///
/// Invariants: cut ≤ applied ≤ applying ≤ commit ≤ last, durable ≤ given ≤ last, applying ≤ durable (but for planted bugs),
/// firstInMemory ≤ given + 1.
struct RaftLog: Sendable {
    private(set) var cutIndex: LogIndex
    private(set) var terms: TermRuns
    private(set) var entries: Deque<Entry>
    private(set) var lastIndex: LogIndex
    private(set) var given: LogIndex
    private(set) var durable: LogIndex
    private(set) var commit: LogIndex
    private(set) var applying: LogIndex
    private(set) var applied: LogIndex
    private(set) var writes = PendingWrites()
    /// Where configuration entries stand that are not applied yet, ascending.
    private(set) var configurations: Deque<LogIndex>
    /// The time of the newest entry; a new one must not be older.
    private(set) var lastTime: UInt64
    /// Planted bugs that concern the log.
    let plantedBugs: PlantedBugs

    init(_ restored: RestoredState, plantedBugs: PlantedBugs) throws(RaftError) {
        try restored.validate()
        let tail = restored.entries
        cutIndex = restored.cutIndex
        terms = TermRuns(cutIndex: restored.cutIndex, cutTerm: restored.cutTerm)
        for run in restored.evictedTerms { terms.append(run.first, term: run.term) }
        for entry in tail { terms.append(entry.index, term: entry.term) }
        entries = Deque(tail)
        lastIndex = tail.last?.index ?? restored.evictedThrough
        given = lastIndex
        durable = lastIndex
        applied = max(restored.applied, restored.cutIndex)
        applying = applied
        commit = max(restored.hardState.commit, applied)
        let unapplied = applied
        configurations = Deque(restored.evictedConfigurations.filter { $0 > unapplied })
        for entry in tail where entry.kind == .configuration && entry.index > unapplied {
            configurations.append(entry.index)
        }
        lastTime = max(tail.last?.time ?? 0, restored.lastTime)
        self.plantedBugs = plantedBugs
    }

    var firstIndex: LogIndex { cutIndex + 1 }

    var firstInMemory: LogIndex { lastIndex + 1 - LogIndex(entries.count) }

    var lastTerm: Term { terms.lastTerm }

    var cutTerm: Term { terms.runs[0].term }

    /// The term at `index`, or nil where the log does not hold it (any more).
    func term(at index: LogIndex) -> Term? {
        index >= cutIndex && index <= lastIndex ? terms.term(at: index) : nil
    }

    /// Whether a log that ends in (`index`, `term`) holds everything committed that this one may hold (Raft 5.4.1).
    func isUpToDate(index: LogIndex, term: Term) -> Bool {
        term > lastTerm || (term == lastTerm && index >= lastIndex)
    }

    /// The entries from `first` through `last` that fit `bytesMax` together, at least one.
    /// - Precondition: `firstInMemory <= first <= last <= lastIndex`.
    func slice(from first: LogIndex, through last: LogIndex, bytesMax: Int) -> (entries: [Entry], bytes: Int) {
        precondition(
            first >= firstInMemory && first <= last && last <= lastIndex,
            "\(first)…\(last) of \(firstInMemory)…\(lastIndex)"
        )
        let start = Int(first - firstInMemory)
        let limit = Int(last - firstInMemory) + 1
        var end = start + 1
        var bytes = entries[start].size
        while end < limit {
            let size = entries[end].size
            if bytes + size > bytesMax { break }
            bytes += size
            end += 1
        }
        return (Array(entries[start..<end]), bytes)
    }

    /// The entry at `index`.
    /// - Precondition: it is in memory.
    func entry(at index: LogIndex) -> Entry { entries[Int(index - firstInMemory)] }

    // MARK: Writing

    /// Appends one entry at the end.
    mutating func append(_ entry: Entry) {
        precondition(entry.index == lastIndex + 1, "entry \(entry.index) after \(lastIndex)")
        precondition(
            entry.term >= lastTerm || plantedBugs.contains(.skipPreviousEntryCheck),
            "term \(entry.term) at \(entry.index) after \(lastTerm)"
        )
        terms.append(entry.index, term: entry.term)
        if entry.kind == .configuration { configurations.append(entry.index) }
        lastTime = max(lastTime, entry.time)
        lastIndex = entry.index
        entries.append(entry)
    }

    /// Forgets the entries from `index` on, which another leader rewrites.
    /// - Precondition: they are not committed.
    mutating func truncate(from index: LogIndex) {
        precondition(
            index > commit && index <= lastIndex,
            "truncating from \(index), committed \(commit), last \(lastIndex)"
        )
        if index >= firstInMemory {
            entries.removeLast(Int(lastIndex - index) + 1)
        } else {
            entries.removeAll(keepingCapacity: true)
        }
        terms.truncate(from: index)
        while let last = configurations.last, last >= index { configurations.removeLast() }
        lastIndex = index - 1
        given = min(given, index - 1)
        durable = min(durable, index - 1)
        if !plantedBugs.contains(.stalePersistedAckAccepted) { writes.shorten(to: index) }
    }

    /// What the host has not got yet, and the ticket under which it will report it; nil where there is nothing to write.
    mutating func takeUnwritten(
        hardState: HardState,
        hardStateChanged: Bool,
        into unwritten: inout [Entry]
    ) -> UInt64? {
        guard given < lastIndex || hardStateChanged else { return nil }
        unwritten.append(contentsOf: entries.suffix(Int(lastIndex - given)))
        given = lastIndex
        // Where there are none, an earlier write has them: this one is durable after it.
        return writes.add(last: lastIndex, term: hardState.term, vote: hardState.vote)
    }

    /// Notes a durable write; nil once all through `ticket` are noted.
    mutating func takeDurable(through ticket: UInt64) -> PendingWrites.Write? {
        guard let write = writes.removeFirst(through: ticket) else { return nil }
        durable = max(durable, min(write.last, given))
        return write
    }

    // MARK: Committing and applying

    /// Raises the commit index; lower ones are ignored.
    /// - Precondition: `index <= lastIndex`.
    mutating func commit(through index: LogIndex) {
        precondition(index <= lastIndex, "committing \(index) of \(lastIndex)")
        commit = max(commit, index)
    }

    /// How far may be applied: what is committed and durable in this very log.
    var applicable: LogIndex {
        plantedBugs.contains(.appliedAheadOfOwnLog) ? commit : min(commit, durable)
    }

    mutating func gaveToApply(through index: LogIndex) {
        precondition(index >= applying && index <= commit, "applying \(index), before \(applying), committed \(commit)")
        applying = index
    }

    /// Notes what the host applied.
    /// - Precondition: it was given to apply.
    mutating func applied(through index: LogIndex) {
        precondition(index >= applied && index <= applying, "applied \(index), before \(applied), given \(applying)")
        applied = index
        while let first = configurations.first, first <= index { configurations.removeFirst() }
    }

    // MARK: Shrinking

    /// Forgets entries through `index` entirely; bounded by what is applied.
    mutating func cut(through index: LogIndex) {
        let index = min(index, applied, durable)
        guard index > cutIndex else { return }
        evict(through: index)
        terms.cut(through: index)
        cutIndex = index
    }

    /// Takes entries through `index` out of memory; bounded by what is applied and written.
    mutating func evict(through index: LogIndex) {
        let index = min(index, applied, durable)
        guard index >= firstInMemory else { return }
        entries.removeFirst(Int(index - firstInMemory) + 1)
    }

    /// A snapshot at (`index`, `term`) was installed.
    ///
    /// The log after it stays where it holds that very entry.
    mutating func install(index: LogIndex, term: Term) {
        precondition(index >= applied, "installing \(index), applied \(applied)")
        if self.term(at: index) == term, index <= durable {
            if index >= firstInMemory { entries.removeFirst(Int(index - firstInMemory) + 1) }
            terms.cut(through: index)
        } else {
            entries.removeAll()
            terms = TermRuns(cutIndex: index, cutTerm: term)
            lastIndex = index
            given = index
            durable = index
            writes.shorten(to: 1)
        }
        cutIndex = index
        commit = max(commit, index)
        applied = index
        applying = index
        while let first = configurations.first, first <= index { configurations.removeFirst() }
        if lastIndex == index { configurations.removeAll() }
    }
}
