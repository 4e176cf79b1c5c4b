import KVBase
import KVService
import KVStorage

// Requests that are more than one decision: transactions, moves of a key, sessions and tokens.
//
// Each reads all rows that it needs before it stages anything, so that a blocked entry changed nothing; each that cannot be done
// whole goes back to where it began.

extension ShardStateMachine {
    /// Where a compound request goes back to.
    private struct Savepoint {
        var staged: TabletMark
        var batch: WriteBatch.Mark
        var stagedBytes: Int
        var known: [BorrowedKey: KnownRow]
        var records: [[UInt8]: [UInt8]?]
    }

    private var savepoint: Savepoint {
        Savepoint(staged: staged, batch: batch.mark, stagedBytes: stagedBytes, known: known, records: records)
    }

    private func goBack(to savepoint: Savepoint) {
        staged = savepoint.staged
        batch.rollBack(to: savepoint.batch)
        stagedBytes = savepoint.stagedBytes
        known = savepoint.known
        records = savepoint.records
    }

    /// Notes the keys of a compound request, so that earlier commands of the entry leave there what they wrote.
    func noteKeys(of request: Request) throws(DecodingError) {
        switch request.body {
        case .rename(let destination, _):
            known[BorrowedKey(request.key)] = .unread
            known[BorrowedKey(destination)] = .unread
        case .transaction(let bytes):
            for inner in try Request.requests(ofTransaction: bytes) { try noteKeys(of: inner) }
        case .inSession(_, let bytes), .once(_, _, let bytes):
            try noteKeys(of: try Request(bytes, from: .logged))
        case .clear, .openSession, .keepSession, .endSession, .sweepRecord: break
        default: known[BorrowedKey(request.key)] = .unread
        }
    }

    /// Does a compound request.
    /// - Returns: its reply; nil where rows must be read first, and then nothing was staged.
    func perform(_ request: Request) throws(ApplyError) -> StagedReply? {
        switch request.body {
        case .inSession(let stamp, let bytes): return try perform(decoded(bytes), in: stamp)
        case .once(let token, let keep, let bytes): return try perform(bytes, token: token, keepMilliseconds: keep)
        case .openSession(let session, let life): return try openSession(session, life)
        case .keepSession(let session): return try keepSession(session)
        case .endSession(let session): return try endSession(session)
        case .sweepRecord: return try sweepRecord([TabletRows.internalPrefix] + [UInt8](request.key))
        default:
            guard try hasRows(for: request) else { return nil }
            return try performOnKeys(request)
        }
    }

    /// Whether every row that a request on keys needs is at hand; otherwise they are in `missing`.
    private func hasRows(for request: Request) throws(ApplyError) -> Bool {
        switch request.body {
        case .transaction(let bytes):
            for inner in try decodedTransaction(bytes) { _ = try hasRows(for: inner) }
        case .rename(let destination, _):
            _ = try present(request.key)
            _ = try present(destination)
        case .clear: break
        case .check: _ = try present(request.key)
        default: if Decision.readsRow(request) { _ = try present(request.key) }
        }
        return missing.isEmpty
    }

    /// Does a request on keys whose rows are all at hand.
    private func performOnKeys(_ request: Request) throws(ApplyError) -> StagedReply {
        switch request.body {
        case .transaction(let bytes):
            return try transact(decodedTransaction(bytes), isAllOrNothing: request.flags.contains(.allOrNothing))
        case .rename(let destination, let options): return try rename(request.key, destination, options)
        case .clear: return clear()
        case .get, .head: return read(request, try row(request.key))
        case .check(let condition):
            let row = try row(request.key)
            return answer(to: condition.holds(for: row.condition(isLive: isLive(row))) ? .done : .conditionFailed, row)
        default: return stage(request, Decision.readsRow(request) ? try row(request.key) : .absent, isTracked: true)
        }
    }

