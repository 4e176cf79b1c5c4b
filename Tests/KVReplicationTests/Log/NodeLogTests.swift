import KVBase
import KVEnvironment
import KVLog
import KVRaft
import KVReplication
import KVSimulation
import Testing

/// The log that all groups of a node share.
struct NodeLogTests {
    @Test func `what was appended is there after a restart`() throws {
        let node = LogNode(seed: 1)
        try node.start()
        node.append(1, 1...20, state: HardState(term: 3, vote: ReplicaID(2), commit: 7))
        node.append(2, 1...5, term: 2)
        node.append(1, 21...25, term: 3)
        node.run()
        for survival: CrashSurvival? in [nil, .loseAll] {
            node.kill(survival)
            try node.start()
            #expect(try node.entries(1) == (1...20).map { entry($0) } + (21...25).map { entry($0, term: 3) })
            #expect(try node.entries(2) == (1...5).map { entry($0, term: 2) })
            let group = try #require(node.recovered?.groups[GroupID(1)])
            #expect(group.hardState == HardState(term: 3, vote: ReplicaID(2), commit: 7))
            #expect(group.lastIndex == 25 && group.lastTerm == 3)
            #expect(node.log?.term(GroupID(1), at: 20) == 1)
            #expect(node.log?.term(GroupID(1), at: 21) == 3)
            #expect(node.log?.term(GroupID(1), at: 26) == nil)
        }
    }

    @Test func `one sync covers all that waited while the last one ran`() throws {
        let node = LogNode(seed: 2)
        node.options.segmentBytes = 1 << 20
        try node.start()
        node.run()
        node.lane.jobCost = { 100_000 }
        node.append(1, 1...1)
        node.world.run(until: node.world.now + 1000)
        let before = node.disk.statistics.fileSyncs
        for index in 2...40 { node.append(UInt32(index % 3 + 2), 1...1, tag: index) }
        node.run()
        #expect(node.disk.statistics.fileSyncs - before <= 2)
        #expect(node.seen.acknowledged.count == 4)
        // The marks when idle are written without a sync.
        #expect(node.seen.order == [0] + Array(2...40))
    }

    @Test func `a later entry at an index replaces it and everything after it`() throws {
        let node = LogNode(seed: 3)
        try node.start()
        node.append(1, 1...30)
        node.append(1, 11...15, term: 2)
        node.append(1, 16...18, term: 2)
        node.append(1, 14...16, term: 4)
        node.run()
        let expected =
            (1...10).map { entry($0) } + (11...13).map { entry($0, term: 2) } + (14...16).map { entry($0, term: 4) }
        #expect(try node.entries(1) == expected)
        node.kill(.loseAll)
        try node.start()
        #expect(try node.entries(1) == expected)
        #expect(node.log?.lastIndex(GroupID(1)) == 16)
        #expect(node.log?.term(GroupID(1), at: 13) == 2)
    }

    @Test func `old entries are read in pages on the pool`() throws {
        let node = LogNode(seed: 4)
        try node.start()
        for batch in 0..<40 {
            node.append(1, LogIndex(batch * 10 + 1)...LogIndex(batch * 10 + 10))
            node.append(2, LogIndex(batch * 3 + 1)...LogIndex(batch * 3 + 3), size: 300)
        }
        node.run()
        #expect((node.log?.segmentCount ?? 0) > 5)
        // SENDABLE: the simulated node runs everything in one thread.
        final class Pages: @unchecked Sendable {
            var entries: [Entry] = []
            var pageCount = 0
            var failures: [LogReadError] = []
        }
        let pages = Pages()
        func read(from low: LogIndex) {
            node.onHome { log in
                log.read(GroupID(1), from: low, to: 381, bytesMax: 2000) { result in
                    switch result {
                    case .success(let page):
                        pages.entries += page
                        pages.pageCount += 1
                    case .failure(let error): pages.failures.append(error)
                    }
                }
            }
            node.run()
        }
        var next: LogIndex = 17
        while next <= 380, pages.failures.isEmpty {
            read(from: next)
            next = (pages.entries.last?.index ?? 1000) + 1
        }
        #expect(pages.entries == (17...380).map { entry($0) })
        #expect(pages.pageCount > 10)
        read(from: 401)
        #expect(pages.failures == [.unavailable(401)])
    }

