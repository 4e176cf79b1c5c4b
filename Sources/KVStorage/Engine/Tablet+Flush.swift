import KVEnvironment
import Synchronization

extension Tablet {
    /// Writes the oldest sealed memtable to level 0.
    ///
    /// On a worker; one at a time.
    func runFlush() {
        let work = background.withLock { state -> (Memtable, UInt64)? in
            guard !state.isClosing, let memtable = state.sealed.first else {
                state.isFlushing = false
                return nil
            }
            defer { state.nextJob += 1 }
            return (memtable, state.nextJob)
        }
        guard let (memtable, job) = work else { return scheduleWork() }
        do throws(StorageError) {
            let tables = try memtable.isEmpty ? [] : writeLevelZero(memtable, job)
            install(memtable, tables)
        } catch {
            flushFailed(error)
        }
    }

    private func writeLevelZero(_ memtable: Memtable, _ job: UInt64) throws(StorageError) -> [TableMetadata] {
        let writing = TableWriting(
            environment: environment,
            options: options,
            level: 0,
            reason: .flush,
            job: job,
            codec: options.upperCodec,
            tableBytesMax: nil,
            grandparents: [],
            makeNumber: { self.makeFileNumber() },
            isCancelled: { self.isClosing }
        )
        let held = snapshots.sequences
        // A snapshot taken from here on sees all of a sealed memtable.
        let newestOnly = !held.contains { $0 < memtable.lastSequence }
        let rules = DropRules(
            snapshots: held,
            ranges: memtable.rangeTombstones ?? RangeTombstoneSet([]),
            below: nil
        )
        return try writing.run(MergeCursor(memtables: [memtable], runs: [], newestOnly: newestOnly), rules)
    }

    private func install(_ memtable: Memtable, _ tables: [TableMetadata]) {
        var edit = VersionEdit()
        edit.added = tables.map { VersionEdit.Added(level: 0, table: $0) }
        edit.mark = memtable.mark
        edit.lastSequence = memtable.lastSequence
        if memtable.logNumberAfter != 0 { edit.logNumber = memtable.logNumberAfter }
        let bytes = tables.reduce(0) { $0 + $1.size }
        let install = PendingInstall(
            edit: edit,
            added: tables.map { (0, TableFile($0, environment)) },
            memtable: memtable
        ) { result in
            self.flushInstalled(result, bytes: bytes, mark: memtable.mark)
        }
        self.install(install)
    }

    private func flushInstalled(_ result: Result<Void, StorageError>, bytes: UInt64, mark: TabletMark) {
        switch result {
        case .success:
            counters.flushes.add(1, ordering: .relaxed)
            counters.flushedBytes.add(bytes, ordering: .relaxed)
            recover()
            options.onDurable?(mark)
            if options.durability != .external {
                TabletJournal.removeSegments(options, before: background.withLock { $0.logNumber })
            }
        case .failure: counters.failures.add(1, ordering: .relaxed)
        }
        // Only now may the next flush start: marks are told in order.
        background.withLock { $0.isFlushing = false }
        noteRoom()
        scheduleWork()
    }

    private func flushFailed(_ error: StorageError) {
        counters.failures.add(1, ordering: .relaxed)
        let retryAt = nextTry(after: error)
        background.withLock { state in
            state.isFlushing = false
            state.retryAt = retryAt
        }
        if error.isNoSpace { enter(.diskFull) } else if error != .closed { enter(.retrying(error)) }
        scheduleWork()
    }

    /// When to try again: at once where the ballast made room, else later each time.
    func nextTry(after error: StorageError) -> UInt64 {
        let now = options.clock.monotonicNanoseconds
        if error.isNoSpace, options.shared.ballast?.release() == true { return now }
        return background.withLock { state in
            defer { state.failuresInRow += 1 }
            return now + options.retryNanoseconds << min(UInt64(state.failuresInRow), Self.backOffMax)
        }
    }

    /// The wait between tries doubles so many times: eight seconds where it starts with one.
    private static let backOffMax: UInt64 = 3

    /// Work succeeded: what was passing has passed, but for a full disk that has no room to spare yet.
    func recover() {
        background.withLock { $0.failuresInRow = 0 }
        if state == .diskFull, options.shared.ballast?.isReleased == true { return }
        let isNew = background.withLock { state -> Bool in
            guard state.state != .healthy, state.state.isPassing else { return false }
            state.state = .healthy
            return true
        }
        if isNew {
            options.onStateChange?(.healthy)
            noteRoom()
        }
    }

    /// Makes the ballast, or makes it again; then a full disk is one no more.
    func restoreBallast() {
        guard let ballast = options.shared.ballast, ballast.restore(), isDiskFull else { return }
        if background.withLock({ $0.failuresInRow == 0 }) { recover() }
    }

    // MARK: Installing

