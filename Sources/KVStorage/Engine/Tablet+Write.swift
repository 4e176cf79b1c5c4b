import KVBase
import Synchronization

extension Tablet {
    /// Applies a batch: all of it becomes visible at once, and `mark` is the tablet's from then on.
    ///
    /// An empty batch moves the mark. Home scheduler only. Not durable at return, unless the tablet has a log of its
    /// own that synchronizes.
    /// - Precondition: `mark.appliedIndex` is not below the present one.
    /// - Throws: `batchTooLong`, `memtablesFull`, `readOnly`, `closed`, and in the log mode `file`; nothing was
    ///   applied then.
    package func write(_ batch: borrowing WriteBatch, mark: TabletMark) throws(StorageError) {
        try checkLength(batch.byteCount)
        try batch.withStaged { (staged) throws(StorageError) in
            try prepare(memtableBytes: staged.memtableBytes)
            try log(staged, after: 0, mark: mark)
            try makeLogged()
            apply(staged, firstSequence: visible.load(ordering: .relaxed) + 1, mark: mark)
        }
        sealIfFull()
    }

    // A write in its steps; `CommitQueue` takes each once for many batches, so that one sync covers them all.

    /// - Throws: `batchTooLong`.
    func checkLength(_ byteCount: Int) throws(StorageError) {
        // A log of its own has records of that length.
        let bytesMax = journal == nil ? Limits.stagedBytesMax : Limits.batchBytesMax
        guard byteCount <= bytesMax else { throw .batchTooLong(bytes: byteCount, bytesMax: bytesMax) }
    }

    /// Sees to it that the active memtable has room.
    ///
    /// - Throws: `memtablesFull`, `readOnly`, `closed`, `ingesting`, and in the log mode `file`.
    func prepare(memtableBytes: Int) throws(StorageError) {
        if refusesWrites.load(ordering: .acquiring) { throw refusal() }
        if isIngesting.load(ordering: .acquiring) { throw .ingesting }
        adoptIngested()
        if !active.fits(bytes: memtableBytes) { try seal(room: memtableBytes) }
    }

    /// Puts a batch into the log's buffer, where the tablet has a log of its own; nothing is written yet.
    ///
    /// - Parameters:
    ///   - batch: The batch.
    ///   - staged: How many operations before it are in the buffer and not yet applied.
    ///   - mark: The mark that it moves the tablet to.
    /// - Throws: `file`: then nothing of this batch is in the log.
    func log(_ batch: StagedBatch, after staged: Int, mark: TabletMark) throws(StorageError) {
        precondition(
            mark.appliedIndex >= active.mark.appliedIndex,
            "applied index \(mark.appliedIndex) after \(active.mark.appliedIndex)"
        )
        guard let journal else { return }
        let first = visible.load(ordering: .relaxed) + UInt64(staged) + 1
        do throws(StorageError) {
            try journal.append(batch, firstSequence: first, mark: mark)
        } catch { throw journalFailed(error) }
    }

    /// Writes what is in the log's buffer, and synchronizes if the tablet was set up so.
    ///
    /// - Throws: `file`; whether the batches are on the disk is unknown then, and the tablet is read-only.
    func makeLogged() throws(StorageError) {
        guard let journal else { return }
        do throws(StorageError) { try journal.commit() } catch { throw journalFailed(error) }
    }

    /// Puts a batch into the active memtable, which has room, and makes it visible.
    func apply(_ batch: StagedBatch, firstSequence: UInt64, mark: TabletMark) {
        var sequence = firstSequence
        let memtable = active
        if batch.count > 1, !isAnnounced, memtable.isWorthPrefetching { prefetch(batch.bytes, in: memtable.list) }
        isAnnounced = false
        var cursor = WriteBatchCursor(batch.bytes)
        while cursor.next({ kind, key, value in
            if kind == EntryKind.deleteRange {
                memtable.insertRange(RangeTombstone(start: key.array, end: value.array, sequence: sequence))
            } else {
                memtable.insert(key, EntryTag.make(sequence, kind), value)
            }
        }) { sequence &+= 1 }
        precondition(sequence - 1 <= EntryTag.sequenceMax, "sequences used up")
        let before = memtable.used
        let wasClean = memtable.isClean
        let now = wasClean ? options.clock.monotonicNanoseconds : 0
        memtable.advance(to: mark, lastSequence: sequence - 1, nowNanoseconds: now)
        options.shared.addMemtableBytes(memtable.chargeGrowth())
        activeBytes.store(before, ordering: .relaxed)
        visible.store(sequence - 1, ordering: .releasing)
    }