    private func row(_ key: UnsafeRawBufferPointer) throws(ApplyError) -> KnownRow {
        guard let row = try present(key) else { preconditionFailure("a row was forgotten within its entry") }
        return row
    }

    private func answer(to outcome: Reply.Outcome, _ row: KnownRow) -> StagedReply {
        var answer = StagedReply(outcome: outcome)
        if isLive(row) {
            answer.version = row.version
            answer.expiresAt = row.expiresAt
        }
        return answer
    }

    private func failed(_ error: ServiceError) -> StagedReply {
        var answer = StagedReply(outcome: .failed)
        answer.fault = note(error)
        return answer
    }

    private func read(_ request: Request, _ row: KnownRow) -> StagedReply {
        guard isLive(row) else { return StagedReply(outcome: .absent) }
        var answer = answer(to: .found, row)
        answer.integer = Int64(row.bytes.count)
        if request.operation == .get { answer.value = row.bytes }
        return answer
    }

    // MARK: Transactions

    /// Conditions first, all of them; then the requests in their order.
    ///
    /// The reply's value is all their replies.
    private func transact(_ requests: [Request], isAllOrNothing: Bool) throws(ApplyError) -> StagedReply {
        for (place, request) in requests.enumerated() where request.operation == .check {
            var answer = try performOnKeys(request)
            guard answer.outcome == .done else {
                answer.integer = Int64(place)
                return answer
            }
        }
        let before = savepoint
        var encoded: [UInt8] = []
        for (place, request) in requests.enumerated() {
            var answer = request.operation == .check ? StagedReply(outcome: .done) : try performOnKeys(request)
            let isFull = answer.fault >= 0 && faults[answer.fault].code == .overloaded
            if isFull || isAllOrNothing && (answer.outcome == .failed || answer.outcome == .conditionFailed) {
                goBack(to: before)
                answer.integer = Int64(place)
                if answer.fault >= 0, !isFull {
                    let why = faults[answer.fault]
                    let message = "request \(place) of the transaction failed, nothing was done: \(why.message)"
                    answer.fault = note(ServiceError(why.code, message))
                }
                return answer
            }
            encode(answer, tag: UInt64(place), to: &encoded)
            guard encoded.count <= SessionLimits.transactionReplyBytesMax else {
                goBack(to: before)
                let most = SessionLimits.transactionReplyBytesMax
                return failed(
                    ServiceError(.tooLarge, "the transaction's replies are over \(most) bytes; nothing is done")
                )
            }
        }
        var answer = StagedReply(outcome: .done)
        answer.version = staged.revision
        answer.value = intoArena(encoded)
        return answer
    }

    private func encode(_ answer: StagedReply, tag: UInt64, to bytes: inout [UInt8]) {
        arena.withUnsafeBytes { arena in
            ReplyFormat.append(
                Reply(
                    answer.outcome,
                    version: answer.version,
                    expiresAt: answer.expiresAt,
                    integer: answer.integer,
                    value: answer.value.map { UnsafeRawBufferPointer(rebasing: arena[$0]) },
                    error: answer.fault < 0 ? nil : faults[answer.fault]
                ),
                tag: tag,
                to: &bytes
            )
        }
    }

    private func intoArena(_ bytes: [UInt8]) -> Range<Int> {
        arena.append(contentsOf: bytes)
        return arena.count - bytes.count..<arena.count
    }

    private func decoded(_ bytes: UnsafeRawBufferPointer) throws(ApplyError) -> Request {
        do {
            return try Request(bytes, from: .logged)
        } catch {
            throw .unreadableEntry(index: staged.appliedIndex, error)
        }
    }

    private func decodedTransaction(_ bytes: UnsafeRawBufferPointer) throws(ApplyError) -> [Request] {
        do {
            return try Request.requests(ofTransaction: bytes)
        } catch {
            throw .unreadableEntry(index: staged.appliedIndex, error)
        }
    }

    // MARK: Keys

