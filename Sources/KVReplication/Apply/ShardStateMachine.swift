package import KVBase
import KVService
package import KVStorage

/// Applies the committed commands of one shard to its tablet.
///
/// 1. `prepare` decides every command of an entry in order. Commands see the present rows and what earlier commands of the same
///    entry did; rows are read only for commands whose result depends on them.
/// 2. Where a row is not in memory it returns the keys that must be read, all of them, having changed nothing. They are fetched on a
///    worker, handed over by `deliver`, and kept until the entry is applied: however often the cache evicts, each retry knows more.
/// 3. `commit` writes everything in one batch together with the mark (index, term, revision, time, hash) that describes it.
/// 4. The replies stay readable until the next `prepare`.
///
/// An entry at or below the tablet's own applied index is skipped: what is in is decided by the tablet and by nothing newer. The
/// outcome depends on the entry and the rows alone, so every replica and every replay ends in the same rows, replies and hash. Damaged
/// rows and unreadable commands are thrown and never skipped.
///
// SENDABLE: owned by the group's home scheduler; nothing else touches it.
package final class ShardStateMachine<Store: RowStore>: @unchecked Sendable {
    /// The shard.
    package let shard: ShardID
    /// Its tablet.
    package let store: Store
    /// How far it is: the tablet's own mark.
    package private(set) var mark: TabletMark

    /// The commands of the entry at hand.
    var commands: [EntryCommand] = []

    /// The mark that `commit` will write.
    var staged: TabletMark
    var batch = WriteBatch()
    /// How much is staged, counted by this file alone, so that versions of the engine cannot disagree about the limit.
    var stagedBytes = 0
    /// Rows read or rewritten in this entry, one after the other; only grows within an entry.
    var arena: [UInt8] = []
    /// The commands' requests, decoded: views into the payload, gone when `prepare` returns.
    private var requests: [Request] = []
    /// The rows that commands of this entry read, by user key, as they stand after the commands so far.
    ///
    /// Writes to other keys are not tracked: nobody looks at them in this entry. Its keys are views into the payload as
    /// well.
    var known: [BorrowedKey: KnownRow] = [:]
    /// The rows of sessions and tokens that this entry read or wrote, by row key; nil for one that is not there.
    var records: [[UInt8]: [UInt8]?] = [:]
    var missing: [[UInt8]] = []
    var fetched = FetchedRows()
    private var replies: [StagedReply] = []
    /// Why replies of this entry failed.
    var faults: [ServiceError] = []

    /// A state machine over a tablet.
    ///
    /// - Parameters:
    ///   - shard: The shard.
    ///   - store: Its tablet.
    ///   - epoch: The epoch that a tablet starts with which nothing was ever applied to.
    package init(shard: ShardID, store: Store, epoch: Epoch) {
        self.shard = shard
        self.store = store
        mark = store.mark
        if mark.epoch == Epoch(0) { mark.epoch = epoch }
        staged = mark
    }

    /// What `prepare` came to.
    enum Preparation {
        /// `commit` may be called.
        case ready
        /// The entry is in already.
        case skipped
        /// These rows must be read first; nothing has changed.
        case blocked([[UInt8]])
    }

    /// Decides the commands of an entry.
    ///
    /// - Parameters:
    ///   - entry: The entry's index, term and time.
    ///   - payload: The entry's payload, which `commands` were read from.
    ///   - wantsReplies: Whether anybody waits.
    /// - Returns: Whether it can be committed, and if not why.
    /// - Throws: where a command or a row cannot be read.
    func prepare(
        _ entry: EntryStamp,
        payload: UnsafeRawBufferPointer,
        wantsReplies: Bool
    ) throws(ApplyError) -> Preparation {
        replies.removeAll(keepingCapacity: true)
        if !faults.isEmpty { faults.removeAll() }
        guard entry.index > mark.appliedIndex else { return .skipped }
        batch.removeAll()
        stagedBytes = 0
        arena.removeAll(keepingCapacity: arena.capacity <= 1 << 20)
        missing.removeAll()
        if !records.isEmpty { records.removeAll() }
        staged = mark
        staged.appliedIndex = entry.index
        staged.appliedTerm = entry.term
        staged.loggedTime = max(mark.loggedTime, entry.time)
        defer {
            known.removeAll(keepingCapacity: true)
            requests.removeAll(keepingCapacity: true)
        }
        try decodeCommands(entry, payload)
        for place in commands.indices {
            try prepare(requests[place], commands[place], wantsReply: wantsReplies)
        }
        guard missing.isEmpty else {
            replies.removeAll(keepingCapacity: true)
            return .blocked(missing)
        }
        return .ready
    }

    /// Fetches, with what other shards announce, what the commit will look at.
    func announce(to prefetch: inout WritePrefetch) { store.announce(batch, to: &prefetch) }

    /// Writes what was prepared.
    ///
    /// - Throws: what the store threw; after `memtablesFull` it may be called again.
    func commit() throws(StorageError) {
        try store.write(batch, mark: staged)
        mark = staged
        fetched = FetchedRows()
    }

    /// Takes rows that were read for the entry at hand.
    func deliver(_ rows: FetchedRows) {
        fetched.rows.merge(rows.rows) { _, new in new }
    }

    /// Hands over the replies to the entry prepared last, in the order of its commands.
    func forEachReply(_ body: (_ ordinal: UInt32, _ reply: borrowing Reply) -> Void) {
        arena.withUnsafeBytes { arena in
            for staged in replies {
                let value = staged.value.map { UnsafeRawBufferPointer(rebasing: arena[$0]) }
                body(
                    staged.ordinal,
                    Reply(
                        staged.outcome,
                        version: staged.version,
                        expiresAt: staged.expiresAt,
                        integer: staged.integer,
                        value: value,
                        error: staged.fault < 0 ? nil : faults[staged.fault]
                    )
                )
            }
        }
    }

    // MARK: One command

    /// Decodes all requests and notes which keys are read.
    private func decodeCommands(_ entry: EntryStamp, _ payload: UnsafeRawBufferPointer) throws(ApplyError) {
        for command in commands {
            do {
                requests.append(try Request(command.request(in: payload), from: .logged))
            } catch {
                throw .unreadableCommand(index: entry.index, ordinal: command.ordinal, error)
            }
        }
        for place in commands.indices where isServed(commands[place]) {
            if Decision.readsRow(requests[place]) {
                known[BorrowedKey(requests[place].key)] = .unread
            } else if requests[place].operation.isCompound {
                do {
                    try noteKeys(of: requests[place])
                } catch {
                    throw .unreadableCommand(index: entry.index, ordinal: commands[place].ordinal, error)
                }
            }
        }
    }

    private func isServed(_ command: EntryCommand) -> Bool {
        command.epoch == mark.epoch && !mark.flags.contains(.frozen)
    }

    private func prepare(_ request: Request, _ command: EntryCommand, wantsReply: Bool) throws(ApplyError) {
        guard isServed(command) else {
            if wantsReply { reply(command, failing: .moving, "shard \(shard) is moving or has moved; retry") }
            return
        }
        if request.operation.isCompound {
            guard var answer = try perform(request) else { return }
            answer.ordinal = command.ordinal
            if wantsReply { replies.append(answer) }
            return
        }
        var row = KnownRow.absent
        let readsRow = Decision.readsRow(request)
        if readsRow {
            guard let present = try present(request.key) else { return }
            row = present
        }
        // Rows are missing: the rest of the entry is only asked for what else it needs.
        guard missing.isEmpty else { return }
        let isTracked = readsRow || known[BorrowedKey(request.key)] != nil
        var answer = stage(request, row, isTracked: isTracked)
        answer.ordinal = command.ordinal
        if wantsReply { replies.append(answer) }
    }

    /// Whether a row is there and not expired at the entry's time.
    func isLive(_ row: KnownRow) -> Bool {
        row.state == .present && !(row.expiresAt != 0 && row.expiresAt <= staged.loggedTime)
    }

    /// Decides one write and stages what it changes.
    func stage(_ request: Request, _ row: KnownRow, isTracked: Bool) -> StagedReply {
        let time = staged.loggedTime
        let isLive = isLive(row)
        var answer = StagedReply(outcome: .done)
        var rowCount = 0
        arena.withUnsafeBytes { arena in
            let stored = row.state == .present ? StoredValue(row, in: arena) : nil
            let decision = Decision(request, row: stored, time: time)
            answer.outcome = decision.outcome
            answer.integer = decision.integer
            if let failure = decision.failure { answer.fault = note(failure.error) }
            if isLive {
                answer.version = row.version
                answer.expiresAt = row.expiresAt
                if decision.returnsPrevious { answer.value = row.bytes }
            }
            guard !decision.change.isNone else { return }
            if case .splice(let present, let bytes, let offset, let expiresAt) = decision.change {
                splice(present, bytes, at: offset).withUnsafeBytes {
                    rowCount = put(request.key, .set($0, .empty, expiresAt: expiresAt), &answer)
                }
            } else {
                rowCount = put(request.key, decision.change, isWrittenOut: request.operation == .put, &answer)
            }
        }
        if isTracked, answer.changed {
            track(request.key, rowCount, answer)
            // The new value is the answer.
            if request.operation == .addDecimal { answer.value = known[BorrowedKey(request.key)]?.bytes }
        }
        return answer
    }

    /// Stages a row; returns how many bytes it has.
    func put(
        _ key: UnsafeRawBufferPointer,
        _ change: Decision.Change,
        isWrittenOut: Bool = false,
        _ answer: inout StagedReply
    ) -> Int {
        withUnsafeTemporaryAllocation(byteCount: NewRow.scratchBytes, alignment: 1) { scratch in
            let row = NewRow(change, version: staged.revision + 1, scratch)
            // A batch has a limit, and rewriting long values outgrows any entry: the same commands fail on every replica. What was written out
            // in the entry always fits, so that of writes that take effect together none fails alone.
            let size = key.count + row.count + 24
            let bytesMax = isWrittenOut ? Limits.stagedBytesMax : Limits.batchBytesMax
            guard stagedBytes == 0 || stagedBytes + size <= bytesMax else {
                answer = StagedReply(outcome: .failed)
                answer.fault = note(Self.entryIsFull(shard))
                return 0
            }
            stagedBytes += size
            write(key, row, &answer)
            return row.count
        }
    }

    static func entryIsFull(_ shard: ShardID) -> ServiceError {
        ServiceError(.overloaded, "one log entry rewrites too many bytes of shard \(shard); retry")
    }

    private func write(_ key: UnsafeRawBufferPointer, _ row: NewRow, _ answer: inout StagedReply) {
        staged.revision += 1
        answer.changed = true
        if let expiresAt = row.expiresAt {
            batch.put(TabletRows.userPrefix, key, row.header, row.first, row.second)
            answer.version = staged.revision
            answer.expiresAt = expiresAt
            if expiresAt != 0 { staged.flags.insert(.holdsExpiries) }
        } else {
            batch.delete(TabletRows.userPrefix, key)
            answer.version = 0
            answer.expiresAt = 0
        }
        var hash = ContentHash(staged.chainedHash)
        hash.add(staged.revision)
        let keyCount = key.count + 1
        batch.withLast(keyCount + row.count) { bytes in
            hash.add(UnsafeRawBufferPointer(rebasing: bytes[..<keyCount]))
            hash.add(UnsafeRawBufferPointer(rebasing: bytes[keyCount...]))
        }
        staged.chainedHash = hash.value
    }

    /// Remembers the row just written, for the commands that follow.
    func track(_ key: UnsafeRawBufferPointer, _ rowCount: Int, _ answer: StagedReply) {
        guard rowCount > 0 else {
            known[BorrowedKey(key)] = .absent
            return
        }
        let header = 1 + varintSize(answer.version) + (answer.expiresAt == 0 ? 0 : varintSize(answer.expiresAt))
        batch.withLast(rowCount) { arena.append(contentsOf: $0) }
        known[BorrowedKey(key)] = KnownRow(
            version: answer.version,
            expiresAt: answer.expiresAt,
            bytes: arena.count - rowCount + header..<arena.count
        )
    }

    private func reply(_ command: EntryCommand, failing code: ServiceError.Code, _ message: String) {
        var answer = StagedReply(outcome: .failed)
        answer.ordinal = command.ordinal
        answer.fault = note(ServiceError(code, message))
        replies.append(answer)
    }

    func note(_ fault: ServiceError) -> Int {
        faults.append(fault)
        return faults.count - 1
    }

    // MARK: Present rows

    /// The row of a key as the commands so far left it; nil where it must be read first (then it is in `missing`).
    func present(_ key: UnsafeRawBufferPointer) throws(ApplyError) -> KnownRow? {
        if let row = known[BorrowedKey(key)], row.state != .unread { return row.state == .missing ? nil : row }
        let rowKey = TabletRows.key(key)
        let start = arena.count
        if !fetched.isEmpty, let row = fetched.rows[rowKey] {
            guard let row else { return remember(key, .absent) }
            arena.append(contentsOf: row)
        } else {
            var presence = RowPresence.absent
            do {
                presence = try rowKey.withUnsafeBufferPointer { (rowKey) throws(StorageError) in
                    try store.withRow(UnsafeRawBufferPointer(rowKey), memoryOnly: true) { arena.append(contentsOf: $0) }
                }
            } catch {
                throw .storage(shard, error)
            }
            switch presence {
            case .found: break
            case .absent: return remember(key, .absent)
            case .needsDisk:
                missing.append(rowKey)
                _ = remember(key, .missing)
                return nil
            }
        }
        return remember(key, try parseRow(from: start))
    }

    func remember(_ key: UnsafeRawBufferPointer, _ row: KnownRow) -> KnownRow {
        known[BorrowedKey(key)] = row
        return row
    }

    /// Reads the row that was put at the arena's end.
    private func parseRow(from start: Int) throws(ApplyError) -> KnownRow {
        do {
            return try arena.withUnsafeBufferPointer { (arena) throws(DecodingError) in
                let row = UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: arena[start...]))
                let stored = try StoredValue(row)
                return KnownRow(
                    version: stored.version,
                    expiresAt: stored.expiresAt,
                    bytes: arena.count - stored.bytes.count..<arena.count
                )
            }
        } catch {
            throw .damagedRow(shard, error)
        }
    }
}

