import Dispatch
import Foundation
import KVPosix
import KVStorage
import Synchronization

// What each workload does with the tablet, operation by operation as db_bench does it.

extension EngineSession {
    /// Runs the workload's threads, or what it is instead, to their end.
    func perform(_ workload: Workload, _ tablet: Tablet) throws -> (ThreadTally, [String: Double]) {
        switch workload {
        case .fillseq, .fillrandom, .overwrite, .fillsync:
            return (runThreads(settings.threads) { self.fill(workload, tablet, seed: $1, $2) }, [:])
        case .readrandom, .readmissing:
            return (runThreads(settings.threads) { self.read(workload, tablet, seed: $1, $2) }, [:])
        case .readseq, .readreverse:
            return (runThreads(settings.threads) { self.walk(tablet, backwards: workload == .readreverse, $2) }, [:])
        case .seekrandom:
            return (runThreads(settings.threads) { self.seek(tablet, seed: $1, $2) }, [:])
        case .readwhilewriting:
            return (readWhileWriting(tablet), [:])
        case .compact, .flush, .waitforcompaction:
            return (try background(workload, tablet), [:])
        case .deletemost:
            return (runThreads(1) { _, _, tally in self.deleteMost(tally) }, [:])
        case .reclaim:
            return try reclaim(tablet)
        case .filters:
            return try probeFilters(tablet)
        case .crash:
            kill(getpid(), SIGKILL)
            throw BenchmarkError("the process outlived SIGKILL")
        case .reopen, .memtableappend, .memtableinsert, .dictionaryinsert:
            // These do what they do before or without a tablet.
            return (ThreadTally(), [:])
        }
    }

    private func runThreads(
        _ count: Int,
        _ body: @escaping @Sendable (Int, UInt64, ThreadTally) -> Void
    ) -> ThreadTally {
        let seeds = takeSeeds(count)
        let tallies = (0..<count).map { _ in ThreadTally() }
        let pool = ThreadWorkerPool(name: "bench", count: count)
        for number in 0..<count {
            let tally = tallies[number]
            let seed = seeds[number]
            pool.submit {
                tally.start()
                body(number, seed, tally)
            }
        }
        pool.stop()
        let sum = ThreadTally()
        for tally in tallies { sum.add(tally) }
        return sum
    }

    // MARK: Writing

    private func fill(_ workload: Workload, _ tablet: Tablet, seed: UInt64, _ tally: ThreadTally) {
        // db_bench draws the keys of fillsync from a thousandth of them, and yet does --num operations.
        let range = workload == .fillsync ? settings.count / 1000 : settings.count
        var draw = KeyDraw(seed: seed, range: range)
        let key = KeyBuffer(count: settings.keyBytes)
        let values = ValueSource(valueBytes: settings.valueBytes)
        var batch = WriteBatch()
        for number in 0..<settings.writes {
            key.set(workload == .fillseq ? number : draw.next())
            batch.removeAll()
            values.withNext(settings.valueBytes) { batch.put(key.bytes, $0) }
            guard write(batch, tally) else { return }
            tally.bytes += UInt64(settings.keyBytes + settings.valueBytes)
            tally.finished()
        }
    }

    private func readWhileWriting(_ tablet: Tablet) -> ThreadTally {
        let isDone = Done()
        let readersLeft = Countdown(settings.threads)
        return runThreads(settings.threads + 1) { number, seed, tally in
            guard number == 0 else {
                self.read(.readrandom, tablet, seed: seed, tally)
                if readersLeft.isLastToLeave() { isDone.flag.store(true, ordering: .releasing) }
                return
            }
            // The writer's operations are not counted, as in db_bench.
            let uncounted = ThreadTally()
            self.writeUntil(isDone, tablet, seed: seed, uncounted)
            tally.stallNanoseconds = uncounted.stallNanoseconds
            tally.failure = uncounted.failure
        }
    }

    private func writeUntil(_ done: Done, _ tablet: Tablet, seed: UInt64, _ tally: ThreadTally) {
        var draw = KeyDraw(seed: seed, range: settings.count)
        let key = KeyBuffer(count: settings.keyBytes)
        let values = ValueSource(valueBytes: settings.valueBytes)
        var batch = WriteBatch()
        while !done.flag.load(ordering: .acquiring) {
            key.set(draw.next())
            batch.removeAll()
            values.withNext(settings.valueBytes) { batch.put(key.bytes, $0) }
            guard write(batch, tally) else { return }
        }
    }

    // MARK: Reading