    private func rename(
        _ source: UnsafeRawBufferPointer,
        _ destination: UnsafeRawBufferPointer,
        _ options: RenameOptions
    ) throws(ApplyError) -> StagedReply {
        let from = try row(source)
        guard isLive(from) else { return StagedReply(outcome: .absent) }
        let to = try row(destination)
        if options.contains(.onlyIfAbsent), isLive(to) { return answer(to: .conditionFailed, to) }
        if source.elementsEqual(destination) { return answer(to: .done, from) }
        let before = savepoint
        // The row's bytes are copied: staging may move the arena.
        let bytes = Array(arena[from.bytes])
        var answer = StagedReply(outcome: .done)
        let count = bytes.withUnsafeBytes {
            put(destination, .set($0, .empty, expiresAt: from.expiresAt), &answer)
        }
        guard answer.changed else { return answer }
        track(destination, count, answer)
        guard !options.contains(.keepsSource) else { return answer }
        var removal = StagedReply(outcome: .done)
        _ = put(source, .remove, &removal)
        guard removal.changed else {
            goBack(to: before)
            return removal
        }
        track(source, 0, removal)
        return answer
    }

    private func clear() -> StagedReply {
        staged.revision += 1
        stagedBytes += 24
        let (start, end): ([UInt8], [UInt8]) = ([TabletRows.userPrefix], [TabletRows.userEnd])
        batch.deleteRange(start, end)
        var hash = ContentHash(staged.chainedHash)
        hash.add(staged.revision)
        start.withUnsafeBytes { hash.add($0) }
        end.withUnsafeBytes { hash.add($0) }
        staged.chainedHash = hash.value
        // Rows of before would be read from the store again: they are known to be gone.
        for key in Array(known.keys) { known[key] = .absent }
        return StagedReply(outcome: .done)
    }

    // MARK: Sessions

    private func perform(_ request: Request, in stamp: SessionStamp) throws(ApplyError) -> StagedReply? {
        let key = RecordRows.session(stamp.session)
        let row = try record(key)
        let isReady = try hasRows(for: request)
        guard let row, isReady else { return nil }
        let time = staged.loggedTime
        guard var session = try session(in: row), !session.isExpired(at: time) else {
            return failed(
                ServiceError(
                    .unknownOutcome,
                    "session \(stamp.session) is unknown here or has expired: this request was not done now, whether it was"
                        + " before is not known"
                )
            )
        }
        if session.hasResult(stamp.sequence) { return try replay(stamp) }
        guard stamp.sequence >= session.lowest, stamp.sequence > session.forgotten else {
            return failed(
                ServiceError(
                    .unknownOutcome,
                    "result \(stamp.sequence) of session \(stamp.session) is no longer kept: this request was not done now"
                )
            )
        }
        let before = savepoint
        let answer = try performOnKeys(request)
        if answer.fault >= 0, faults[answer.fault].code == .overloaded { return answer }
        var result: [UInt8] = []
        encode(keepable(answer), tag: 0, to: &result)
        session.lastUsed = max(session.lastUsed, time)
        let dropped = session.keep(stamp.sequence, bytes: result.count, lowestOutstanding: stamp.lowestOutstanding)
        let isKept = session.hasResult(stamp.sequence)
        let isWritten =
            write(key, session.encoded) && (!isKept || write(RecordRows.result(stamp.session, stamp.sequence), result))
            && dropped.filter { $0 != stamp.sequence }.allSatisfy { write(RecordRows.result(stamp.session, $0), nil) }
        guard isWritten else {
            goBack(to: before)
            return failed(Self.entryIsFull(shard))
        }
        staged.flags.insert(.holdsRecords)
        return answer
    }

