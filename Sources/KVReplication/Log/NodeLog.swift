package import KVBase
package import KVEnvironment
package import KVLog
package import KVRaft

/// How a node's log behaves.
package struct NodeLogOptions: Sendable {
    /// The size of a segment, in bytes.
    package var segmentBytes: UInt64 = 64 << 20
    /// From how many bytes under way `isOverloaded` holds.
    package var queueBytesMax = 64 << 20
    /// How many bytes of log are kept for slow followers although every group's cut is past them.
    package var retainedBytes: UInt64 = 512 << 20
    /// How many entries of each group are enough for slow followers: what is older goes although `retainedBytes` would keep it; 0: any number.
    package var retainedEntries: UInt64 = 0
    /// How long entries are kept for slow followers, in nanoseconds; 0: for ever.
    package var retainedNanoseconds: UInt64 = 0
    /// How long the log is idle before a mark proves the last batch.
    package var idleMarkNanoseconds: UInt64 = 25_000_000
    /// How long the node waits before it tries again to make a segment for which there was no room.
    package var retryNanoseconds: UInt64 = 500_000_000
    /// By what the time of writes and syncs is taken; without one it counts as none.
    package var clock: (any Clock)?
    /// A planted bug for the simulator's own test: completions run before the sync.
    ///
    /// Never on in a server.
    package var acknowledgeBeforeSync = false

    /// The defaults.
    package init() {}
}

/// What one group has to make durable at once.
package struct NodeLogWork: Sendable {
    /// Whose it is.
    package let group: GroupID
    /// Entries with consecutive indexes; they replace what the group's log has from the first one's index on.
    package let entries: [Entry]
    /// The new term, vote and commit, if they changed.
    package let hardState: HardState?
    /// Runs on the home scheduler once all of it is durable; never after a failure.
    package let completion: @Sendable () -> Void
    /// What it takes in the log, in bytes, about.
    let size: Int

    /// A piece of work.
    package init(
        group: GroupID,
        entries: [Entry] = [],
        hardState: HardState? = nil,
        completion: @escaping @Sendable () -> Void
    ) {
        self.group = group
        self.entries = entries
        self.hardState = hardState
        self.completion = completion
        size = entries.reduce(NodeLogFormat.stateBytes + NodeLogFormat.entriesHeaderBytes) {
            $0 + NodeLogFormat.size(of: $1)
        }
    }
}

/// What a node's log tells its owner, on the home scheduler.
package struct NodeLogEvents: Sendable {
    /// A write or sync failed: nothing is durable from now on, no completion comes any more; the node has to stop.
    package var failed: @Sendable (LogError) -> Void
    /// There is no room for the next segment (with the reason), or there is again (nil).
    ///
    /// Proposals are to be refused meanwhile: what is left of the current segment is for terms, votes and
    /// configurations.
    package var spaceChanged: @Sendable (FileError?) -> Void
    /// A segment was dropped: `firstIndex` of groups may have grown.
    package var dropped: @Sendable () -> Void

    /// Handlers.
    package init(
        failed: @escaping @Sendable (LogError) -> Void = { _ in },
        spaceChanged: @escaping @Sendable (FileError?) -> Void = { _ in },
        dropped: @escaping @Sendable () -> Void = {}
    ) {
        self.failed = failed
        self.spaceChanged = spaceChanged
        self.dropped = dropped
    }
}

/// Which group keeps the oldest segment from being dropped.
package struct PinnedLog: Equatable, Sendable {
    /// The group.
    package var group: GroupID
    /// Its cut has to reach this index.
    package var throughIndex: LogIndex
    /// How many bytes the log holds.
    package var bytes: UInt64
}

