package import KVBase

/// Which term each index of a log has, as runs of equal terms: the term of any entry is known without the entry, and a search
/// for a conflict steps over whole terms.
///
/// The first run starts at the cut, the index before the first entry. Terms ascend.
struct TermRuns: Sendable {
    private(set) var runs: [TermRun]

    init(cutIndex: LogIndex, cutTerm: Term) {
        runs = [TermRun(first: cutIndex, term: cutTerm)]
    }

    var lastTerm: Term { runs[runs.count - 1].term }

    /// The term at `index`.
    /// - Precondition: `index` is at or after the cut; what lies past the log's end answers the last term.
    func term(at index: LogIndex) -> Term {
        runs[run(of: index)].term
    }

    /// Notes the next entry.
    mutating func append(_ index: LogIndex, term: Term) {
        if term != lastTerm { runs.append(TermRun(first: index, term: term)) }
    }

    /// Forgets the entries from `index` on.
    mutating func truncate(from index: LogIndex) {
        while runs.count > 1, runs[runs.count - 1].first >= index { runs.removeLast() }
    }

    /// Makes `index` the cut.
    mutating func cut(through index: LogIndex) {
        let place = run(of: index)
        let term = runs[place].term
        runs.removeFirst(place)
        runs[0] = TermRun(first: index, term: term)
    }

    /// The highest index at or below `index` whose term is at most `term`: everything above it in a log that ends in
    /// `term` differs.
    ///
    /// Where all of the log has higher terms: the index before the cut, with term 0.
    func highest(atMost term: Term, through index: LogIndex) -> (index: LogIndex, term: Term) {
        let cut = runs[0].first
        guard index >= cut else { return (index, 0) }
        var place = run(of: index)
        var highest = index
        while runs[place].term > term {
            guard place > 0 else { return (cut > 0 ? cut - 1 : 0, 0) }
            highest = runs[place].first - 1
            place -= 1
        }
        return (highest, runs[place].term)
    }

    private func run(of index: LogIndex) -> Int {
        precondition(index >= runs[0].first, "index \(index) before the cut at \(runs[0].first)")
        var place = runs.count - 1
        if runs[place].first <= index { return place }
        // Runs are many only in a log of many elections, and most questions are about its end: halve.
        var low = 0
        while low < place {
            let middle = (low + place + 1) / 2
            if runs[middle].first <= index { low = middle } else { place = middle - 1 }
        }
        return low
    }
}

/// Entries of one term that follow each other.
package struct TermRun: Sendable, Equatable {
    /// The first index.
    package var first: LogIndex
    /// The term from there on, up to the next run.
    package var term: Term

    /// A run from `first` on.
    package init(first: LogIndex, term: Term) {
        self.first = first
        self.term = term
    }
}