    /// The reply as it is kept: without its value where that is too long for a session.
    private func keepable(_ answer: StagedReply) -> StagedReply {
        guard let value = answer.value, value.count > SessionLimits.resultBytesMax / 2 else { return answer }
        return failed(
            ServiceError(
                .unknownOutcome,
                "the request was done once; its reply of \(value.count) bytes was too long to be kept for a retry"
            )
        )
    }

    /// The reply that a request got when it was done; nil where its row must be read first.
    private func replay(_ stamp: SessionStamp) throws(ApplyError) -> StagedReply? {
        guard let row = try record(RecordRows.result(stamp.session, stamp.sequence)), missing.isEmpty else {
            return nil
        }
        guard let row else {
            throw .damagedRow(shard, .invalid(offset: 0, what: "result \(stamp.sequence) of a session, which is gone"))
        }
        return try parsed(row) { bytes throws(DecodingError) in try self.reply(from: bytes) }
    }

    private func reply(from bytes: UnsafeRawBufferPointer) throws(DecodingError) -> StagedReply {
        var answer: StagedReply?
        try ReplyFormat.decode(bytes) { _, reply in
            var copy = StagedReply(outcome: reply.outcome)
            copy.version = reply.version
            copy.expiresAt = reply.expiresAt
            copy.integer = reply.integer
            if let value = reply.value { copy.value = intoArena([UInt8](value)) }
            if let error = reply.error { copy.fault = note(error) }
            answer = copy
        }
        guard let answer else { throw .truncated(offset: 0) }
        return answer
    }

    private func openSession(_ session: UInt64, _ life: UInt64) throws(ApplyError) -> StagedReply? {
        let key = RecordRows.session(session)
        guard let row = try record(key), missing.isEmpty else { return nil }
        // One that is there stays as it is: a second opening must not forget results.
        if let present = try self.session(in: row), !present.isExpired(at: staged.loggedTime) {
            return StagedReply(outcome: .done)
        }
        if try endSession(session) == nil { return nil }
        let record = SessionRecord(lifeMilliseconds: life, lastUsed: staged.loggedTime)
        guard write(key, record.encoded) else { return failed(Self.entryIsFull(shard)) }
        staged.flags.insert(.holdsRecords)
        return StagedReply(outcome: .done)
    }

    private func keepSession(_ session: UInt64) throws(ApplyError) -> StagedReply? {
        let key = RecordRows.session(session)
        guard let row = try record(key), missing.isEmpty else { return nil }
        guard var record = try self.session(in: row), !record.isExpired(at: staged.loggedTime) else {
            return StagedReply(outcome: .absent)
        }
        record.lastUsed = max(record.lastUsed, staged.loggedTime)
        return write(key, record.encoded) ? StagedReply(outcome: .done) : failed(Self.entryIsFull(shard))
    }

    /// Forgets a session and its results.
    private func endSession(_ session: UInt64) throws(ApplyError) -> StagedReply? {
        let key = RecordRows.session(session)
        guard let row = try record(key), missing.isEmpty else { return nil }
        guard let record = try self.session(in: row) else { return StagedReply(outcome: .absent) }
        let before = savepoint
        let isWritten =
            write(key, nil) && record.results.allSatisfy { write(RecordRows.result(session, $0.sequence), nil) }
        guard isWritten else {
            goBack(to: before)
            return failed(Self.entryIsFull(shard))
        }
        return StagedReply(outcome: .done)
    }

    // MARK: Tokens

