import KVEnvironment
import Synchronization

/// What finished tables brought, until the writer's memtable goes on from there.
struct Ingested: Sendable {
    let mark: TabletMark
    let lastSequence: UInt64
}

extension Tablet {
    /// Takes finished tables in with one manifest edit: all their keys are there at once, or none is.
    ///
    /// 1. Writes are refused (`ingesting`) until the end, and what was written before is brought into tables.
    /// 2. On a worker each table is read whole and checked, and linked into the tablet's directory.
    /// 3. They go as deep as nothing overlaps them; to level 0 where something does.
    /// 4. Once the edit is durable readers see the keys, and `completion` is called, on a worker.
    ///
    /// The originals stay. Home scheduler only.
    /// - Parameters:
    ///   - tables: Made by `TableFileWriter` with the sequence after the tablet's last; they may not overlap each other.
    ///   - mark: The tablet's mark from then on.
    ///   - completion: Called with `invalidIngest` where a table does not fit (the tablet was written to since it was
    ///     begun, or tables overlap), with `file`, `corruption`, `closed`, `readOnly`, `memtablesFull` or `ingesting`.
    package func ingest(
        _ tables: [FinishedTable],
        mark: TabletMark,
        _ completion: @escaping @Sendable (Result<TabletMark, StorageError>) -> Void
    ) {
        precondition(mark.appliedIndex >= active.mark.appliedIndex, "applied index \(mark.appliedIndex) goes back")
        do throws(StorageError) {
            try prepare(memtableBytes: 0)
            try checkFit(tables)
            try seal(room: 0)
        } catch {
            return completion(.failure(error))
        }
        isIngesting.store(true, ordering: .releasing)
        awaitFlushed(through: active.id - 1) { result in
            switch result {
            case .failure(let error): self.endIngest(.failure(error), mark, completion)
            case .success:
                self.options.workers.submit {
                    do throws(StorageError) {
                        try self.takeIn(tables, mark, completion)
                    } catch {
                        self.endIngest(.failure(error), mark, completion)
                    }
                }
            }
        }
        scheduleWork()
    }

    /// Lets the active memtable go on from tables that were taken in.
    ///
    /// Writer only.
    func adoptIngested() {
        guard
            let taken = ingested.withLock({ taken -> Ingested? in
                defer { taken = nil }
                return taken
            })
        else { return }
        active.adopt(mark: taken.mark, lastSequence: taken.lastSequence)
    }

    private func checkFit(_ tables: [FinishedTable]) throws(StorageError) {
        guard !tables.isEmpty else { throw .invalidIngest("there are no tables") }
        let last = visible.load(ordering: .relaxed)
        for table in tables where table.metadata.sequenceMin != last + 1 || table.metadata.sequenceMax != last + 1 {
            throw .invalidIngest(
                "\(table.path) was made for sequence \(table.metadata.sequenceMin), \(last + 1) is next"
            )
        }
        let sorted = tables.sorted { compareKeys($0.metadata.smallest, $1.metadata.smallest) < 0 }
        for (a, b) in zip(sorted, sorted.dropFirst()) where !a.metadata.endsBefore(b.metadata.smallest) {
            throw .invalidIngest("\(a.path) and \(b.path) overlap")
        }
    }

    private func takeIn(
        _ tables: [FinishedTable],
        _ mark: TabletMark,
        _ completion: @escaping @Sendable (Result<TabletMark, StorageError>) -> Void
    ) throws(StorageError) {
        var files: [TableFile] = []
        do throws(StorageError) {
            for table in tables {
                var metadata = table.metadata
                metadata.number = makeFileNumber()
                let file = TableFile(metadata, environment)
                do throws(FileError) { try options.fileSystem.link(table.path, to: file.path) } catch {
                    throw .file(error)
                }
                files.append(file)
                try check(file)
                if isClosing { throw .closed }
            }
            do throws(FileError) { try options.fileSystem.synchronizeDirectory(options.directory) } catch {
                throw .file(error)
            }
        } catch {
            for file in files { environment.removeTable(file.metadata.number) }
            throw error
        }
        // While it has the compactions' turn, no compaction can put a table over the place that is chosen here.
        let (level, hasTurn) = background.withLock { state -> (Int, Bool) in
            guard !state.isCompacting else { return (0, false) }
            state.isCompacting = true
            return (state.version.deepestFree(for: files.map(\.metadata)), true)
        }
        let sequence = files.reduce(0) { max($0, $1.metadata.sequenceMax) }
        var edit = VersionEdit()
        edit.added = files.map { VersionEdit.Added(level: level, table: $0.metadata) }
        edit.mark = mark
        edit.lastSequence = sequence
        install(
            PendingInstall(
                edit: edit,
                added: files.map { (level, $0) },
                memtable: nil,
                visibleSequence: sequence
            ) { result in
                if hasTurn { self.background.withLock { $0.isCompacting = false } }
                self.endIngest(result.map { Ingested(mark: mark, lastSequence: sequence) }, mark, completion)
            }
        )
    }

    /// Reads every byte of a table and holds it against its metadata.
    private func check(_ file: TableFile) throws(StorageError) {
        let expected = InspectedTable(VersionEdit.Added(level: 0, table: file.metadata), in: options.directory)
        let inspector: TableInspector
        do throws(FileError) {
            inspector = try TableInspector(options.fileSystem, path: file.path, expected: expected)
        } catch { throw .file(error) }
        _ = inspector.verify()
        guard let finding = inspector.findings.first else { return }
        throw .corruption(
            file: finding.file,
            offset: finding.offset,
            length: finding.length,
            what: finding.what
        )
    }

    private func endIngest(
        _ result: Result<Ingested, StorageError>,
        _ mark: TabletMark,
        _ completion: @Sendable (Result<TabletMark, StorageError>) -> Void
    ) {
        switch result {
        case .success(let taken):
            ingested.withLock { $0 = taken }
            options.onDurable?(mark)
        case .failure: counters.failures.add(1, ordering: .relaxed)
        }
        isIngesting.store(false, ordering: .releasing)
        completion(result.map { _ in mark })
        noteRoom()
        scheduleWork()
    }
}

extension Version {
    /// The deepest level to which tables may go that are newer than everything here: nothing at or above it overlaps them.
    func deepestFree(for tables: [TableMetadata]) -> Int {
        func overlaps(_ level: Level) -> Bool {
            tables.contains { !level.overlapping(smallest: $0.smallest, largest: $0.largest).isEmpty }
        }
        if overlaps(levels[0]) { return 0 }
        var deepest = 0
        for number in 1..<Self.levelCount {
            if overlaps(levels[number]) { break }
            deepest = number
        }
        return deepest
    }
}
