import KVEnvironment
import Synchronization

extension Tablet {
    /// Starts what background work is due.
    ///
    /// Any thread; cheap where nothing is.
    func scheduleWork() {
        let now = options.clock.monotonicNanoseconds
        var startsFlush = false
        var startsCompaction = false
        var startsInstall = false
        var finishesClose = false
        background.withLock { state in
            if state.isClosing {
                if state.isIdle, !state.isClosed {
                    state.isClosed = true
                    finishesClose = true
                }
                return
            }
            if state.isRecovering { return }
            if case .readOnly = state.state { return }
            if !state.installs.isEmpty, !state.isInstalling, now >= state.retryAt {
                state.isInstalling = true
                startsInstall = true
            }
            if !state.isFlushing, !state.sealed.isEmpty, now >= state.retryAt {
                state.isFlushing = true
                startsFlush = true
            }
            if !state.isCompacting, now >= state.compactionRetryAt, wantsCompaction(state) {
                state.isCompacting = true
                startsCompaction = true
            }
        }
        if startsInstall { submit { self.drainInstalls() } }
        if startsFlush { submit { self.runFlush() } }
        if startsCompaction { submit { self.runCompaction() } }
        if finishesClose { options.workers.submit { self.finishClose() } }
    }

    /// Runs a job on a worker and then, when the job has let go of the tables it read, removes those that nobody else
    /// reads.
    private func submit(_ job: @escaping @Sendable () -> Void) {
        options.workers.submit {
            job()
            self.removeObsoleteFiles()
        }
    }

    private func wantsCompaction(_ state: borrowing BackgroundState) -> Bool {
        if case .damaged = state.state { return false }
        if state.compactsAll { return true }
        return options.compactsAutomatically && plan(state) != nil
    }

    /// What to compact now.
    func plan(_ state: borrowing BackgroundState) -> CompactionPlan? {
        let quietNanoseconds = options.clock.monotonicNanoseconds &- state.sealedAtNanoseconds
        return picker.plan(
            state.version,
            oldestSnapshot: snapshots.oldest,
            isQuiet: quietNanoseconds >= options.reclaimAgeNanoseconds
        )
    }

    /// Retries what failed and is due, and removes files that nobody reads any more.
    ///
    /// Gives freed memory back to the system.
    ///
    /// Call it now and then (a second is often enough). Any thread.
    package func maintain() {
        scheduleWork()
        options.shared.trimArenas(options.clock.monotonicNanoseconds)
        // Another tablet may have made it again: who still takes the disk for full is to hear of it, too.
        if let ballast = options.shared.ballast, !ballast.isPresent || isDiskFull {
            options.workers.submit { self.restoreBallast() }
        }
        if options.shared.shouldTrim() { options.workers.submit { SharedResources.trim() } }
        if environment.obsolete.hasAny { options.workers.submit { self.removeObsoleteFiles() } }
    }

    /// Ends the tablet: running jobs are awaited (compactions stop early), then `completion` is called, on a worker.
    ///
    /// What was not flushed stays in the log only. Home scheduler only; nothing may be written after.
    package func close(_ completion: (@Sendable () -> Void)? = nil) {
        refusesWrites.store(true, ordering: .releasing)
        let waiters = background.withLock { state -> [FlushWaiter]? in
            guard !state.isClosing else { return nil }
            state.isClosing = true
            state.closeCompletion = completion
            defer { state.flushWaiters = [] }
            return state.flushWaiters
        }
        guard let waiters else {
            completion?()
            return
        }
        for waiter in waiters { waiter.completion(.failure(.closed)) }
        noteRoom()
        scheduleWork()
    }

    private func finishClose() {
        removeObsoleteFiles()
        manifest.close()
        journal?.close()
        let (completion, pending, compactAll) = background.withLock { state in
            defer {
                state.closeCompletion = nil
                state.installs = []
                state.compactAllWaiters = []
            }
            return (state.closeCompletion, state.installs, state.compactAllWaiters)
        }
        noteRoom()
        for install in pending { install.completion(.failure(.closed)) }
        for waiter in compactAll { waiter(.failure(.closed)) }
        completion?()
    }

    var isClosing: Bool { background.withLock { $0.isClosing } }

    func makeFileNumber() -> UInt64 {
        background.withLock { state in
            defer { state.nextFileNumber += 1 }
            return state.nextFileNumber
        }
    }

    func removeObsoleteFiles() {
        let obsolete = environment.obsolete.takeAll()
        if obsolete.isEmpty { return }
        for file in obsolete { environment.removeTable(file.number) }
        options.shared.forgetBlocks(of: Set(obsolete.map(\.uid)))
    }

    /// Changes the state and says so; the worse of two states stays.
    func enter(_ next: TabletState) {
        let isNew = background.withLock { state -> Bool in
            guard state.state != next, next.severity >= state.state.severity || state.state.isPassing else {
                return false
            }
            state.state = next
            if case .readOnly = next { self.refusesWrites.store(true, ordering: .releasing) }
            return true
        }
        if isNew {
            options.onStateChange?(next)
            noteRoom()
        }
    }
}

extension TabletState {
    /// Whether it ends by itself when work succeeds again.
    var isPassing: Bool {
        switch self {
        case .healthy, .diskFull, .retrying: true
        case .damaged, .readOnly: false
        }
    }

    var severity: Int {
        switch self {
        case .healthy: 0
        case .diskFull, .retrying: 1
        case .damaged: 2
        case .readOnly: 3
        }
    }
}