/// Where and when an entry stands.
struct EntryStamp {
    var index: LogIndex
    var term: Term
    var time: UInt64
}

/// Rows that were read from the disk for an entry that waits; nil for a row that is not there.
package struct FetchedRows: Sendable {
    var rows: [[UInt8]: [UInt8]?] = [:]

    /// No rows.
    init() {}

    var isEmpty: Bool { rows.isEmpty }
}

/// A reply that waits for `commit`; its value is in the arena.
struct StagedReply {
    var ordinal: UInt32 = 0
    var outcome: Reply.Outcome
    var version: UInt64 = 0
    var expiresAt: UInt64 = 0
    var integer: Int64 = 0
    var value: Range<Int>?
    /// Which of the faults says why it failed; -1 for none.
    var fault = -1
    /// Whether the row was written or removed.
    var changed = false

    init(outcome: Reply.Outcome) { self.outcome = outcome }
}

/// The row that a change makes, in parts: a header, then the user's bytes; of a removal nothing.
///
/// SAFETY: holds views into the payload, the arena and the scratch it was made with.
private struct NewRow {
    var header = UnsafeRawBufferPointer.empty
    var first = UnsafeRawBufferPointer.empty
    var second = UnsafeRawBufferPointer.empty
    /// When it expires, 0 for never; nil where the row goes.
    var expiresAt: UInt64?