    private func perform(
        _ bytes: UnsafeRawBufferPointer,
        token: UnsafeRawBufferPointer,
        keepMilliseconds: UInt64
    ) throws(ApplyError) -> StagedReply? {
        let key = RecordRows.token(token)
        let request = try decoded(bytes)
        let row = try record(key)
        let isReady = try hasRows(for: request)
        guard let row, isReady else { return nil }
        var hash = ContentHash()
        hash.add(bytes)
        let asked = hash.value
        if let row {
            let time = staged.loggedTime
            let kept = try parsed(row) { bytes throws(DecodingError) -> StagedReply? in
                let record = try TokenRecord(bytes)
                guard record.expiresAt > time else { return nil }
                guard record.hash == asked else {
                    return self.failed(ServiceError(.badRequest, "this token was used for another request before"))
                }
                return try self.reply(from: record.reply)
            }
            if let kept { return kept }
        }
        let before = savepoint
        let answer = try performOnKeys(request)
        if answer.fault >= 0, faults[answer.fault].code == .overloaded { return answer }
        var reply: [UInt8] = []
        encode(keepable(answer), tag: 0, to: &reply)
        let value = TokenRecord.encoded(expiresAt: staged.loggedTime + keepMilliseconds, hash: asked, reply: reply)
        guard write(key, value) else {
            goBack(to: before)
            return failed(Self.entryIsFull(shard))
        }
        staged.flags.insert(.holdsRecords)
        return answer
    }

    private func sweepRecord(_ key: [UInt8]) throws(ApplyError) -> StagedReply? {
        guard let row = try record(key), missing.isEmpty else { return nil }
        let time = staged.loggedTime
        guard let row,
            try parsed(row, { bytes throws(DecodingError) in try RecordRows.isExpired(key, bytes, at: time) })
        else { return StagedReply(outcome: .absent) }
        if let session = RecordRows.session(of: key) { return try endSession(session) }
        return write(key, nil) ? StagedReply(outcome: .done) : failed(Self.entryIsFull(shard))
    }

    // MARK: Records

    /// A record's row as the commands so far left it, nil inside where there is none; nil outside where it must be read first.
    private func record(_ key: [UInt8]) throws(ApplyError) -> [UInt8]?? {
        if let row = records[key] { return row }
        if !fetched.isEmpty, let row = fetched.rows[key] {
            records.updateValue(row, forKey: key)
            return .some(row)
        }
        var row: [UInt8]?
        let presence: RowPresence
        do {
            presence = try key.withUnsafeBufferPointer { (key) throws(StorageError) in
                try store.withRow(UnsafeRawBufferPointer(key), memoryOnly: true) { row = [UInt8]($0) }
            }
        } catch {
            throw .storage(shard, error)
        }
        guard presence != .needsDisk else {
            missing.append(key)
            return nil
        }
        records.updateValue(row, forKey: key)
        return .some(row)
    }

    /// Stages a record's row, or its removal; false where the entry is full.
    private func write(_ key: [UInt8], _ row: [UInt8]?) -> Bool {
        let size = key.count + (row?.count ?? 0) + 24
        guard stagedBytes == 0 || stagedBytes + size <= Limits.batchBytesMax else { return false }
        stagedBytes += size
        if let row { batch.put(key, row) } else { batch.delete(key) }
        records.updateValue(row, forKey: key)
        var hash = ContentHash(staged.chainedHash)
        hash.add(staged.revision)
        key.withUnsafeBytes { hash.add($0) }
        (row ?? []).withUnsafeBytes { hash.add($0) }
        staged.chainedHash = hash.value
        return true
    }

    private func session(in row: [UInt8]?) throws(ApplyError) -> SessionRecord? {
        guard let row else { return nil }
        return try parsed(row) { bytes throws(DecodingError) in try SessionRecord(bytes) }
    }

    private func parsed<Value>(
        _ row: [UInt8],
        _ parse: (UnsafeRawBufferPointer) throws(DecodingError) -> Value
    ) throws(ApplyError) -> Value {
        do {
            return try row.withUnsafeBufferPointer { (row) throws(DecodingError) in
                try parse(UnsafeRawBufferPointer(row))
            }
        } catch {
            throw .damagedRow(shard, error)
        }
    }
}

extension KnownRow {
    /// The row as a condition looks at it.
    fileprivate func condition(isLive: Bool) -> StoredValue? {
        isLive ? StoredValue(version: version, expiresAt: expiresAt, bytes: .empty) : nil
    }
}