/// The log that all groups of a node share.
///
/// 1. `append` queues a group's entries and state. The log lane takes everything queued, writes once, syncs once, and posts all
///    completions to the home scheduler as one job.
/// 2. Where each entry stands is kept in memory, sparsely; `read` fetches old entries on the worker pool.
/// 3. Each segment opens with every group's term, vote, commit and cut, so that the oldest can go once every group's cut is past
///    it (`cut`) and more than `retainedBytes` are held. Segments go one at a time, oldest first, each removal synced.
/// 4. After a failure nothing completes any more.
///
/// Everything but `open` is called on the home scheduler.
// SENDABLE: what changes is touched on the home scheduler only; lane and pool work on their own state and post back.
package final class NodeLog: @unchecked Sendable {
    /// Why the log takes nothing any more; nil while it works.
    package private(set) var failure: LogError?
    /// Why the next segment cannot be made; nil where there is room.
    package private(set) var spaceFailure: FileError?
    /// Whether there is no room for the next segment.
    package var isDiskFull: Bool { spaceFailure != nil }
    /// How many bytes wait or are being written.
    package private(set) var queuedBytes = 0
    /// How many segments were dropped.
    package private(set) var segmentsDropped = 0
    /// How many batches became durable.
    package private(set) var batchCount = 0
    /// How many pieces of work became durable.
    package private(set) var workCount = 0
    /// What writing costs.
    package private(set) var timings = LogTimings()
    /// When the write whose completions run now began and ended, in monotonic nanoseconds.
    package private(set) var lastWrite: (began: UInt64, ended: UInt64) = (0, 0)

    let fileSystem: any FileSystem
    let directory: String
    let pool: any WorkerPool
    let home: any Scheduler
    var groups: [GroupID: GroupLogIndex]
    /// Through where each group let its entries go.
    private var released: [GroupID: LogIndex] = [:]
    private let options: NodeLogOptions
    private let preparer: SegmentPreparer
    private var segments: NodeLogSegments
    private var events: NodeLogEvents
    private var lane: LogLane?
    private var isDropping = false
    private var isRetrying = false
    private var isClosing = false

    init(
        fileSystem: any FileSystem,
        directory: String,
        home: any Scheduler,
        pool: any WorkerPool,
        options: NodeLogOptions,
        preparer: SegmentPreparer,
        groups: [GroupID: GroupLogIndex],
        segments: NodeLogSegments,
        events: NodeLogEvents
    ) {
        self.fileSystem = fileSystem
        self.directory = directory
        self.home = home
        self.pool = pool
        self.options = options
        self.preparer = preparer
        self.groups = groups
        self.segments = segments
        self.events = events
    }

    func start(lane scheduler: any Scheduler, writer: LogWriter, states: [GroupID: GroupLogState]) {
        lane = LogLane(scheduler: scheduler, writer: writer, states: states, options: options) { [weak self] batch in
            guard let self else { return }
            home.execute { self.finish(batch) }
        }
    }

    /// Sets who hears of failures and of room; until then nobody does.
    package func setEvents(_ events: NodeLogEvents) {
        self.events = events
        if let failure { events.failed(failure) }
        if let spaceFailure { events.spaceChanged(spaceFailure) }
    }

    // MARK: Writing

    /// Whether so much is under way that proposals are to be refused.
    package var isOverloaded: Bool { queuedBytes > options.queueBytesMax }

    /// Queues a group's entries and state; the completion runs once they are durable, in the order of the calls.
    ///
    /// - Precondition: on the home scheduler; the entries' indexes are consecutive.
    package func append(_ work: NodeLogWork) { append([work]) }

    /// Queues several pieces of work together: one write and one sync serve them.
    ///
    /// - Precondition: as for one.
    package func append(_ work: [NodeLogWork]) {
        home.preconditionIsCurrent("the node's log")
        guard failure == nil, !isClosing else { return }
        for piece in work {
            for (number, entry) in piece.entries.enumerated() {
                precondition(
                    entry.index == piece.entries[0].index + UInt64(number),
                    "entry \(entry.index) at place \(number) of a run"
                )
            }
            queuedBytes += piece.size
        }
        lane?.submit(work.map { .append($0) })
    }

    /// Voids everything of a group: its log begins after `cut`, where a snapshot was installed.
    ///
    /// The completion runs once that is durable. Appends that follow are kept.
    package func reset(_ group: GroupID, to cut: LogCut, completion: @escaping @Sendable () -> Void) {
        home.preconditionIsCurrent("the node's log")
        guard failure == nil, !isClosing else { return }
        lane?.submit(.reset(group, cut, completion: completion))
    }

    /// Lets a group's entries up to and including `cut` go; the group's manifest has recorded the cut, durably.
    ///
    /// They stay readable until their segment is dropped.
    package func cut(_ group: GroupID, to cut: LogCut) {
        home.preconditionIsCurrent("the node's log")
        guard cut.index > releasedThrough(group) else { return }
        released[group] = cut.index
        lane?.submit(.cut(group, cut))
        dropSegments()
    }

    /// Forgets a group that this node has no replica of any more: it pins nothing, and new segments do not name it.
    package func forget(_ group: GroupID) {
        home.preconditionIsCurrent("the node's log")
        groups[group] = nil
        released[group] = nil
        segments.forget(group)
        lane?.submit(.forget(group))
        dropSegments()
    }

    /// Ends the log cleanly after everything queued; `completion` runs on the home scheduler, with an error where the end is not on
    /// the disk.
    package func close(completion: @escaping @Sendable (LogError?) -> Void) {
        home.preconditionIsCurrent("the node's log")
        guard failure == nil, !isClosing else { return home.execute { [failure] in completion(failure ?? .closed) } }
        isClosing = true
        preparer.stop()
        lane?.submit(.close(completion: completion))
    }

    // MARK: What is there

    /// The first index that can be read of the group's log.
    package func firstIndex(_ group: GroupID) -> LogIndex { groups[group]?.firstIndex ?? 1 }

    /// The last durable index of the group's log.
    package func lastIndex(_ group: GroupID) -> LogIndex { groups[group]?.lastIndex ?? 0 }

    /// The term of a durable entry, or of the cut; nil where the log has it no more, or not yet.
    package func term(_ group: GroupID, at index: LogIndex) -> Term? {
        (groups[group] ?? GroupLogIndex()).term(at: index)
    }

    /// Through where the log says, durably, that the group is committed.
    package func commit(_ group: GroupID) -> LogIndex { groups[group]?.hardState.commit ?? 0 }

    /// How many bytes of log are held.
    package var retainedBytes: UInt64 { segments.bytes }

    /// How many segments are held.
    package var segmentCount: Int { segments.segments.count }

    /// Which groups keep the oldest segment although more than `retainedBytes` are held; their tablets are to be flushed.
    package var oldestPinned: [PinnedLog] {
        guard segments.bytes > options.retainedBytes, segments.segments.count > 1 else { return [] }
        return segments.pins { releasedThrough($0) }
            .map { PinnedLog(group: $0.group, throughIndex: $0.through, bytes: segments.bytes) }
    }

    /// Through where a group's entries may go.
    private func releasedThrough(_ group: GroupID) -> LogIndex {
        max(released[group] ?? 0, groups[group]?.cut.index ?? 0)
    }

    // MARK: Results

    private func finish(_ batch: LogLane.Batch) {
        for (number, start) in batch.begun {
            segments.begin(number, start: start, now: options.clock?.monotonicNanoseconds ?? 0)
        }
        segments.extend(to: batch.end)
        if batch.isSynced {
            batchCount += 1
            timings.record(batch)
            lastWrite = (batch.times.began, batch.times.synced)
            for (number, _) in batch.begun { segments.opened(number) }
            note(batch)
        }
        if let error = batch.error, failure == nil {
            failure = error
            preparer.stop()
            events.failed(error)
        }
        if let reason = batch.waitsFor { spaceChanged(reason) }
        if batch.isSynced { complete(batch) }
        batch.closed?(batch.error)
        dropSegments()
    }

    private func note(_ batch: LogLane.Batch) {
        for done in batch.done {
            switch done {
            case .append(let work, let runs):
                var index = groups[work.group] ?? GroupLogIndex()
                if let hardState = work.hardState { index.set(hardState) }
                for run in runs {
                    let replaced = index.append(first: run.first, last: run.last, terms: run.terms, at: run.place)
                    segments.note(work.group, last: run.last, in: run.place.number, replacing: replaced)
                }
                groups[work.group] = index
            case .reset(let group, let cut, _):
                var index = groups[group] ?? GroupLogIndex()
                index.begin(after: cut)
                groups[group] = index
                segments.forget(group)
            }
        }
    }

    private func complete(_ batch: LogLane.Batch) {
        for done in batch.done {
            switch done {
            case .append(let work, _):
                queuedBytes -= work.size
                workCount += 1
                work.completion()
            case .reset(_, _, let completion): completion()
            }
        }
    }

    // MARK: Room

    func spaceChanged(_ reason: FileError?) {
        guard failure == nil, !isClosing else { return }
        let changed = (reason == nil) != (spaceFailure == nil)
        spaceFailure = reason
        if changed { events.spaceChanged(reason) }
        if reason == nil { lane?.retry() } else { scheduleRetry() }
    }

    private func scheduleRetry() {
        guard !isRetrying else { return }
        isRetrying = true
        _ = home.schedule(afterNanoseconds: options.retryNanoseconds) { [weak self] in
            guard let self else { return }
            isRetrying = false
            guard failure == nil, !isClosing, spaceFailure != nil else { return }
            preparer.prepare()
            // Where a file was ready all along, the preparer says nothing.
            if preparer.isReady { spaceChanged(nil) } else { scheduleRetry() }
        }
    }

    // MARK: Dropping

    /// Drops the oldest segment if it may go, and then the next: one removal is durable before the next begins, or a crash could leave
    /// a gap in the log.
    private func dropSegments() {
        guard !isDropping, failure == nil, !isClosing, segments.bytes > options.retainedBytes || isOldestDispensable
        else {
            return
        }
        guard segments.canDropOldest({ releasedThrough($0) }) else { return }
        isDropping = true
        let segment = segments.dropOldest()
        for (group, last) in segment.lastIndexes {
            guard let term = groups[group]?.term(at: last) else { continue }
            groups[group]?.advance(to: LogCut(index: last, term: term))
        }
        let path = directory + "/" + LogFormat.segmentName(segment.number)
        pool.submit { [self] in
            let error: FileError?
            do throws(FileError) {
                try fileSystem.remove(path)
                try fileSystem.synchronizeDirectory(directory)
                error = nil
            } catch let failure {
                error = failure
            }
            home.execute { self.dropped(error) }
        }
    }

    /// Drops what is older than it is to be kept; to be called now and then.
    package func dropExpired() { dropSegments() }

    /// Whether the newer segments hold as many entries as are to be kept, or the oldest is older than that.
    private var isOldestDispensable: Bool {
        if options.retainedEntries > 0,
            segments.hasEntriesBehindOldest(options.retainedEntries, { groups[$0]?.lastIndex ?? 0 })
        {
            return true
        }
        guard options.retainedNanoseconds > 0, let clock = options.clock else { return false }
        return segments.endOfOldest.map { clock.monotonicNanoseconds >= $0 + options.retainedNanoseconds } ?? false
    }

    private func dropped(_ error: FileError?) {
        // After a failed removal nothing newer may be removed: the log keeps growing at its old end until the next start, which
        // finds it whole.
        guard error == nil else { return }
        isDropping = false
        segmentsDropped += 1
        events.dropped()
        dropSegments()
    }
}