    /// Queues an edit for the manifest and, unless somebody is at it, writes what is queued.
    ///
    /// Edits become durable and visible in the order queued.
    func install(_ install: PendingInstall) {
        let isMine = background.withLock { state -> Bool in
            state.installs.append(install)
            guard !state.isInstalling else { return false }
            state.isInstalling = true
            return true
        }
        if isMine { drainInstalls() }
    }

    /// Writes queued edits one by one.
    ///
    /// The caller holds the install turn (`isInstalling`).
    func drainInstalls() {
        while true {
            let next = background.withLock { state -> PendingInstall? in
                if let first = state.installs.first { return first }
                state.isInstalling = false
                return nil
            }
            guard let next else { return scheduleWork() }
            do throws(StorageError) {
                try writeEdit(next)
            } catch {
                if installFailed(error) { return }
                continue
            }
            let waiters = apply(next)
            next.completion(.success(()))
            for (waiter, flushed) in waiters { waiter.completion(.success(flushed)) }
        }
    }

    /// Makes an edit durable: appended to the MANIFEST, or as part of a new one where the old one failed or is long.
    private func writeEdit(_ install: PendingInstall) throws(StorageError) {
        if !manifest.needsNewFile {
            var edit = install.edit
            edit.nextFileNumber = background.withLock { $0.nextFileNumber }
            do throws(StorageError) {
                return try manifest.append(edit)
            } catch {
                counters.failures.add(1, ordering: .relaxed)
                // Whether the edit is on disk is unknown; a new MANIFEST with the edit in it settles it.
            }
        }
        let number = makeFileNumber()
        let state = background.withLock { state in state.snapshotEdit(with: install) }
        try manifest.start(number: number, state: state)
    }

    /// Returns whether to stop draining.
    ///
    /// The tables of a failed edit are not removed: the edit may be on disk.
    private func installFailed(_ error: StorageError) -> Bool {
        counters.failures.add(1, ordering: .relaxed)
        if error.isNoSpace {
            // The edit stays at the head of the queue and is tried again.
            let retryAt = nextTry(after: error)
            background.withLock { state in
                state.isInstalling = false
                state.retryAt = retryAt
            }
            enter(.diskFull)
            scheduleWork()
            return true
        }
        enter(.readOnly(error))
        let (installs, waiters, compactAll) = background.withLock { state in
            defer {
                state.installs = []
                state.flushWaiters = []
                state.compactAllWaiters = []
                state.compactsAll = false
                state.isInstalling = false
            }
            return (state.installs, state.flushWaiters, state.compactAllWaiters)
        }
        for install in installs { install.completion(.failure(error)) }
        for waiter in waiters { waiter.completion(.failure(error)) }
        for waiter in compactAll { waiter(.failure(error)) }
        scheduleWork()
        return true
    }

    /// Makes a durable edit the tablet's state; returns who waited for it.
    private func apply(_ install: PendingInstall) -> [(FlushWaiter, FlushedState)] {
        background.withLock { state in
            let removed = Set(install.edit.removed)
            let old = state.version
            state.version = old.applying(removed: removed, added: install.added)
            if let violation = state.version.invariantViolation() { preconditionFailure(violation) }
            let kept = Set(install.edit.added.map(\.table.number))
            for (_, file) in old.allFiles where removed.contains(file.metadata.number) {
                if !kept.contains(file.metadata.number) { file.markObsolete() }
            }
            if let memtable = install.memtable {
                precondition(state.sealed.first === memtable, "memtables installed out of order")
                state.sealed.removeFirst()
            }
            if let mark = install.edit.mark { state.durableMark = mark }
            if let sequence = install.edit.lastSequence { state.durableSequence = sequence }
            if let logNumber = install.edit.logNumber { state.logNumber = max(state.logNumber, logNumber) }
            publishView(state, active: state.active)
            // With the lock held: no view in which a compaction took these tables up comes before.
            if let sequence = install.visibleSequence { visible.store(sequence, ordering: .releasing) }
            state.installs.removeFirst()
            guard let id = install.memtable?.id else { return [] }
            let ready = state.flushWaiters.filter { $0.memtableID <= id }
            state.flushWaiters.removeAll { $0.memtableID <= id }
            let flushed = state.flushed
            return ready.map { ($0, flushed) }
        }
    }
}

extension BackgroundState {
    /// The whole state as the first edit of a MANIFEST, with one more edit in it.
    func snapshotEdit(with install: PendingInstall?) -> VersionEdit {
        let removed = Set(install?.edit.removed ?? [])
        var edit = VersionEdit()
        edit.isSnapshot = true
        edit.identity = identity
        edit.added =
            version.allFiles.filter { !removed.contains($0.file.metadata.number) }
            .map { VersionEdit.Added(level: $0.level, table: $0.file.metadata) }
        edit.added += install?.edit.added ?? []
        edit.mark = install?.edit.mark ?? durableMark
        edit.lastSequence = install?.edit.lastSequence ?? durableSequence
        edit.logNumber = max(logNumber, install?.edit.logNumber ?? 0)
        edit.nextFileNumber = nextFileNumber
        return edit
    }
}
