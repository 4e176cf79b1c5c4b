package import KVBase
import KVEnvironment
import Synchronization

/// Lets many threads write to one tablet, and one sync make all of them durable that wait: for a tablet that stands
/// alone.
///
/// 1. A thread puts its batch into the queue. Whoever finds nobody leading leads; the others sleep, each on a
///    condition of its own.
/// 2. The leader takes what waits, in order, up to a bound. With the queue's lock let go, it puts the batches into the
///    log, one record each, writes once, synchronizes once, and only then applies them: a batch is acknowledged after
///    a completed sync that began after it was written.
/// 3. Whatever arrives meanwhile is the next group; the leader wakes its first, which leads it.
/// 4. Where memtables are full, or level 0 is, the leader sleeps until the workers made room. Where they cannot (the
///    disk is full, the tablet is read-only), the batch is refused by name.
///
/// Each batch takes the next applied index. While a queue is in use, everything that is for the tablet's home
/// scheduler goes through `asWriter`.
///
/// Lock order: `gate`, then the tablet's. `gate` is not held across I/O.
// SENDABLE: `gate` guards what changes; the requests of a group are the leader's until it says that they are done.
package final class CommitQueue: @unchecked Sendable {
    /// How many batches share one sync at most.
    package static let groupCountMax = 256
    /// How many bytes a group's batches have at most, its first aside.
    package static let groupBytesMax = 1 << 20

    private let tablet: Tablet
    private let gate = CommitGate()
    private let room = CommitCondition()
    private var waiting: [CommitRequest] = []
    private var isLed = false
    private var lastGroupCount = 0
    // Kept for their memory.
    private var idle: [CommitRequest] = []
    private var idleGroups: [[CommitRequest]] = []

    /// A queue before `tablet`, which nobody writes to in any other way from now on.
    package init(_ tablet: Tablet) {
        self.tablet = tablet
        tablet.roomObserver.withLock { observer in
            observer = { [weak self] in self?.noteRoom() }
        }
    }

    /// Writes a batch and returns the applied index that it took, after it is as durable as the tablet was set up for.
    ///
    /// Any thread; may sleep.
    /// - Throws: `batchTooLong`, `readOnly`, `closed`, `memtablesFull` where flushes fail, `file`, also where the disk is
    ///   full.
    @discardableResult
    package func write(_ batch: borrowing WriteBatch) throws(StorageError) -> LogIndex {
        try tablet.checkLength(batch.byteCount)
        return try batch.withStaged { (staged) throws(StorageError) -> LogIndex in
            let request = enter(staged)
            if request.phase == .leading { lead() }
            return try leave(request)
        }
    }

    /// Runs `body` when it is its turn among the writers: for flushes, checkpoints and whatever else belongs to the
    /// tablet's home scheduler.
    ///
    /// Any thread; may sleep.
    package func asWriter<R>(_ body: (Tablet) throws(StorageError) -> R) throws(StorageError) -> R {
        let request = enter(nil)
        defer {
            endLeading()
            release(request)
        }
        return try body(tablet)
    }

    /// What is due now and then (a second is often enough): retries, memtables that are due by age, the log's last
    /// batch proven durable.
    package func maintain() throws(StorageError) {
        try asWriter { (tablet) throws(StorageError) in
            tablet.flushIfDue()
            try tablet.proveLog()
        }
        tablet.maintain()
    }

    /// Takes finished tables in (`Tablet.ingest`) and returns the applied index that they took.
    ///
    /// Any thread; sleeps until they are in.
    package func ingest(_ tables: [FinishedTable]) throws(StorageError) -> LogIndex {
        let outcome = IngestOutcome()
        try asWriter { (tablet) throws(StorageError) in
            let mark = TabletMark(appliedIndex: tablet.mark.appliedIndex + 1)
            tablet.ingest(tables, mark: mark) { [gate, room] result in
                gate.lock()
                outcome.result = result
                room.broadcast()
                gate.unlock()
            }
        }
        gate.lock()
        while outcome.result == nil { gate.wait(for: room) }
        let result = outcome.result
        gate.unlock()
        return try result?.get().appliedIndex ?? 0
    }

    // SENDABLE: guarded by the queue's gate.
    private final class IngestOutcome: @unchecked Sendable {
        var result: Result<TabletMark, StorageError>?
    }

    // MARK: In and out

    /// Puts a request into the queue; returns when it leads or is done.
    private func enter(_ batch: StagedBatch?) -> CommitRequest {
        gate.lock()
        let request = idle.popLast() ?? CommitRequest()
        request.batch = batch
        request.phase = .waiting
        waiting.append(request)
        if isLed {
            while request.phase == .waiting { gate.wait(for: request.condition) }
        } else {
            isLed = true
            request.phase = .leading
        }
        gate.unlock()
        return request
    }

    private func leave(_ request: CommitRequest) throws(StorageError) -> LogIndex {
        let (error, index) = (request.error, request.index)
        release(request)
        if let error { throw error }
        return index
    }

    private func release(_ request: CommitRequest) {
        request.batch = nil
        request.error = nil
        gate.lock()
        idle.append(request)
        gate.unlock()
    }

    /// Takes what leads off the queue and lets the next one lead.
    private func endLeading() {
        gate.lock()
        waiting.removeFirst()
        let next = passOn()
        gate.unlock()
        next?.condition.signal()
    }

    /// Makes the first in the queue the leader; gate held.
    private func passOn() -> CommitRequest? {
        guard let next = waiting.first else {
            isLed = false
            return nil
        }
        next.phase = .leading
        return next
    }

    // MARK: Leading

    private func lead() {
        var group = gather()
        do throws(StorageError) {
            try awaitRoom()
            let bytes = group.reduce(0) { $0 + ($1.batch?.memtableBytes ?? 0) }
            while true {
                do throws(StorageError) {
                    try tablet.prepare(memtableBytes: bytes)
                    break
                } catch {
                    guard error == .memtablesFull || error == .ingesting, try sleepForRoom() else { throw error }
                }
            }
            try write(group)
        } catch {
            let named = error == .memtablesFull && tablet.isDiskFull ? tablet.noSpaceError : error
            for request in group where !request.isApplied { request.error = named }
        }
        tablet.sealIfFull()
        finish(&group)
    }

    /// Takes the next group: what waits, and what the last group's writers are about to bring.
    private func gather() -> [CommitRequest] {
        gate.lock()
        defer { gate.unlock() }
        if tablet.syncsWrites, lastGroupCount > waiting.count {
            // The writers that were just acknowledged come back within microseconds; a sync takes a hundred.
            for _ in 0..<8 where waiting.count < lastGroupCount {
                gate.unlock()
                CommitGate.yield()
                gate.lock()
            }
        }
        var group = idleGroups.popLast() ?? []
        var bytes = 0
        for request in waiting {
            guard let batch = request.batch, group.count < Self.groupCountMax else { break }
            bytes += batch.byteCount
            if !group.isEmpty, bytes > Self.groupBytesMax { break }
            request.isApplied = false
            group.append(request)
        }
        lastGroupCount = group.count
        return group
    }

    /// Logs, makes durable and applies the group; where the log takes only a part, that part.
    private func write(_ group: [CommitRequest]) throws(StorageError) {
        var failure: StorageError?
        var index = tablet.mark.appliedIndex
        var operations = 0
        var logged = 0
        for request in group {
            guard let batch = request.batch else { break }
            index += 1
            do throws(StorageError) {
                try tablet.log(batch, after: operations, mark: TabletMark(appliedIndex: index))
            } catch {
                failure = error
                break
            }
            request.index = index
            operations += batch.count
            logged += 1
        }
        if logged > 0 { try tablet.makeLogged() }
        for request in group.prefix(logged) {
            guard let batch = request.batch else { continue }
            let first = tablet.visible.load(ordering: .relaxed) + 1
            tablet.apply(batch, firstSequence: first, mark: TabletMark(appliedIndex: request.index))
            request.isApplied = true
        }
        if let failure { throw failure }
    }

    private func finish(_ group: inout [CommitRequest]) {
        gate.lock()
        for request in group { request.phase = .done }
        waiting.removeFirst(group.count)
        let next = passOn()
        gate.unlock()
        next?.condition.signal()
        // A request goes back into use only under the gate, so a signal too many wakes somebody who looks again.
        for request in group.dropFirst() { request.condition.signal() }
        group.removeAll(keepingCapacity: true)
        gate.lock()
        idleGroups.append(group)
        gate.unlock()
    }

    // MARK: Room

    private func noteRoom() {
        gate.lock()
        room.broadcast()
        gate.unlock()
    }

    /// Sleeps while the workers are too far behind.
    private func awaitRoom() throws(StorageError) {
        while tablet.isBehind {
            guard try sleepForRoom() else { return }
        }
    }

    /// Sleeps until something changed; false where it would not help.
    private func sleepForRoom() throws(StorageError) -> Bool {
        tablet.maintain()
        gate.lock()
        defer { gate.unlock() }
        // Asked under the gate: who makes room takes it after, and so finds this thread asleep.
        switch tablet.roomOutlook {
        case .soon:
            gate.wait(for: room)
            return true
        case .now: return true
        case .never: return false
        }
    }
}

