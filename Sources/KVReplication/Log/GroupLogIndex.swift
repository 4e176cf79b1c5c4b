import KVBase
import KVLog
import KVRaft

/// What is known in memory of one group's log: its bounds, the terms, and where to start reading for an index.
///
/// Places are sparse: one for about every `placeBytes` of log. Invariants:
/// 1. Places ascend by index, strictly; the first covers `firstIndex`.
/// 2. From a place on, taking each next index of the group where it first appears gives the group's entries, up to the next place:
///    an overwritten suffix drops the places in it and begins with a place of its own, and so does each segment.
struct GroupLogIndex {
    /// Where the log begins.
    private(set) var cut = LogCut()
    /// The last entry; equal to the cut where there is none.
    private(set) var lastIndex: LogIndex = 0
    private(set) var hardState = HardState()
    private(set) var places: [Place] = []
    private var terms: [TermStart] = []

    /// Where the record stands that has `first` as its first entry worth reading.
    struct Place: Equatable {
        let first: LogIndex
        let record: LogRecordPlace
    }

    private struct TermStart {
        let first: LogIndex
        let term: Term
    }

    static let placeBytes: UInt64 = 16 * 1024

    var firstIndex: LogIndex { cut.index + 1 }
    var lastTerm: Term { terms.last?.term ?? cut.term }

    mutating func set(_ state: HardState) {
        hardState = state
    }

    /// Takes a run of entries in: `runTerms` are the runs of equal terms in it.
    /// - Returns: where an older suffix was replaced, its first index.
    mutating func append(
        first: LogIndex,
        last: LogIndex,
        terms runTerms: [(first: LogIndex, term: Term)],
        at record: LogRecordPlace
    ) -> LogIndex? {
        precondition(first > 0 && last >= first, "a run from \(first) to \(last)")
        var replaced: LogIndex?
        if first > lastIndex + 1 {
            // Nothing before it is of use any more: a snapshot came between.
            begin(after: LogCut(index: first - 1, term: 0))
        } else if first <= lastIndex {
            replaced = first
            truncate(from: first)
        }
        let isFarEnough =
            if let place = places.last {
                place.record.number != record.number || record.position >= place.record.position + Self.placeBytes
            } else {
                true
            }
        if isFarEnough || replaced != nil { places.append(Place(first: first, record: record)) }
        for run in runTerms where run.term != terms.last?.term {
            terms.append(TermStart(first: run.first, term: run.term))
        }
        lastIndex = last
        // Entries that reach behind the cut (a leader sends them again) change nothing there.
        return replaced
    }

    /// Forgets everything: the log begins after `cut`.
    mutating func begin(after cut: LogCut) {
        self.cut = cut
        lastIndex = cut.index
        places = []
        terms = []
    }

    /// Forgets the entries up to `cut`, which the log has.
    mutating func advance(to cut: LogCut) {
        if cut.index == self.cut.index && self.cut.term == 0 { self.cut = cut }
        guard cut.index > self.cut.index else { return }
        if cut.index >= lastIndex { return begin(after: cut) }
        self.cut = cut
        let kept = places.lastIndex { $0.first <= cut.index + 1 } ?? 0
        places.removeFirst(kept)
        let keptTerm = terms.lastIndex { $0.first <= cut.index + 1 } ?? 0
        terms.removeFirst(keptTerm)
    }

    /// The term of an entry, or of the cut; nil where it is not known.
    func term(at index: LogIndex) -> Term? {
        if index == cut.index { return cut.term }
        guard index > cut.index, index <= lastIndex else { return nil }
        return terms.last { $0.first <= index }?.term
    }

    /// Where to start reading for `index`, and the last index that this place is good for.
    func place(for index: LogIndex) -> (place: Place, through: LogIndex)? {
        guard index > cut.index, index <= lastIndex else { return nil }
        var low = 0
        var high = places.count
        while low < high {
            let middle = (low + high) / 2
            if places[middle].first <= index { low = middle + 1 } else { high = middle }
        }
        guard low > 0 else { return nil }
        return (places[low - 1], low < places.count ? places[low].first - 1 : lastIndex)
    }

    private mutating func truncate(from index: LogIndex) {
        if index <= cut.index { cut = LogCut(index: index - 1, term: 0) }
        while let place = places.last, place.first >= index { places.removeLast() }
        while let start = terms.last, start.first >= index { terms.removeLast() }
        lastIndex = index - 1
    }
}
