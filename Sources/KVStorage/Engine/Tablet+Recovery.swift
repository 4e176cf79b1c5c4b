import KVBase

// Recovery of a tablet with a log of its own.
//
// Records are gathered and applied some dozens at a time: then their places in the memtable are looked for side by side, and the
// waits for memory overlap (a million keys of the log: half the time).

/// Records of the log that are not applied yet, end to end as one batch.
private struct GatheredBatches {
    static let recordsMax = 64
    static let bytesMax = 256 << 10

    private(set) var bytes: [UInt8] = []
    private(set) var count = 0
    private(set) var payloadBytes = 0
    private(set) var records = 0
    private(set) var firstSequence: UInt64 = 0
    private(set) var mark: TabletMark

    init(after mark: TabletMark) { self.mark = mark }

    var isFull: Bool { records >= Self.recordsMax || bytes.count >= Self.bytesMax }
    var memtableBytes: Int { Memtable.worstCase(entries: count, bytes: payloadBytes) }

    mutating func add(_ batch: StagedBatch, _ first: UInt64, _ mark: TabletMark) {
        if records == 0 { firstSequence = first }
        bytes.append(contentsOf: batch.bytes.buffer)
        count += batch.count
        payloadBytes += batch.payloadBytes
        records += 1
        self.mark = mark
    }

    mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        count = 0
        payloadBytes = 0
        records = 0
    }
}

extension Tablet {
    /// Applies what the tablet's own log holds beyond the tables, and goes on with the log.
    ///
    /// Called by open, before any job runs.
    func openJournal(synchronizes: Bool) throws(StorageError) {
        let (identity, durable, logNumber) = background.withLock { ($0.identity, $0.durableSequence, $0.logNumber) }
        // Not while the log is read: what the manifest no longer needs and a crash left.
        TabletJournal.removeSegments(options, before: logNumber)
        var gathered = GatheredBatches(after: active.mark)
        let contents = try TabletJournal.recover(options, identity: identity, durableSequence: durable) {
            (batch, first, mark) throws(StorageError) in
            // A batch without operations may have been before the flush: then the mark is in the manifest.
            if batch.isEmpty, mark.appliedIndex <= gathered.mark.appliedIndex { return }
            guard mark.appliedIndex >= gathered.mark.appliedIndex else {
                throw .corruption(
                    file: TabletJournal.directory(options),
                    offset: 0,
                    length: 0,
                    what: "applied index \(mark.appliedIndex) after \(gathered.mark.appliedIndex)"
                )
            }
            gathered.add(batch, first, mark)
            if gathered.isFull { try apply(&gathered) }
        }
        try apply(&gathered)
        journal = try TabletJournal(options, identity: identity, synchronizes: synchronizes, after: contents)
    }

    private func apply(_ gathered: inout GatheredBatches) throws(StorageError) {
        guard gathered.records > 0 else { return }
        if !active.fits(bytes: gathered.memtableBytes) || active.used >= options.memtableBytes {
            try sealWhileRecovering(room: gathered.memtableBytes)
        }
        let (first, mark) = (gathered.firstSequence, gathered.mark)
        let (count, payloadBytes) = (gathered.count, gathered.payloadBytes)
        gathered.bytes.withView {
            apply(StagedBatch($0, count: count, payloadBytes: payloadBytes), firstSequence: first, mark: mark)
        }
        gathered.removeAll()
    }

    /// Seals the active memtable; the workers flush it once the tablet is open.
    ///
    /// The log holds no more than the memtables that a crash met, so as many memtables hold the log. Where it is
    /// otherwise (the tablet was opened with smaller ones), they are brought into tables here and now.
    private func sealWhileRecovering(room: Int) throws(StorageError) {
        while background.withLock({ state in
            guard state.sealed.count >= options.sealedHardMax else { return false }
            state.isFlushing = true
            return true
        }) {
            runFlush()
            switch state {
            case .retrying(let error), .readOnly(let error), .damaged(let error): throw error
            case .diskFull: throw .memtablesFull
            case .healthy: break
            }
        }
        try seal(room: room)
    }
}
