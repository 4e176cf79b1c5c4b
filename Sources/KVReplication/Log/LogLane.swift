import KVBase
import KVEnvironment
import KVLog
import KVRaft
import Synchronization

/// The log thread: takes everything that waits, writes it with one call, syncs once, reports once.
///
/// What arrives while a write or a sync is under way joins the next batch: batching follows the load by itself, and no timer
/// delays anything. Work is done strictly in the order it was given; where the next segment cannot be made, work waits.
// SENDABLE: `writer`, `states` and what follows them are touched on the lane's scheduler only; the queue is under its mutex.
final class LogLane: @unchecked Sendable {
    /// One thing to do, in order.
    enum Work: Sendable {
        case append(NodeLogWork)
        /// The group's log begins anew after the cut.
        case reset(GroupID, LogCut, completion: @Sendable () -> Void)
        /// What the next segment's opening record is to say; nothing is written now.
        case cut(GroupID, LogCut)
        case forget(GroupID)
        case close(completion: @Sendable (LogError?) -> Void)
    }

    /// What became of a batch.
    struct Batch: Sendable {
        struct Run: Sendable {
            let group: GroupID
            let first: LogIndex
            let last: LogIndex
            let terms: [(first: LogIndex, term: Term)]
            let place: LogRecordPlace
        }
        enum Done: Sendable {
            case append(NodeLogWork, [Run])
            case reset(GroupID, LogCut, completion: @Sendable () -> Void)
        }
        var done: [Done] = []
        /// Segments that were begun, with the position of their first byte; all their opening records are durable.
        var begun: [(number: UInt32, start: UInt64)] = []
        /// When its write began, when the system had taken it, and when it was durable, in monotonic nanoseconds.
        var times: (began: UInt64, written: UInt64, synced: UInt64) = (0, 0, 0)
        /// How many bytes it added to the log.
        var bytes: UInt64 = 0
        /// Whether everything in it is durable.
        var isSynced = false
        var end: UInt64 = 0
        var error: LogError?
        /// Why work waits for the next segment.
        var waitsFor: FileError?
        var closed: (@Sendable (LogError?) -> Void)?
    }

    private struct Queue {
        var work: [Work] = []
        var isScheduled = false
    }

    private let scheduler: any Scheduler
    private let queue = Mutex(Queue())
    private let options: NodeLogOptions
    private let report: @Sendable (Batch) -> Void

    private let writer: LogWriter
    private var states: [GroupID: GroupLogState]
    private var hasFailed = false
    private var isClosed = false
    private var syncCount = 0
    private var isMarkPending = false

    init(
        scheduler: any Scheduler,
        writer: LogWriter,
        states: [GroupID: GroupLogState],
        options: NodeLogOptions,
        report: @escaping @Sendable (Batch) -> Void
    ) {
        self.scheduler = scheduler
        self.writer = writer
        self.states = states
        self.options = options
        self.report = report
    }

    /// Puts work at the end of the queue.
    ///
    /// Any thread; bounded by the caller.
    func submit(_ work: Work) { submit([work]) }

    /// Puts pieces of work at the end of the queue together, so that one write and one sync serve them.
    ///
    /// Any thread; bounded by the caller.
    func submit(_ work: [Work]) {
        let mustWake = queue.withLock { queue in
            queue.work.append(contentsOf: work)
            let mustWake = !queue.isScheduled
            queue.isScheduled = true
            return mustWake
        }
        if mustWake { scheduler.execute { [self] in drain() } }
    }

    /// Tries again to make the segment that work waits for.
    ///
    /// Any thread.
    func retry() {
        let mustWake = queue.withLock { queue in
            guard !queue.work.isEmpty, !queue.isScheduled else { return false }
            queue.isScheduled = true
            return true
        }
        if mustWake { scheduler.execute { [self] in drain() } }
    }

    // MARK: On the lane

    private func drain() {
        let taken = queue.withLock { queue in
            let taken = queue.work
            queue.work = []
            return taken
        }
        var batch = Batch()
        batch.times.began = now
        let encodedCount = encode(taken, &batch)
        settle(&batch)
        let waiting = taken[encodedCount...]
        closeWithoutRoom(waiting, &batch)
        if hasFailed || isClosed {
            // Nothing is ever written again: what waits will not be answered.
            queue.withLock { queue in queue = Queue() }
            refuse(waiting, &batch)
        } else {
            let mustGoOn = queue.withLock { queue in
                queue.work.insert(contentsOf: waiting, at: 0)
                queue.isScheduled = batch.waitsFor == nil && !queue.work.isEmpty
                return queue.isScheduled
            }
            if mustGoOn { scheduler.execute { [self] in drain() } }
        }
        report(batch)
        scheduleMark()
    }

    /// Work that waits for room does not keep the log from ending: it was not acknowledged.
    private func closeWithoutRoom(_ waiting: ArraySlice<Work>, _ batch: inout Batch) {
        guard batch.waitsFor != nil, !hasFailed else { return }
        let mustClose = waiting.contains { if case .close = $0 { true } else { false } }
        guard mustClose else { return }
        do throws(LogError) {
            try writer.close()
            isClosed = true
        } catch {
            hasFailed = true
            batch.error = error
        }
    }