    var count: Int { header.count + first.count + second.count }

    /// How much room the header needs at most, a number included.
    static let scratchBytes = TabletRows.headerBytesMax + 48

    init(_ change: Decision.Change, version: UInt64, _ scratch: UnsafeMutableRawBufferPointer) {
        switch change {
        case .none, .remove: break
        case .splice: preconditionFailure("a splice is put together before it is written")
        case .setDecimal(let number, let expiresAt):
            self.expiresAt = expiresAt
            var count = TabletRows.writeHeader(version: version, expiresAt: expiresAt, to: scratch)
            for digit in number.text.utf8 {
                scratch[count] = digit
                count += 1
            }
            header = UnsafeRawBufferPointer(rebasing: scratch[..<count])
        case .set(let first, let second, let expiresAt):
            self.expiresAt = expiresAt
            self.first = first
            self.second = second
            let count = TabletRows.writeHeader(version: version, expiresAt: expiresAt, to: scratch)
            header = UnsafeRawBufferPointer(rebasing: scratch[..<count])
        case .setNumber(let number, let expiresAt):
            self.expiresAt = expiresAt
            var count = TabletRows.writeHeader(version: version, expiresAt: expiresAt, to: scratch)
            for digit in String(number).utf8 {
                scratch[count] = digit
                count += 1
            }
            header = UnsafeRawBufferPointer(rebasing: scratch[..<count])
        }
    }
}