    @Test func `segments go once every group's cut is past them, and votes stay`() throws {
        let node = LogNode(seed: 5)
        try node.start()
        let idle = HardState(term: 9, vote: ReplicaID(3), commit: 2)
        node.append(3, 1...2, state: idle)
        for batch in 0..<60 {
            node.append(1, LogIndex(batch * 5 + 1)...LogIndex(batch * 5 + 5))
            node.append(2, LogIndex(batch + 1)...LogIndex(batch + 1))
        }
        node.run()
        let before = try #require(node.log?.segmentCount)
        node.onHome { $0.cut(GroupID(1), to: LogCut(index: 280, term: 1)) }
        node.onHome { $0.cut(GroupID(2), to: LogCut(index: 50, term: 1)) }
        node.run()
        #expect(node.log?.segmentCount == before)
        #expect(node.log?.oldestPinned.map(\.group) == [GroupID(3)])
        node.onHome { $0.cut(GroupID(3), to: LogCut(index: 2, term: 1)) }
        node.run()
        let after = try #require(node.log?.segmentCount)
        #expect(after < before / 2)
        #expect(node.log?.segmentsDropped == before - after)
        node.kill(.random)
        node.cuts = [
            GroupID(1): LogCut(index: 280, term: 1), GroupID(2): LogCut(index: 50, term: 1),
            GroupID(3): LogCut(index: 2, term: 1),
        ]
        try node.start()
        #expect(node.recovered?.groups[GroupID(3)]?.hardState == idle)
        #expect(node.recovered?.groups[GroupID(3)]?.lastIndex == 2)
        #expect(try node.entries(1) == (281...300).map { entry($0) })
        #expect(node.log?.term(GroupID(1), at: 280) == 1)
    }

    @Test func `bytes are kept for slow followers`() throws {
        let node = LogNode(seed: 6)
        node.options.retainedBytes = 20_000
        try node.start()
        for batch in 0..<200 { node.append(1, LogIndex(batch * 5 + 1)...LogIndex(batch * 5 + 5)) }
        node.run()
        node.onHome { $0.cut(GroupID(1), to: LogCut(index: 1000, term: 1)) }
        node.run()
        let bytes = try #require(node.log?.retainedBytes)
        #expect(bytes <= 20_000 && bytes > 12_000)
    }

    @Test func `no more entries are kept than asked for, although the bytes have room`() throws {
        let node = LogNode(seed: 16)
        node.options.retainedBytes = 1 << 30
        node.options.retainedEntries = 200
        try node.start()
        for batch in 0..<200 { node.append(1, LogIndex(batch * 5 + 1)...LogIndex(batch * 5 + 5)) }
        node.run()
        #expect(node.log?.firstIndex(GroupID(1)) == 1)
        node.onHome { $0.cut(GroupID(1), to: LogCut(index: 1000, term: 1)) }
        node.run()
        let first = try #require(node.log?.firstIndex(GroupID(1)))
        // Whole segments go, of some fifty entries.
        #expect(first <= 801 && first > 700)
    }

    @Test func `log is kept no longer than asked for, although the bytes have room`() throws {
        let node = LogNode(seed: 17)
        node.options.retainedBytes = 1 << 30
        node.options.retainedNanoseconds = 60_000_000_000
        let clock = SimulatedClock(node.world)
        node.options.clock = clock
        try node.start()
        for batch in 0..<100 { node.append(1, LogIndex(batch * 5 + 1)...LogIndex(batch * 5 + 5)) }
        node.run()
        node.onHome { $0.cut(GroupID(1), to: LogCut(index: 500, term: 1)) }
        node.run()
        #expect(node.log?.firstIndex(GroupID(1)) == 1)
        _ = node.home.schedule(afterNanoseconds: 61_000_000_000) {}
        node.run()
        node.onHome { $0.dropExpired() }
        node.run()
        #expect(try #require(node.log?.firstIndex(GroupID(1))) > 400)
    }

    @Test func `an overwritten entry pins nothing`() throws {
        let node = LogNode(seed: 7)
        try node.start()
        node.append(1, 1...100)
        node.append(1, 20...20, term: 2)
        for batch in 0..<40 { node.append(2, LogIndex(batch * 5 + 1)...LogIndex(batch * 5 + 5)) }
        node.run()
        node.onHome { $0.cut(GroupID(1), to: LogCut(index: 20, term: 2)) }
        node.onHome { $0.cut(GroupID(2), to: LogCut(index: 200, term: 1)) }
        node.run()
        #expect(node.log?.segmentCount == 1)
    }

    @Test func `a reset voids what was before and keeps what comes after`() throws {
        let node = LogNode(seed: 8)
        try node.start()
        node.append(1, 1...30)
        let seen = node.seen
        node.onHome { $0.reset(GroupID(1), to: LogCut(index: 20, term: 5)) { seen.order.append(99) } }
        node.append(1, 21...22, term: 6)
        node.run()
        node.kill(.loseAll)
        node.cuts = [GroupID(1): LogCut(index: 20, term: 5)]
        try node.start()
        #expect(node.seen.order == [0, 99, 0])
        #expect(try node.entries(1) == [entry(21, term: 6), entry(22, term: 6)])
        #expect(node.log?.term(GroupID(1), at: 20) == 5)
    }

