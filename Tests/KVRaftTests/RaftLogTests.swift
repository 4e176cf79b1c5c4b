import KVBase
import Testing

@testable import KVRaft

/// The log by itself: what it makes of what a disk holds, and what is left when others rewrite, cut or replace it.
struct RaftLogTests {
    private func entry(_ index: LogIndex, _ term: Term = 1, _ kind: EntryKind = .commands, time: UInt64 = 0) -> Entry {
        Entry(index: index, term: term, kind: kind, time: time, checksum: 0, payload: [1])
    }

    /// A log cut at 10 of term 2, with entries from 11 on.
    private func restored(
        _ entries: [Entry],
        applied: LogIndex = 10,
        commit: LogIndex = 0,
        evictedConfigurations: [LogIndex] = []
    ) -> RestoredState {
        RestoredState(
            replica: ReplicaID(1),
            hardState: HardState(term: 9, commit: commit),
            configuration: Configuration(voters: [ReplicaID(1)]),
            cutIndex: 10,
            cutTerm: 2,
            evictedConfigurations: evictedConfigurations,
            entries: entries,
            applied: applied,
            lastTime: 7
        )
    }

    private func log(_ state: RestoredState) throws -> RaftLog { try RaftLog(state, plantedBugs: []) }

    @Test func `what was applied is committed, and nothing before the cut is to be applied`() throws {
        let entries = (11...15).map { entry(LogIndex($0), 3) }
        for (applied, commit, expected) in [(10, 0, (10, 10)), (12, 11, (12, 12)), (12, 14, (12, 14))] {
            let log = try log(restored(entries, applied: LogIndex(applied), commit: LogIndex(commit)))
            #expect(log.applied == LogIndex(expected.0) && log.applying == LogIndex(expected.0))
            #expect(log.commit == LogIndex(expected.1))
            #expect(log.lastIndex == 15 && log.durable == 15 && log.given == 15)
            #expect(log.firstIndex == 11 && log.firstInMemory == 11)
        }
    }

    @Test func `changes of the configuration that are not applied are known, those before are not`() throws {
        var entries = (11...16).map { entry(LogIndex($0), 3) }
        entries[1].kind = .configuration
        entries[4].kind = .configuration
        #expect(try Array(log(restored(entries)).configurations) == [12, 15])
        #expect(try Array(log(restored(entries, applied: 12)).configurations) == [15])
        #expect(try Array(log(restored(entries, applied: 11)).configurations) == [12, 15])
        #expect(try Array(log(restored(entries, applied: 15)).configurations) == [])
    }

    @Test func `what is rewritten takes its changes of the configuration along`() throws {
        var entries = (11...16).map { entry(LogIndex($0), 3) }
        entries[1].kind = .configuration
        entries[4].kind = .configuration
        for (from, left) in [(16, [12, 15]), (15, [12]), (13, [12]), (12, [])] as [(LogIndex, [LogIndex])] {
            var log = try log(restored(entries))
            log.truncate(from: from)
            #expect(Array(log.configurations) == left, "from \(from)")
            #expect(log.lastIndex == from - 1 && log.durable == from - 1 && log.given == from - 1)
            #expect(log.term(at: from) == nil && log.term(at: from - 1) == (from == 11 ? 2 : 3))
        }
    }

    @Test func `a snapshot within the log keeps what follows, one beyond replaces all`() throws {
        var entries = (11...16).map { entry(LogIndex($0), 3) }
        entries[1].kind = .configuration
        entries[4].kind = .configuration
        var kept = try log(restored(entries))
        kept.install(index: 13, term: 3)
        #expect(kept.cutIndex == 13 && kept.lastIndex == 16 && kept.durable == 16)
        #expect(kept.applied == 13 && kept.commit == 13)
        #expect(Array(kept.configurations) == [15])
        #expect(kept.term(at: 13) == 3 && kept.term(at: 12) == nil)

        for (index, term) in [(13, 4), (20, 5)] as [(LogIndex, Term)] {
            var replaced = try log(restored(entries))
            replaced.install(index: index, term: term)
            #expect(replaced.lastIndex == index && replaced.durable == index && replaced.given == index)
            #expect(replaced.firstInMemory == index + 1 && replaced.term(at: index) == term)
            #expect(Array(replaced.configurations) == [])
            #expect(replaced.commit == index)
        }
    }

