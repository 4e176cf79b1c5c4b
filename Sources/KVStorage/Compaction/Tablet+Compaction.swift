import Synchronization

extension Tablet {
    /// Rewrites tables into the next level.
    ///
    /// On a worker; one at a time.
    func runCompaction() {
        let work = background.withLock { state -> (CompactionPlan, Version, UInt64)? in
            let plan = plan(state) ?? (state.compactsAll ? picker.planForced(state.version) : nil)
            guard !state.isClosing, let plan else {
                state.isCompacting = false
                return nil
            }
            defer { state.nextJob += 1 }
            return (plan, state.version, state.nextJob)
        }
        guard let (plan, version, job) = work else {
            let waiters = background.withLock { state -> [@Sendable (Result<Void, StorageError>) -> Void] in
                guard !state.isClosing else { return [] }
                state.compactsAll = false
                defer { state.compactAllWaiters = [] }
                return state.compactAllWaiters
            }
            for waiter in waiters { waiter(.success(())) }
            return scheduleWork()
        }
        do throws(StorageError) {
            if plan.isTrivialMove {
                move(plan.inputs[0], plan)
            } else {
                let tables = try rewrite(plan, version, job)
                install(plan, tables)
            }
        } catch {
            compactionFailed(error)
        }
    }

    /// Compacts everything into one level (the last that holds data, or the base), what was sealed before included, and
    /// then calls `completion`.
    ///
    /// For tests and tools.
    package func compactAll(_ completion: @escaping @Sendable (Result<Void, StorageError>) -> Void) {
        let last = background.withLock { $0.sealed.last?.id ?? 0 }
        awaitFlushed(through: last) { [weak self] result in
            guard let self else { return completion(.failure(.closed)) }
            if case .failure(let error) = result { return completion(.failure(error)) }
            // A damaged tablet compacts no more.
            let damage = self.background.withLock { state -> StorageError? in
                if case .damaged(let error) = state.state { return error }
                state.compactsAll = true
                state.compactAllWaiters.append(completion)
                return nil
            }
            if let damage { completion(.failure(damage)) } else { self.scheduleWork() }
        }
    }

    private func rewrite(
        _ plan: CompactionPlan,
        _ version: Version,
        _ job: UInt64
    ) throws(StorageError) -> [TableMetadata] {
        var runs: [TableRun] = []
        if plan.inputLevel == 0 {
            for file in plan.inputs { runs.append(TableRun(Level([file]), 0..<1, fillCache: false)) }
        } else {
            runs.append(TableRun(Level(plan.inputs), 0..<plan.inputs.count, fillCache: false))
        }
        if !plan.overlapped.isEmpty {
            runs.append(TableRun(Level(plan.overlapped), 0..<plan.overlapped.count, fillCache: false))
        }
        var tombstones: [RangeTombstone] = []
        for file in plan.inputs + plan.overlapped where file.metadata.rangeCount > 0 {
            if let ranges = try file.openReader().ranges { tombstones += ranges.tombstones }
        }
        let below = Array(version.levels[(plan.outputLevel + 1)...])
        let isBottom = below.allSatisfy { $0.files.isEmpty }
        let writing = TableWriting(
            environment: environment,
            options: options,
            level: plan.outputLevel,
            reason: .compaction,
            job: job,
            codec: isBottom ? options.bottomCodec : options.upperCodec,
            tableBytesMax: options.tableBytes,
            grandparents: plan.grandparents,
            makeNumber: { self.makeFileNumber() },
            isCancelled: { self.isClosing }
        )
        let rules = DropRules(
            snapshots: snapshots.sequences,
            ranges: RangeTombstoneSet(tombstones),
            below: below
        )
        return try writing.run(MergeCursor(memtables: [], runs: runs), rules)
    }

    private func move(_ file: TableFile, _ plan: CompactionPlan) {
        var edit = VersionEdit()
        edit.removed = [file.metadata.number]
        edit.added = [VersionEdit.Added(level: plan.outputLevel, table: file.metadata)]
        install(
            PendingInstall(edit: edit, added: [(plan.outputLevel, file)], memtable: nil) { result in
                if case .success = result { self.counters.trivialMoves.add(1, ordering: .relaxed) }
                self.compactionInstalled(result)
            }
        )
    }

    private func install(_ plan: CompactionPlan, _ tables: [TableMetadata]) {
        var edit = VersionEdit()
        edit.removed = (plan.inputs + plan.overlapped).map(\.metadata.number)
        edit.added = tables.map { VersionEdit.Added(level: plan.outputLevel, table: $0) }
        let added = tables.map { (level: plan.outputLevel, file: TableFile($0, environment)) }
        let read = (plan.inputs + plan.overlapped).reduce(0) { $0 + $1.metadata.size }
        let written = tables.reduce(0) { $0 + $1.size }
        install(
            PendingInstall(edit: edit, added: added, memtable: nil) { result in
                if case .success = result {
                    self.counters.compactions.add(1, ordering: .relaxed)
                    self.counters.compactionBytesRead.add(read, ordering: .relaxed)
                    self.counters.compactionBytesWritten.add(written, ordering: .relaxed)
                }
                self.compactionInstalled(result)
            }
        )
    }

    private func compactionInstalled(_ result: Result<Void, StorageError>) {
        background.withLock { $0.isCompacting = false }
        if case .failure = result { counters.failures.add(1, ordering: .relaxed) }
        noteRoom()
        scheduleWork()
    }

    /// A full disk or a failed operation: the job is dropped and tried again later.
    ///
    /// Corruption: the tablet is damaged and compacts no more, so that the damaged input stays as it is for whoever
    /// repairs.
    private func compactionFailed(_ error: StorageError) {
        counters.failures.add(1, ordering: .relaxed)
        let now = options.clock.monotonicNanoseconds
        background.withLock { state in
            state.isCompacting = false
            state.compactionRetryAt = now + options.retryNanoseconds
        }
        var isDamage = false
        if case .corruption = error { isDamage = true }
        if isDamage { enter(.damaged(error)) }
        let waiters = background.withLock { state -> [@Sendable (Result<Void, StorageError>) -> Void] in
            guard isDamage else { return [] }
            state.compactsAll = false
            defer { state.compactAllWaiters = [] }
            return state.compactAllWaiters
        }
        for waiter in waiters { waiter(.failure(error)) }
        scheduleWork()
    }
}