    private func refuse(_ waiting: ArraySlice<Work>, _ batch: inout Batch) {
        for case .close(let completion) in waiting {
            batch.closed = completion
            if batch.error == nil { batch.error = writer.failure.map(LogError.poisoned) }
        }
    }

    /// Frames as much as can be framed; returns how many pieces of work were.
    private func encode(_ taken: [Work], _ batch: inout Batch) -> Int {
        guard !hasFailed, !isClosed else { return 0 }
        for (number, work) in taken.enumerated() {
            do throws(LogError) {
                try encode(work, &batch)
            } catch {
                if case .segmentUnavailable(let reason) = error {
                    batch.waitsFor = reason
                } else {
                    hasFailed = true
                    batch.error = error
                }
                return number
            }
            if isClosed { return number + 1 }
        }
        return taken.count
    }

    private func encode(_ work: Work, _ batch: inout Batch) throws(LogError) {
        switch work {
        case .append(let work):
            var runs: [Batch.Run] = []
            var rest = work.entries[...]
            // Room for the whole piece is found first, or a piece could be half written when the disk is full.
            try makeRoom(work.size, &batch)
            while !rest.isEmpty { runs.append(try appendRun(work.group, &rest, &batch)) }
            if let hardState = work.hardState {
                try append(.raftState, NodeLogFormat.encodeState(work.group, hardState), &batch)
                states[work.group, default: GroupLogState()].hardState = hardState
            }
            batch.done.append(.append(work, runs))
        case .reset(let group, let cut, let completion):
            try append(.raftReset, NodeLogFormat.encodeReset(group, cut), &batch)
            states[group, default: GroupLogState()].cut = cut
            batch.done.append(.reset(group, cut, completion: completion))
        case .cut(let group, let cut):
            states[group, default: GroupLogState()].cut = cut
        case .forget(let group):
            states[group] = nil
        case .close(let completion):
            try writer.close()
            isClosed = true
            batch.closed = completion
        }
    }

    private func append(_ kind: LogRecordKind, _ payload: [UInt8], _ batch: inout Batch) throws(LogError) {
        try makeRoom(payload.count, &batch)
        try writer.append(kind, payload)
    }

    private func appendRun(
        _ group: GroupID,
        _ rest: inout ArraySlice<Entry>,
        _ batch: inout Batch
    ) throws(LogError) -> Batch.Run {
        var size = 0
        var end = rest.startIndex
        var terms: [(first: LogIndex, term: Term)] = []
        while end < rest.endIndex {
            let entry = rest[end]
            let more = NodeLogFormat.size(of: entry)
            if size > 0 && size + more > NodeLogFormat.runBytesMax { break }
            if terms.last?.term != entry.term { terms.append((first: entry.index, term: entry.term)) }
            size += more
            end += 1
        }
        let run = rest[..<end]
        rest = rest[end...]
        try makeRoom(NodeLogFormat.entriesHeaderBytes + size, &batch)
        let place = try writer.appendRun(group, run, size: size)
        let first = run[run.startIndex].index
        return Batch.Run(group: group, first: first, last: first + UInt64(run.count) - 1, terms: terms, place: place)
    }

    /// Goes on in a new segment where `count` bytes do not fit; it opens with every group's state.
    private func makeRoom(_ count: Int, _ batch: inout Batch) throws(LogError) {
        guard writer.wouldRoll(count) else { return }
        try writer.roll()
        batch.begun.append((number: writer.number, start: writer.start))
        try writer.append(.segmentState, NodeLogFormat.encodeSegmentState(states))
    }

    private var now: UInt64 { options.clock?.monotonicNanoseconds ?? 0 }

    /// One write and one sync for all that was framed.
    private func settle(_ batch: inout Batch) {
        guard !hasFailed, !isClosed else {
            batch.isSynced = isClosed
            batch.end = writer.position
            return
        }
        do throws(LogError) {
            if options.acknowledgeBeforeSync && !batch.done.isEmpty {
                // The planted bug: the owner hears of it before it is durable.
                try writer.flush()
                batch.isSynced = true
                batch.end = writer.position
                report(batch)
                batch = Batch()
            }
            batch.bytes = writer.position - writer.durablePosition
            try writer.flush()
            batch.times.written = now
            try writer.sync()
            batch.times.synced = now
            batch.isSynced = true
            syncCount += 1
        } catch {
            hasFailed = true
            batch.error = error
        }
        batch.end = writer.position
    }

    // MARK: When idle

    /// When nothing came for a while, a mark proves the last batch.
    private func scheduleMark() {
        guard !isMarkPending, !hasFailed, !isClosed else { return }
        isMarkPending = true
        let seen = syncCount
        _ = scheduler.schedule(afterNanoseconds: options.idleMarkNanoseconds) { [weak self] in self?.mark(seen) }
    }

    private func mark(_ seen: Int) {
        isMarkPending = false
        guard !hasFailed, !isClosed else { return }
        guard seen == syncCount else { return scheduleMark() }
        do throws(LogError) {
            try writer.markSynced()
        } catch {
            hasFailed = true
            var batch = Batch()
            batch.error = error
            batch.end = writer.position
            report(batch)
        }
    }
}