    @Test func `a restored state that contradicts itself is refused`() {
        let good = (11...13).map { entry(LogIndex($0), 3) }
        var cases: [RestoredState] = [
            restored(good, applied: 14),
            restored([entry(12, 3)]),
            restored([entry(11, 3), entry(13, 3)]),
            restored([entry(11, 3), entry(12, 2)]),
            restored([entry(11, 1)]),
            restored([entry(11, 10)]),
        ]
        cases[0].hardState.commit = 14
        for state in cases { #expect(throws: RaftError.self) { try log(state) } }
        #expect(throws: Never.self) { try log(restored(good, applied: 13)) }
        #expect(throws: Never.self) { try log(restored([entry(11, 2), entry(12, 9)])) }
    }

    @Test func `a log is up to date by its last term first, and by its length only where that is the same`() throws {
        let log = try log(restored([entry(11, 3), entry(12, 4)]))
        let cases: [(LogIndex, Term, Bool)] = [
            (12, 4, true), (13, 4, true), (11, 4, false), (99, 3, false), (12, 3, false), (1, 5, true),
        ]
        for (index, term, expected) in cases {
            #expect(log.isUpToDate(index: index, term: term) == expected, "\(index) of term \(term)")
        }
    }

    @Test func `a slice takes what fits the bytes exactly, and always one entry`() throws {
        let log = try log(restored((11...15).map { entry(LogIndex($0), 3) }))
        let size = log.entry(at: 11).size
        for (bytes, count) in [(0, 1), (size, 1), (2 * size - 1, 1), (2 * size, 2), (9 * size, 4)] {
            let slice = log.slice(from: 11, through: 14, bytesMax: bytes)
            #expect(slice.entries.map(\.index) == (0..<count).map { 11 + LogIndex($0) })
            #expect(slice.bytes == count * size)
        }
    }

    @Test func `what is cut at least is applied, and the newest time is the log's or the one restored`() throws {
        #expect(try log(restored([], applied: 0)).applied == 10)
        #expect(try log(restored([])).lastTime == 7)
        #expect(try log(restored([entry(11, 3, time: 6)])).lastTime == 7)
        #expect(try log(restored([entry(11, 3, time: 8)])).lastTime == 8)
    }

    @Test func `only what is applied leaves memory or is cut, and a cut is not taken back`() throws {
        var log = try log(restored((11...15).map { entry(LogIndex($0), 3) }, applied: 13, commit: 15))
        log.evict(through: 99)
        #expect(log.firstInMemory == 14 && log.cutIndex == 10)
        log.cut(through: 12)
        #expect(log.firstIndex == 13 && log.firstInMemory == 14)
        log.cut(through: 11)
        #expect(log.firstIndex == 13)
        log.cut(through: 99)
        #expect(log.firstIndex == 14 && log.lastIndex == 15)
    }

    @Test func `a snapshot keeps the log after it only where the log is durable so far`() throws {
        for (index, last) in [(13, 15), (14, 14)] as [(LogIndex, LogIndex)] {
            var log = try log(restored((11...13).map { entry(LogIndex($0), 3) }))
            log.append(entry(14, 3))
            log.append(entry(15, 3))
            log.install(index: index, term: 3)
            log.checkInvariants()
            #expect(log.lastIndex == last && log.durable == index, "at \(index)")
        }
    }

    @Test func `a change of the configuration that a snapshot holds is not waited for`() throws {
        var entries = (11...14).map { entry(LogIndex($0), 3) }
        entries[1].kind = .configuration
        var log = try log(restored(entries))
        log.install(index: 12, term: 3)
        #expect(log.configurations.isEmpty && log.lastIndex == 14)
    }

    @Test func `the report of a write of a log that a snapshot replaced makes nothing durable`() throws {
        var log = try log(restored((11...13).map { entry(LogIndex($0), 3) }))
        var written: [Entry] = []
        func write() -> UInt64? {
            log.takeUnwritten(hardState: HardState(term: 9), hardStateChanged: false, into: &written)
        }
        for index: LogIndex in 14...20 { log.append(entry(index, 3)) }
        let old = try #require(write())
        log.install(index: 16, term: 9)
        log.append(entry(17, 9))
        let new = try #require(write())
        while log.takeDurable(through: old) != nil {}
        #expect(log.durable == 16)
        while log.takeDurable(through: new) != nil {}
        #expect(log.durable == 17)
    }
}
