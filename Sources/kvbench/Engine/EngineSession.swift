import Foundation
import KVPosix
import KVStorage
import Synchronization

/// A failure that ends the benchmark.
struct BenchmarkError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// The tablet that workloads run against, one after the other, and the thread numbers they take.
///
/// One thread drives it; the threads of a workload only use `write`, `read…` and the settings.
// SENDABLE: `tablet` and `threadNumber` change only between workloads, when no thread of one runs.
final class EngineSession: @unchecked Sendable {
    let settings: EngineSettings
    /// db_bench numbers its threads from 1 on through all its workloads; the number is added to the seed.
    private var threadNumber: UInt64 = 0
    private let workers: ThreadWorkerPool
    private var opened: Opened?

    private struct Opened {
        let tablet: Tablet
        let queue: CommitQueue?
    }

    private var opensSynchronized = false
    /// The process's memory before a tablet was opened.
    let residentAtStart = ProcessUsage.residentBytes
    private let writing = Mutex<Void>(())

    init(_ settings: EngineSettings) {
        self.settings = settings
        workers = ThreadWorkerPool(name: "work", count: settings.backgroundThreads)
    }

    /// Runs one workload and says what it came to.
    func run(_ workload: Workload) throws -> WorkloadReport {
        if workload.isMicro { return try MemtableFigures.run(workload, settings) }
        if workload == .reopen { close() }
        let beforeOpen = nowNanoseconds()
        let tablet = try prepare(workload)
        ProcessUsage.restartPeak()
        let before = ProcessUsage()
        let start = workload == .reopen ? beforeOpen : nowNanoseconds()
        let (tally, more) = try perform(workload, tablet)
        let seconds = Double(nowNanoseconds() - start) / 1e9
        let after = ProcessUsage()
        if let failure = tally.failure { throw BenchmarkError("\(workload.rawValue): \(failure)") }
        var report = WorkloadReport(
            workload: workload,
            threads: settings.threads,
            seconds: seconds,
            tally: tally,
            looksFor: workload.looksForKeys
        )
        report.cpuSeconds = after.cpuSeconds - before.cpuSeconds
        report.bytesWritten = after.bytesWritten - before.bytesWritten
        report.peakRSSBytes = ProcessUsage.peakBytes
        report.finalBytes = allocatedBytes(below: settings.directory)
        report.more = more
        return report
    }

    /// Closes the tablet; what is not in tables stays in its log.
    func close() {
        guard let tablet = opened?.tablet else { return }
        opened = nil
        let done = DispatchSemaphore(value: 0)
        tablet.close { done.signal() }
        done.wait()
    }

    /// Puts a batch, through the tablet's queue or, where the tablet has no log of its own, one thread at a time.
    ///
    /// Waits where flushing does not keep up.
    func write(_ batch: borrowing WriteBatch, _ tally: ThreadTally) -> Bool {
        guard let opened else { return false }
        while true {
            do throws(StorageError) {
                if let queue = opened.queue {
                    try queue.write(batch)
                } else {
                    let failure = writing.withLock { _ -> StorageError? in
                        do throws(StorageError) { try opened.tablet.write(batch, mark: TabletMark()) } catch {
                            return error
                        }
                        return nil
                    }
                    if let failure { throw failure }
                }
                return true
            } catch {
                guard case .memtablesFull = error else {
                    tally.failure = "\(error)"
                    return false
                }
                let start = nowNanoseconds()
                usleep(500)
                tally.stallNanoseconds += nowNanoseconds() - start
            }
        }
    }

    /// What a node does once a second.
    func maintain() throws {
        guard let opened else { return }
        guard let queue = opened.queue else {
            opened.tablet.flushIfDue()
            return opened.tablet.maintain()
        }
        try queue.maintain()
    }

    /// Starts to bring all that was written into tables.
    func forceFlush(_ completion: @escaping @Sendable (Result<Void, StorageError>) -> Void) throws {
        guard let opened else { return }
        if let queue = opened.queue {
            try queue.asWriter { tablet in tablet.forceFlush { completion($0.map { _ in }) } }
        } else {
            opened.tablet.forceFlush { completion($0.map { _ in }) }
        }
    }

    /// The seeds of a workload's threads.
    func takeSeeds(_ count: Int) -> [UInt64] {
        (0..<count).map { _ in
            threadNumber += 1
            return settings.seed &+ threadNumber
        }
    }

    // MARK: Opening

    private func prepare(_ workload: Workload) throws -> Tablet {
        let synchronizes = settings.synchronizes || workload == .fillsync
        if workload.isFresh, !settings.usesExistingTablet {
            close()
            try? FileManager.default.removeItem(atPath: settings.directory)
        }
        if let opened, opensSynchronized == synchronizes { return opened.tablet }
        close()
        let options = settings.options(synchronizes: synchronizes, workers: workers)
        let tablet: Tablet
        if Tablet.exists(options.fileSystem, settings.directory) {
            tablet = try Tablet.open(options)
        } else {
            tablet = try Tablet.create(options)
        }
        opened = Opened(tablet: tablet, queue: settings.disablesLog ? nil : CommitQueue(tablet))
        opensSynchronized = synchronizes
        return tablet
    }
}

extension WorkloadReport {
    /// The figures of a tally; what the process used is filled in by the caller.
    init(workload: Workload, threads: Int, seconds: Double, tally: ThreadTally, looksFor: Bool) {
        let operations = max(tally.operations, 1)
        self.init(
            workload: workload.rawValue,
            threads: threads,
            operations: tally.operations,
            seconds: seconds,
            opsPerSecond: Double(tally.operations) / seconds,
            microsecondsPerOp: seconds * 1e6 * Double(threads) / Double(operations),
            megabytesPerSecond: Double(tally.bytes) / 1_048_576 / seconds,
            found: looksFor ? tally.found : nil,
            cpuSeconds: 0,
            peakRSSBytes: 0,
            bytesWritten: 0,
            finalBytes: 0,
            p50Microseconds: tally.microseconds(50),
            p99Microseconds: tally.microseconds(99),
            p999Microseconds: tally.microseconds(99.9),
            maxMicroseconds: tally.microseconds(100),
            stallSeconds: Double(tally.stallNanoseconds) / 1e9
        )
    }
}

extension Workload {
    /// Whether keys are looked for, so that how many were found says something.
    var looksForKeys: Bool {
        switch self {
        case .readrandom, .readmissing, .seekrandom, .readwhilewriting: true
        default: false
        }
    }
}
