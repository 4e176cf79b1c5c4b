import KVBase
import KVRaft
import KVService
import KVStorage

// From committed entries to tablets and answers, and from confirmed reads to answers.

extension GroupReplica {
    /// Applies what is committed and durable, in order, up to a bound a turn.
    func applyCommitted() {
        var bytes = 0
        while !isApplyBlocked, !isInstalling, stopReason == nil, quarantine == nil, let entry = applyQueue.first {
            guard bytes < settings.applyBytesMax else {
                host.turnEnd.ask()
                return
            }
            guard entry.holdsChecksum(group: id) else {
                stop("entry \(entry.index) of its log fails its checksum; run 'walreplay verify' on the stopped node")
                return
            }
            guard apply(entry) else { return }
            bytes += entry.size
            applyQueue.removeFirst()
            core.applied(through: entry.index)
            clockApplied(entry)
            evictOldEntries(entry)
            noteHealth(entry.index)
            observer?.entryApplied(self, AppliedEntry(entry))
        }
    }

    /// Whether the entry is done; otherwise it is blocked or the group stopped.
    private func apply(_ entry: Entry) -> Bool {
        switch entry.kind {
        case .empty:
            _ = proposals.takeWaiter(at: entry.index, term: entry.term)
            return true
        case .configuration:
            _ = proposals.takeWaiter(at: entry.index, term: entry.term)
            applyConfiguration(entry)
            return true
        case .commands:
            let origins = applyingOrigins ?? proposals.takeWaiter(at: entry.index, term: entry.term) ?? []
            applyingOrigins = origins
            do {
                let outcome = try machine.apply(entry, wantsReplies: !origins.isEmpty) { position, reply in
                    if position < origins.count { origins[position].complete(reply) }
                }
                if case .blocked(let load) = outcome {
                    block(load)
                    return false
                }
                readFailures = 0
            } catch {
                applyFailed(entry, error)
                return false
            }
            applyingOrigins = nil
            return true
        }
    }

    /// Waits for what `load` brings; what a load of before an installed snapshot says is of no interest any more.
    private func block(_ load: (@escaping @Sendable ((any Error)?) -> Void) -> Void) {
        isApplyBlocked = true
        applyBlocks += 1
        let number = applyBlocks
        load { [weak self] error in
            guard let self, self.applyBlocks == number else { return }
            self.unblock(error)
        }
    }

    private func unblock(_ error: (any Error)?) {
        isApplyBlocked = false
        guard stopReason == nil, quarantine == nil else { return }
        if let error, let entry = applyQueue.first {
            applyFailed(entry, error)
        } else {
            applyCommitted()
            host.turnEnd.ask()
        }
    }

    private func applyFailed(_ entry: Entry, _ error: any Error) {
        if isPassing(error), readFailures < Self.readFailuresMax {
            readFailures += 1
            return block { [home = host.home] resume in
                _ = home.schedule(afterNanoseconds: Self.readRetryNanoseconds) { resume(nil) }
            }
        }
        failApplying("this node cannot apply it: \(error)")
        let reason = "entry \(entry.index) cannot be applied: \(error)"
        switch error {
        // Where the entry itself is not understood, the others' state would not help.
        case ApplyError.unreadableEntry, ApplyError.unreadableCommand, ApplyError.newerFeatureLevel, is DecodingError:
            stop(reason)
        default: quarantine(reason)
        }
    }

    /// Whether it may go well the next time: the system had no descriptor or no memory left, or the disk did not answer.
    private func isPassing(_ error: any Error) -> Bool {
        switch error {
        case StorageError.file, ApplyError.storage(_, .file): true
        default: false
        }
    }

    /// How long a read of the disk that failed is repeated, once a second.
    private static var readFailuresMax: Int { 30 }
    private static var readRetryNanoseconds: UInt64 { 1_000_000_000 }

    /// Tells the callers of the entry that is being applied that it will not be applied here.
    func failApplying(_ why: String) {
        guard let origins = applyingOrigins else { return }
        applyingOrigins = nil
        let unknown = ServiceError(.unknownOutcome, "the write is logged, but \(why)")
        for origin in origins { origin.fail(unknown) }
    }

    private func applyConfiguration(_ entry: Entry) {
        // After a restart the manifest may be ahead of what is applied again.
        guard entry.index > store.state.membershipIndex else { return }
        do {
            let newcomers = try GroupMembership.newcomers(ConfigurationChange(decoding: entry.payload).context)
            membership = membership.changed(to: try core.applyConfiguration(entry), newcomers: newcomers)
        } catch {
            // Every replica refuses it alike and keeps what it has.
            return
        }
        let bytes = membership.encoded
        store.change { state in
            state.membership = bytes
            state.membershipIndex = entry.index
        } completion: { [weak self] error in
            if let error { self?.stop("its manifest cannot be written: \(error)") }
        }
    }

    // MARK: Reads