    /// Brings the nodes beside which the batch's keys belong into the cache.
    private func prefetch(_ bytes: ByteView, in list: SkipList) {
        var cursor = WriteBatchCursor(bytes)
        SkipList.prefetchPaths {
            var key: ByteView?
            _ = cursor.next { _, found, _ in key = found }
            return key.map { (list, $0) }
        }
    }

    /// Seals the active memtable once it is full, if another may be sealed.
    func sealIfFull() {
        guard active.used >= options.memtableBytes || options.shared.shouldSeal(active.used) else { return }
        // Where no more memtables may be sealed, the active one goes on while it has room.
        do throws(StorageError) { try seal(room: 0) } catch {}
    }

    /// Seals the active memtable if anything was written to it, and starts the flush.
    ///
    /// Home scheduler only.
    /// - Throws: `memtablesFull`.
    func seal(room: Int) throws(StorageError) {
        let capacity = max(options.memtableCapacity, room + 4096)
        if active.isClean && room <= active.capacity - SkipList.firstFree { return }
        let sealed = active
        // Only this scheduler seals: the count does not grow between here and the exchange.
        guard sealed.isClean || background.withLock({ $0.sealed.count < options.sealedHardMax }) else {
            counters.stalls.add(1, ordering: .relaxed)
            scheduleWork()
            throw .memtablesFull
        }
        if let journal, !sealed.isClean {
            do throws(StorageError) {
                sealed.logNumberAfter = try journal.roll()
            } catch { throw journalFailed(error) }
        }
        let next = Memtable(
            id: nextMemtableID,
            capacity: capacity,
            mark: sealed.mark,
            lastSequence: sealed.lastSequence,
            shared: options.shared
        )
        let now = options.clock.monotonicNanoseconds
        background.withLock { state in
            if !sealed.isClean {
                state.sealed.append(sealed)
                state.sealedAtNanoseconds = now
            }
            state.active = next
            publishView(state, active: next)
        }
        nextMemtableID += 1
        active = next
        activeBytes.store(0, ordering: .relaxed)
        scheduleWork()
    }

    /// Starts to bring everything written so far into tables.
    ///
    /// Home scheduler only.
    package func flush() {
        do throws(StorageError) { try seal(room: 0) } catch {
            // All memtables are full: their flushes are on the way already.
        }
        scheduleWork()
    }

    /// Brings everything written so far into tables and then calls `completion`, on a worker, with the mark that is
    /// durable.
    ///
    /// Home scheduler only. While the disk is full it waits.
    package func forceFlush(_ completion: @escaping @Sendable (Result<TabletMark, StorageError>) -> Void) {
        do throws(StorageError) {
            try seal(room: 0)
        } catch {
            return completion(.failure(error))
        }
        awaitFlushed(through: active.id - 1) { result in completion(result.map(\.mark)) }
        scheduleWork()
    }

    /// Calls `completion` once the memtable `id` and all before it are in tables.
    func awaitFlushed(
        through id: UInt64,
        _ completion: @escaping @Sendable (Result<FlushedState, StorageError>) -> Void
    ) {
        let now = background.withLock { state -> Result<FlushedState, StorageError>? in
            if state.isClosing { return .failure(.closed) }
            guard let oldest = state.sealed.first, oldest.id <= id else { return .success(state.flushed) }
            if case .readOnly(let error) = state.state { return .failure(error) }
            state.flushWaiters.append(FlushWaiter(memtableID: id, completion: completion))
            return nil
        }
        if let now { completion(now) }
    }

    private func refusal() -> StorageError {
        background.withLock { state in
            if state.isClosing { return .closed }
            if case .readOnly(let error) = state.state { return .readOnly("\(error)") }
            return .closed
        }
    }
}

extension BackgroundState {
    var flushed: FlushedState { FlushedState(version: version, mark: durableMark, lastSequence: durableSequence) }
}