/// One thread's place in the queue; used again and again.
// SENDABLE: guarded by the queue's gate; the leader alone touches the requests of its group meanwhile.
final class CommitRequest: @unchecked Sendable {
    enum Phase {
        case waiting
        case leading
        case done
    }

    let condition = CommitCondition()
    var phase = Phase.waiting
    /// Nil for a turn of one's own.
    var batch: StagedBatch?
    var index: LogIndex = 0
    var isApplied = false
    var error: StorageError?
}

/// Whether a writer who found no room will.
enum RoomOutlook {
    /// There is some.
    case now
    /// A worker is at it.
    case soon
    /// Not until somebody frees the disk or opens the tablet again.
    case never
}

extension Tablet {
    /// Whether a write returns after a sync.
    var syncsWrites: Bool { options.durability == .log(synchronizes: true) }

    /// Whether a writer who may sleep waits for the workers.
    var isBehind: Bool { roomOutlook == .soon }

    var noSpaceError: StorageError { .file(FileError(.space, path: options.directory, reason: .noSpace)) }

    var roomOutlook: RoomOutlook {
        if refusesWrites.load(ordering: .acquiring) { return .never }
        let isIngesting = isIngesting.load(ordering: .acquiring)
        return background.withLock { state in
            if state.isClosing { return .never }
            let isStopped =
                options.compactsAutomatically && state.version.levels[0].files.count >= options.levelZeroStopAt
            let hasRoom = state.sealed.count <= min(options.sealedMax, options.sealedHardMax - 1)
            if !isIngesting, !isStopped, hasRoom { return .now }
            return state.state == .healthy ? .soon : .never
        }
    }

    /// Tells who waits for room that something changed.
    func noteRoom() {
        let observer = roomObserver.withLock { $0 }
        observer?()
    }
}