    @Test(arguments: [LogCut(index: 50, term: 4), LogCut(index: 20, term: 4)])
    func `a log behind the cut of an installed snapshot, or of another term there, is voided for good`(
        cut: LogCut
    ) throws {
        let node = LogNode(seed: 9)
        try node.start()
        node.append(1, 1...30)
        node.run()
        node.kill(.loseAll)
        node.cuts = [GroupID(1): cut]
        node.cutsAreInstalled = true
        try node.start()
        #expect(node.log?.lastIndex(GroupID(1)) == cut.index)
        node.append(1, (cut.index + 1)...(cut.index + 3), term: 5)
        node.run()
        node.kill(.loseAll)
        node.cutsAreInstalled = false
        try node.start()
        #expect(try node.entries(1).map(\.index) == [cut.index + 1, cut.index + 2, cut.index + 3])
    }

    @Test(arguments: [LogCut(index: 50, term: 4), LogCut(index: 20, term: 4)])
    func `a log that lacks what its manifest's cut was made of is refused, each time`(cut: LogCut) throws {
        let node = LogNode(seed: 9)
        try node.start()
        node.append(1, 1...30)
        node.run()
        node.kill(.loseAll)
        node.cuts = [GroupID(1): cut]
        for _ in 0..<2 {
            let error = #expect(throws: LogError.self) { try node.start() }
            let expected = cut.index == 50 ? "entry 50 was in it" : "was of term 4"
            #expect("\(error.map { "\($0)" } ?? "")".contains(expected))
        }
        node.cuts = [GroupID(1): LogCut(index: 30, term: 1)]
        try node.start()
        #expect(node.log?.lastIndex(GroupID(1)) == 30)
    }

    @Test func `after a failed sync nothing completes and the owner hears why`() throws {
        let node = LogNode(seed: 10)
        try node.start()
        node.run()
        node.append(1, 1...1, tag: 1)
        node.disk.faults.failAt = node.disk.operationCount + 2
        node.run()
        node.append(1, 2...2, tag: 2)
        node.run()
        #expect(node.seen.order.isEmpty)
        #expect(node.seen.failures.count == 1)
        #expect(node.log?.failure != nil)
    }

    @Test func `want of room is told before anything fails, and work goes on when there is room`() throws {
        let node = LogNode(seed: 11)
        node.disk.faults.capacityBytes = 14_000
        try node.start()
        node.run()
        for batch in 0..<40 { node.append(1, LogIndex(batch * 5 + 1)...LogIndex(batch * 5 + 5)) }
        // Until it is told; retries go on for ever, so not until idle.
        node.world.run(until: 3_000_000_000)
        #expect(node.seen.failures.isEmpty)
        let space = try #require(node.seen.space.first)
        #expect(space?.reason == .noSpace)
        let acknowledged = node.seen.acknowledged[GroupID(1)]?.count ?? 0
        #expect(acknowledged > 30 && acknowledged < 200)
        node.disk.faults.capacityBytes = nil
        node.run()
        #expect(node.seen.acknowledged[GroupID(1)]?.count == 200)
        #expect(node.seen.space.last == .some(.none))
        #expect(try node.entries(1) == (1...200).map { entry($0) })
    }

    @Test func `a full queue says so until it is written`() throws {
        let node = LogNode(seed: 12)
        node.options.queueBytesMax = 2000
        try node.start()
        node.run()
        var wasOverloaded = false
        node.append(1, 1...30, size: 100)
        node.onHome { wasOverloaded = $0.isOverloaded }
        node.run()
        #expect(wasOverloaded)
        #expect(node.log?.isOverloaded == false)
        #expect(node.log?.queuedBytes == 0)
    }

    @Test func `a closed log is clean`() throws {
        let node = LogNode(seed: 13)
        try node.start()
        node.append(1, 1...3)
        // SENDABLE: the simulated node runs everything in one thread.
        final class Closed: @unchecked Sendable { var error: LogError?? = .none }
        let closed = Closed()
        node.onHome { $0.close { closed.error = .some($0) } }
        node.run()
        #expect(closed.error == .some(.none))
        node.kill(.loseAll)
        try node.start()
        guard case .cleanEnd(_, isClosed: true) = node.recovered?.verdict else {
            Issue.record("\(String(describing: node.recovered?.verdict))")
            return
        }
        #expect(try node.entries(1) == (1...3).map { entry($0) })
    }

    @Test func `work larger than a segment is whole`() throws {
        let node = LogNode(seed: 14)
        try node.start()
        node.append(1, 1...3, size: 5000)
        node.append(1, 4...4, size: 50)
        node.append(2, 1...1, size: 2_500_000)
        node.append(2, 2...4, size: 700_000)
        node.run()
        node.kill(.loseAll)
        try node.start()
        #expect(try node.entries(1) == (1...3).map { entry($0, size: 5000) } + [entry(4)])
        #expect(try node.entries(2).map(\.payload.count) == [2_500_000, 700_000, 700_000, 700_000])
    }

    @Test func `a damaged log is not opened`() throws {
        let node = LogNode(seed: 15)
        try node.start()
        node.append(1, 1...3)
        node.run()
        node.append(1, 4...6)
        node.run()
        node.kill(.loseAll)
        node.disk.flipBit(250 * 8, of: "data/log/00000001.log")
        #expect(throws: LogError.self) { try node.start() }
    }
}
