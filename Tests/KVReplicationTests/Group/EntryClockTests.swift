import KVBase
import KVService
import Testing

@testable import KVReplication

struct EntryClockTests {
    @Test func `an entry's stages follow each other and add up`() throws {
        var clock = EntryClock()
        clock.propose(7, 2, requests: 3, arrived: 100, now: 150)
        clock.sync(through: 7, began: 160, ended: 200)
        clock.commit(through: 7, now: 230)
        let applied = clock.apply(7, 2, now: 235)
        let (stages, requests) = try #require(applied)
        #expect(stages.named.map(\.nanoseconds) == [50, 10, 40, 30, 5])
        #expect(stages.total == 135)
        #expect(requests == 3)
        #expect(!clock.isOpen(7))
    }

    @Test func `an entry of another term or an overwritten one has no times`() {
        var clock = EntryClock()
        clock.propose(7, 2, requests: 1, arrived: 1, now: 1)
        clock.propose(8, 2, requests: 1, arrived: 1, now: 1)
        let otherTerm = clock.apply(7, 3, now: 9)
        #expect(otherTerm == nil)
        clock.propose(8, 4, requests: 5, arrived: 2, now: 3)
        let overwriting = clock.apply(8, 4, now: 9)
        #expect(overwriting?.requests == 5)
    }

    @Test func `what is never applied is forgotten, oldest first`() {
        var clock = EntryClock()
        for index in 1...5_000 { clock.propose(LogIndex(index), 1, requests: 1, arrived: 0, now: 1) }
        #expect(!clock.isOpen(100))
        #expect(clock.isOpen(5_000))
    }

    @Test func `the slow log keeps the newest and counts all`() {
        var log = SlowLog(thresholdNanoseconds: 10, capacity: 2)
        #expect(log.isSlow(10) && !log.isSlow(9))
        for index in 1...3 { log.add(request(index: LogIndex(index))) }
        #expect(log.total == 3)
        #expect(log.newestFirst.map(\.index) == [3, 2])
        #expect(log.after(2).map(\.id) == [3])
        #expect(log.after(3).isEmpty)
        #expect(!SlowLog(thresholdNanoseconds: 0).isSlow(UInt64.max))
    }

    @Test func `a slow request's key is cut and shown as text`() {
        var key = Array("a b\\".utf8)
        key.append(contentsOf: [0, 255])
        #expect(request(index: 1, key: key).keyText == "a\\x20b\\x5c\\x00\\xff")
        #expect(request(index: 1, key: [UInt8](repeating: 97, count: 500)).key.count == SlowRequest.keyBytesMax)
    }

    private func request(index: LogIndex, key: [UInt8] = []) -> SlowRequest {
        SlowRequest(
            id: 0,
            finishedAt: 0,
            group: GroupID(1),
            shard: ShardID(0),
            operation: .put,
            key: key,
            requests: 1,
            index: index,
            stages: SlowRequest.Stages()
        )
    }
}
