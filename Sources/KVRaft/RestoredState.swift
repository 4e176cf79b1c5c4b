package import KVBase

/// What a replica finds on its disk when it starts.
///
/// All of it is durable.
///
///     cutIndex ……… evictedThrough ……… entries.last
///        │  terms only   │   entries in memory
package struct RestoredState: Sendable {
    /// Which replica this is.
    package var replica: ReplicaID
    /// Term, vote and commit.
    package var hardState: HardState
    /// The group's configuration as of `applied`.
    package var configuration: Configuration
    /// The index through which the log is cut (a snapshot or a flush holds it); 0 for none.
    package var cutIndex: LogIndex
    /// The term of the entry at the cut.
    package var cutTerm: Term
    /// Terms of the entries after the cut that are not in `entries`: the first run starts at `cutIndex + 1`.
    ///
    /// Empty where `entries` starts there.
    package var evictedTerms: [TermRun]
    /// The last index covered by `evictedTerms`; `cutIndex` where that is empty.
    package var evictedThrough: LogIndex
    /// Where configuration entries stand in the range of `evictedTerms` above `applied`.
    package var evictedConfigurations: [LogIndex]
    /// The entries after `evictedThrough`.
    package var entries: [Entry]
    /// The last applied index, at least `cutIndex`.
    package var applied: LogIndex
    /// The time of the newest entry where `entries` is empty.
    package var lastTime: UInt64

    /// A state with these parts; a replica that never ran has none but itself and the configuration it starts with.
    package init(
        replica: ReplicaID,
        hardState: HardState = HardState(),
        configuration: Configuration,
        cutIndex: LogIndex = 0,
        cutTerm: Term = 0,
        evictedTerms: [TermRun] = [],
        evictedThrough: LogIndex? = nil,
        evictedConfigurations: [LogIndex] = [],
        entries: [Entry] = [],
        applied: LogIndex = 0,
        lastTime: UInt64 = 0
    ) {
        self.replica = replica
        self.hardState = hardState
        self.configuration = configuration
        self.cutIndex = cutIndex
        self.cutTerm = cutTerm
        self.evictedTerms = evictedTerms
        self.evictedThrough = evictedThrough ?? cutIndex
        self.evictedConfigurations = evictedConfigurations
        self.entries = entries
        self.applied = applied
        self.lastTime = lastTime
    }

    /// A replica of a new group, of which all start with the same configuration.
    ///
    /// The group's log starts cut at index 1, as if that had made the configuration: a replica that joins later holds less, so it
    /// always gets a snapshot and with it the configuration. (One that replayed changes on top of nothing would have another.)
    package static func founding(_ replica: ReplicaID, configuration: Configuration) -> RestoredState {
        RestoredState(
            replica: replica,
            hardState: HardState(commit: 1),
            configuration: configuration,
            cutIndex: 1,
            applied: 1
        )
    }

    /// A replica that joins a group: it knows nothing, is nobody, and waits for a snapshot.
    package static func joining(_ replica: ReplicaID) -> RestoredState {
        RestoredState(replica: replica, configuration: Configuration())
    }

    /// Checks that the parts fit together, so that the core can rely on it.
    func validate() throws(RaftError) {
        guard replica.rawValue != 0 else { throw .malformed("replica 0") }
        guard cutIndex <= evictedThrough, evictedThrough < RaftCore.numberMax, hardState.term < RaftCore.numberMax
        else {
            throw .malformed("cut \(cutIndex), evicted through \(evictedThrough), term \(hardState.term)")
        }
        var term = cutTerm
        var next = cutIndex + 1
        for run in evictedTerms {
            guard run.first >= next, run.first <= evictedThrough, run.term >= term else {
                throw .malformed("term run \(run) after index \(next - 1), term \(term)")
            }
            guard next > cutIndex + 1 || run.first == next else {
                throw .malformed("term run \(run) after cut \(cutIndex)")
            }
            next = run.first + 1
            term = run.term
        }
        guard evictedThrough == cutIndex || !evictedTerms.isEmpty else {
            throw .malformed("no terms for \(cutIndex + 1) through \(evictedThrough)")
        }
        next = evictedThrough + 1
        for entry in entries {
            guard entry.index == next, entry.term >= term else {
                throw .malformed("entry \(entry.term)/\(entry.index) where \(next) of term \(term) or above belongs")
            }
            next += 1
            term = entry.term
        }
        guard term <= hardState.term || (entries.isEmpty && evictedTerms.isEmpty) else {
            throw .malformed("an entry of term \(term) in term \(hardState.term)")
        }
        let needed = max(applied, hardState.commit)
        guard needed < next else { throw .logLost(last: next - 1, needed: needed) }
    }
}