    private func read(_ workload: Workload, _ tablet: Tablet, seed: UInt64, _ tally: ThreadTally) {
        var draw = KeyDraw(seed: seed, range: settings.count)
        let key = KeyBuffer(count: settings.keyBytes + (workload == .readmissing ? 1 : 0))
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: max(settings.valueBytes, 1), alignment: 16)
        defer { room.deallocate() }
        for _ in 0..<settings.reads {
            key.set(draw.next())
            do throws(StorageError) {
                let count = try tablet.get(key.bytes) { result -> Int in
                    guard case .found(let value) = result else { return -1 }
                    guard value.count == room.count else { return -2 }
                    room.copyMemory(from: value)
                    return value.count
                }
                if count == -2 {
                    tally.failure = "a value is not of \(settings.valueBytes) bytes"
                    return
                }
                if count >= 0 {
                    tally.found += 1
                    tally.bytes += UInt64(key.bytes.count + count)
                }
            } catch {
                tally.failure = "\(error)"
                return
            }
            tally.finished()
        }
    }

    private func seek(_ tablet: Tablet, seed: UInt64, _ tally: ThreadTally) {
        var draw = KeyDraw(seed: seed, range: settings.count, drawsDatabase: false)
        let key = KeyBuffer(count: settings.keyBytes)
        for _ in 0..<settings.reads {
            key.set(draw.next())
            do throws(StorageError) {
                // As db_bench: each seek has a cursor of its own.
                let iterator = try tablet.makeIterator()
                try iterator.seek(key.bytes)
                if iterator.isValid, iterator.key.elementsEqual(key.bytes) {
                    tally.found += 1
                    tally.bytes += UInt64(key.bytes.count + iterator.value.count)
                }
            } catch {
                tally.failure = "\(error)"
                return
            }
            tally.finished()
        }
    }

    private func walk(_ tablet: Tablet, backwards: Bool, _ tally: ThreadTally) {
        do throws(StorageError) {
            let iterator = try tablet.makeIterator()
            if backwards { try iterator.seekToLast() } else { try iterator.seekToFirst() }
            while iterator.isValid, tally.operations < settings.reads {
                tally.bytes += UInt64(iterator.key.count + iterator.value.count)
                if backwards { try iterator.previous() } else { try iterator.next() }
                tally.finished()
            }
        } catch {
            tally.failure = "\(error)"
        }
    }

    // MARK: The rest

    private func background(_ workload: Workload, _ tablet: Tablet) throws -> ThreadTally {
        let tally = ThreadTally()
        if workload.takesThreadNumbers { _ = takeSeeds(1) }
        tally.start()
        switch workload {
        case .flush:
            try wait { done in try forceFlush(done) }
        case .compact:
            try wait { done in try forceFlush(done) }
            try wait { done in tablet.compactAll(done) }
        default:
            while !tablet.isIdle { usleep(2000) }
            // Tables that somebody still held when their compaction ended.
            try maintain()
            while !tablet.isIdle { usleep(2000) }
        }
        tally.finished()
        return tally
    }

    private func wait(
        _ start: (@escaping @Sendable (Result<Void, StorageError>) -> Void) throws -> Void
    ) throws {
        let slot = Mutex<Result<Void, StorageError>?>(nil)
        let done = DispatchSemaphore(value: 0)
        try start { result in
            slot.withLock { $0 = result }
            done.signal()
        }
        done.wait()
        try slot.withLock { $0 }?.get()
    }

    private func probeFilters(_ tablet: Tablet) throws -> (ThreadTally, [String: Double]) {
        let tally = ThreadTally()
        tally.start()
        var draw = KeyDraw(seed: settings.seed, range: settings.count)
        var absent = FilterVerdict()
        var present = FilterVerdict()
        let longer = KeyBuffer(count: settings.keyBytes + 1)
        let key = KeyBuffer(count: settings.keyBytes)
        for _ in 0..<settings.reads {
            let number = draw.next()
            longer.set(number)
            key.set(number)
            absent.add(try tablet.filterVerdict(longer.bytes))
            if try tablet.get(key.bytes, { if case .found = $0 { true } else { false } }) {
                present.add(try tablet.filterVerdict(key.bytes))
                tally.found += 1
            }
            tally.finished()
        }
        return (
            tally,
            [
                "falsePositiveRate": absent.passedShare,
                "lookupsSavedAbsent": 1 - absent.passedShare,
                "lookupsSavedPresent": 1 - present.passedShare,
                "tablesAsked": Double(absent.tables) / Double(max(1, settings.reads)),
            ]
        )
    }
}

/// Set when a background writer should end.
private final class Done: Sendable {
    let flag = Atomic<Bool>(false)
}

/// Counts threads that leave.
private final class Countdown: Sendable {
    private let left: Atomic<Int>

    init(_ count: Int) { left = Atomic(count) }

    func isLastToLeave() -> Bool { left.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 }
}