    /// Serves confirmed reads whose index is applied.
    func serveReads() {
        while stopReason == nil, quarantine == nil, let batch = reads.takeServable(applied: core.applied) {
            let now = host.clock.wallMilliseconds
            batch.visit { request, origin in serve(request, origin: origin, now: now) }
            clockReads(batch)
        }
        barriers.pass(applied: core.applied)
        if !readsForTime.isEmpty { retryReadsForTime() }
    }

    /// Serves a read from whatever this replica has applied.
    package func readStale(_ request: RoutedRequest, origin: Origin) {
        if let stopReason {
            origin.fail(ServiceError(.unavailable, "group \(id) stopped on this node: \(stopReason)"))
            return
        }
        if let quarantineError { return origin.fail(quarantineError) }
        serve(request, origin: origin, now: nil)
    }

    private func serve(_ request: RoutedRequest, origin: Origin, now: UInt64?) {
        do {
            switch try machine.read(request, now: now, reply: { origin.complete($0) }) {
            case .done: break
            case .onWorker(let reader, let loggedTime): serveFromDisk(request, reader, loggedTime, origin, now: now)
            case .needsTime: readsForTime.append(ReadForTime(request, origin))
            }
        } catch {
            origin.fail(ServiceError(.corruption, "the key cannot be read: \(error)"))
        }
    }

    private func serveFromDisk(
        _ request: RoutedRequest,
        _ reader: ShardReader<Tablet>,
        _ loggedTime: UInt64,
        _ origin: Origin,
        now: UInt64?
    ) {
        let held = ReadForTime(request, origin)
        host.readers.submit { [weak self, home = host.home] in
            let answer = Result { try DiskAnswer(held, reader, loggedTime: loggedTime, wallTime: now ?? loggedTime) }
            home.execute { [weak self] in
                switch answer {
                case .failure(let error): origin.fail(ServiceError(.corruption, "the key cannot be read: \(error)"))
                case .success(let answer): if !answer.deliver(to: origin) { self?.readsForTime.append(held) }
                }
                self?.host.turnEnd.ask()
            }
        }
    }

    /// Logs the leader's time, so that a key whose expiry it passed is expired for every replica and for ever; then tries the reads
    /// that wait for it again.
    private func retryReadsForTime() {
        if isTimeProposed, core.applied >= timeIndex {
            isTimeProposed = false
            let waiting = readsForTime
            readsForTime = []
            for read in waiting { read.withRequest { observer?.reroute($0.bytes, item: $0.item, origin: read.origin) } }
        } else if !isTimeProposed, core.role == .leader {
            var entry = EntryBuilder()
            for read in readsForTime { entry.appendAdvanceTime(shard: read.shard, epoch: read.epoch) }
            // Overloaded: the next turn tries again.
            guard let place = try? propose(.commands, entry.take()) else { return }
            timeIndex = place.index
            isTimeProposed = true
            host.turnEnd.ask()
        }
    }
}

/// A read that is kept for later, with its own bytes.
struct ReadForTime: Sendable {
    let bytes: [UInt8]
    let item: RequestBatch.Item
    let shard: ShardID
    let epoch: Epoch
    let origin: Origin

    init(_ request: RoutedRequest, _ origin: Origin) {
        bytes = Array(request.bytes)
        item = request.item
        shard = request.shard
        epoch = request.epoch
        self.origin = origin
    }

    func withRequest(_ body: (RoutedRequest) -> Void) {
        bytes.withUnsafeBytes { body(RoutedRequest(bytes: $0, item: item, shard: shard, epoch: epoch)) }
    }
}

/// What a worker read from the disk, on its way home.
private struct DiskAnswer: Sendable {
    private let outcome: Reply.Outcome?
    private var version: UInt64 = 0
    private var expiresAt: UInt64 = 0
    private var integer: Int64 = 0
    private var value: [UInt8]?
    private var error: ServiceError?

    init(_ read: ReadForTime, _ reader: ShardReader<Tablet>, loggedTime: UInt64, wallTime: UInt64) throws {
        var copied: (Reply.Outcome, UInt64, UInt64, Int64, [UInt8]?, ServiceError?)?
        try read.bytes.withUnsafeBytes { bytes in
            _ = try reader.read(try Request(bytes), loggedTime: loggedTime, wallTime: wallTime, memoryOnly: false) {
                reply in
                copied = (
                    reply.outcome, reply.version, reply.expiresAt, reply.integer, reply.value.map { Array($0) },
                    reply.error
                )
            }
        }
        outcome = copied?.0
        guard let copied else { return }
        (_, version, expiresAt, integer, value, error) = copied
    }

    /// Whether there was an answer; otherwise the time must be logged first.
    func deliver(to origin: Origin) -> Bool {
        guard let outcome else { return false }
        guard let value else {
            origin.complete(Reply(outcome, version: version, expiresAt: expiresAt, integer: integer, error: error))
            return true
        }
        value.withUnsafeBytes { bytes in
            origin.complete(
                Reply(outcome, version: version, expiresAt: expiresAt, integer: integer, value: bytes, error: error)
            )
        }
        return true
    }
}