/// A row of the entry at hand; its bytes are in the arena.
struct KnownRow {
    var version: UInt64
    var expiresAt: UInt64
    var bytes: Range<Int>
    var state = State.present

    enum State {
        /// Nobody asked for it yet.
        case unread
        /// It must be read from the disk.
        case missing
        case absent
        case present
    }

    init(version: UInt64, expiresAt: UInt64, bytes: Range<Int>) {
        self.version = version
        self.expiresAt = expiresAt
        self.bytes = bytes
    }

    fileprivate init(_ state: State) {
        self.init(version: 0, expiresAt: 0, bytes: 0..<0)
        self.state = state
    }

    static let unread = KnownRow(.unread)
    static let missing = KnownRow(.missing)
    static let absent = KnownRow(.absent)
}

/// A key in the payload, to look up by its bytes.
///
/// SAFETY: used only while the payload is borrowed; the dictionary is emptied before `prepare` returns.
struct BorrowedKey: Hashable {
    let bytes: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    static func == (a: Self, b: Self) -> Bool { a.bytes.elementsEqual(b.bytes) }

    func hash(into hasher: inout Hasher) { hasher.combine(bytes: bytes) }
}

/// Bytes with others in the middle, zeros before those where they are too few.
private func splice(_ present: UnsafeRawBufferPointer, _ bytes: UnsafeRawBufferPointer, at offset: Int) -> [UInt8] {
    var value = [UInt8](present)
    if value.count < offset + bytes.count {
        value.append(contentsOf: repeatElement(0, count: offset + bytes.count - value.count))
    }
    value.withUnsafeMutableBytes { UnsafeMutableRawBufferPointer(rebasing: $0[offset...]).copyMemory(from: bytes) }
    return value
}

extension StoredValue {
    fileprivate init(_ row: KnownRow, in arena: UnsafeRawBufferPointer) {
        self.init(
            version: row.version,
            expiresAt: row.expiresAt,
            bytes: UnsafeRawBufferPointer(rebasing: arena[row.bytes])
        )
    }
}

extension Decision.Change {
    fileprivate var isNone: Bool {
        if case .none = self { return true }
        return false
    }
}
