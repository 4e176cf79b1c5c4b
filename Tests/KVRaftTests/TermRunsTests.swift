import KVBase
import Testing

@testable import KVRaft

/// The terms of a log, as runs.
struct TermRunsTests {
    /// Cut at 10 of term 2; 11 and 12 of term 3, 13 of term 5, 14 to 20 of term 6.
    private var runs: TermRuns {
        var runs = TermRuns(cutIndex: 10, cutTerm: 2)
        for (index, term) in [(11, 3), (12, 3), (13, 5), (14, 6), (15, 6)] as [(LogIndex, Term)] {
            runs.append(index, term: term)
        }
        return runs
    }

    private let terms: [(LogIndex, Term)] = [(10, 2), (11, 3), (12, 3), (13, 5), (14, 6), (20, 6)]

    @Test func `each index has the term of its run`() {
        #expect(runs.runs.count == 4 && runs.lastTerm == 6)
        for (index, term) in terms { #expect(runs.term(at: index) == term, "\(index)") }
    }

    @Test func `very many runs are found as well`() {
        var many = TermRuns(cutIndex: 0, cutTerm: 0)
        for index in 1...200 { many.append(LogIndex(index * 3), term: Term(index)) }
        for index in 0...620 { #expect(many.term(at: LogIndex(index)) == Term(min(200, index / 3))) }
    }

    @Test func `what is rewritten is forgotten, the cut never`() {
        for (from, last) in [(16, 6), (15, 6), (14, 5), (13, 3), (12, 3), (11, 2), (10, 2)] as [(LogIndex, Term)] {
            var runs = runs
            runs.truncate(from: from)
            #expect(runs.lastTerm == last, "from \(from)")
            #expect(runs.term(at: 10) == 2)
        }
    }

    @Test func `a cut keeps the term at its index and all after it`() {
        for (index, count) in [(10, 4), (11, 3), (12, 3), (13, 2), (14, 1), (17, 1)] as [(LogIndex, Int)] {
            var runs = runs
            runs.cut(through: index)
            #expect(runs.runs.count == count && runs.runs[0].first == index, "at \(index)")
            for (place, term) in terms where place >= index { #expect(runs.term(at: place) == term) }
        }
    }

    @Test func `the highest index of at most a term`() {
        let cases: [(term: Term, through: LogIndex, index: LogIndex, found: Term)] = [
            (6, 20, 20, 6), (7, 15, 15, 6), (5, 20, 13, 5), (4, 20, 12, 3), (3, 13, 12, 3), (3, 11, 11, 3),
            (2, 20, 10, 2),
            (2, 10, 10, 2), (1, 20, 9, 0), (1, 10, 9, 0), (6, 9, 9, 0), (0, 3, 3, 0), (5, 13, 13, 5), (6, 13, 13, 5),
        ]
        for one in cases {
            let found = runs.highest(atMost: one.term, through: one.through)
            #expect(found.index == one.index && found.term == one.found, "\(one)")
        }
        #expect(TermRuns(cutIndex: 0, cutTerm: 4).highest(atMost: 3, through: 0) == (0, 0))
        #expect(TermRuns(cutIndex: 1, cutTerm: 4).highest(atMost: 3, through: 5) == (0, 0))
    }

    @Test func `restored terms that do not belong to the log are refused`() {
        func state(_ runs: [TermRun], through index: LogIndex, term: Term = 9) -> RestoredState {
            RestoredState(
                replica: ReplicaID(1),
                hardState: HardState(term: term),
                configuration: Configuration(voters: [ReplicaID(1)]),
                cutIndex: 10,
                cutTerm: 2,
                evictedTerms: runs,
                evictedThrough: index,
                applied: 10
            )
        }
        let one = TermRun(first: 11, term: 2)
        #expect(throws: Never.self) { try state([one, TermRun(first: 13, term: 4)], through: 14).validate() }
        #expect(throws: Never.self) { try state([one], through: 11).validate() }
        #expect(throws: Never.self) { try state([TermRun(first: 11, term: 9)], through: 11).validate() }
        #expect(throws: Never.self) { try state([], through: 10).validate() }
        for bad in [
            state([TermRun(first: 12, term: 2)], through: 14), state([TermRun(first: 10, term: 2)], through: 14),
            state([one, TermRun(first: 15, term: 4)], through: 14), state([TermRun(first: 11, term: 1)], through: 14),
            state([one, TermRun(first: 11, term: 4)], through: 14), state([], through: 14), state([], through: 9),
            state([TermRun(first: 11, term: 4), TermRun(first: 12, term: 3)], through: 14),
            state([TermRun(first: 11, term: 10)], through: 14), state([one], through: RaftCore.numberMax),
            state([], through: 10, term: RaftCore.numberMax),
        ] {
            #expect(throws: RaftError.self) { try bad.validate() }
        }
    }
}
