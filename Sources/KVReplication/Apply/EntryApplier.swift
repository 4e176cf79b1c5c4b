package import KVBase
package import KVRaft
package import KVService
package import KVStorage

/// Applies a group's committed entries to all its shards, one entry after the other.
///
/// ```
///            apply                 deliver, apply
/// idle ──────────────▶ blocked ─────────────────────▶ blocked | applied
///  │ apply                                             ▲
///  ├──────────────▶ stalled (memtables full) ── apply ─┤
///  └──────────────▶ applied ◀──────────────────────────┘
/// ```
///
/// No shard is written before every shard of the entry is prepared, so an entry is never half visible while a block is read. After
/// `blocked` or `stalled` the same entry must be given again; the replies are there once it is `applied`.
///
// SENDABLE: owned by the group's home scheduler; nothing else touches it.
package final class EntryApplier<Store: RowStore>: @unchecked Sendable {
    /// How far an entry came.
    package enum Progress {
        /// It is in, and its replies can be read.
        case applied
        /// Rows must be read: run each `fetch` on a worker, `deliver` the result on the home scheduler, then apply again.
        case blocked([MissingRows<Store>])
        /// Memtables are full: apply again once a flush made room.
        case stalled
    }

    /// The highest time of an applied entry; what stale reads go by.
    package private(set) var loggedTime: UInt64

    /// By the shard's number; nil where the group does not have the shard.
    private var machines: [ShardStateMachine<Store>?]
    /// The shards of the entry at hand, in the order of their first commands.
    private var touched: [ShardStateMachine<Store>] = []
    /// How many of `touched` are prepared and written; -1 where the entry is not prepared.
    private var writtenCount = -1
    private var preparedIndex: LogIndex = 0
    private var prefetch = WritePrefetch()
    /// Commands for shards that this group does not have.
    private var strays: [EntryCommand] = []

    /// An applier over these shards.
    ///
    /// - Precondition: no shard occurs twice.
    package init(_ machines: [ShardStateMachine<Store>]) {
        self.machines = []
        for machine in machines {
            let number = Int(machine.shard.rawValue)
            while self.machines.count <= number { self.machines.append(nil) }
            precondition(self.machines[number] == nil, "shard \(number) occurs twice")
            self.machines[number] = machine
        }
        loggedTime = machines.map(\.mark.loggedTime).max() ?? 0
    }

    /// The state machine of a shard.
    package subscript(shard: ShardID) -> ShardStateMachine<Store>? {
        shard.rawValue < machines.count ? machines[Int(shard.rawValue)] : nil
    }

    /// The shards, ascending.
    package var shards: [ShardStateMachine<Store>] { machines.compactMap { $0 } }

    /// Applies the next entry, or goes on with the one that was blocked or stalled.
    ///
    /// Entries of other kinds than `commands` only pass their time on.
    ///
    /// - Parameters:
    ///   - entry: A committed entry whose checksum was verified, at or after the one before.
    ///   - wantsReplies: Whether anybody waits for replies; the same for each attempt.
    /// - Returns: How far it came.
    /// - Throws: why the group must stop applying.
    package func apply(_ entry: Entry, wantsReplies: Bool) throws(ApplyError) -> Progress {
        if writtenCount < 0 || preparedIndex != entry.index {
            writtenCount = -1
            let missing = try entry.payload.withUnsafeBufferPointer { (payload) throws(ApplyError) in
                try prepare(entry, UnsafeRawBufferPointer(payload), wantsReplies)
            }
            guard missing.isEmpty else { return .blocked(missing) }
            writtenCount = 0
            preparedIndex = entry.index
            for machine in touched { machine.announce(to: &prefetch) }
            prefetch.run()
        }
        while writtenCount < touched.count {
            do {
                try touched[writtenCount].commit()
            } catch .memtablesFull {
                return .stalled
            } catch {
                throw .storage(touched[writtenCount].shard, error)
            }
            writtenCount += 1
        }
        writtenCount = -1
        loggedTime = max(loggedTime, entry.time)
        return .applied
    }

    /// Takes rows that were read for the blocked entry.
    package func deliver(_ rows: FetchedRows, for shard: ShardID) {
        self[shard]?.deliver(rows)
    }

    /// Hands over the replies to the entry applied last, by the commands' ordinals, shard by shard.
    ///
    /// Entries that were in already have none. Valid until the next `apply`.
    package func forEachReply(_ body: (_ ordinal: UInt32, _ reply: borrowing Reply) -> Void) {
        for machine in touched { machine.forEachReply(body) }
        for stray in strays {
            body(stray.ordinal, .failed(ServiceError(.moving, "shard \(stray.shard) is not of this group; retry")))
        }
    }

    private func prepare(
        _ entry: Entry,
        _ payload: UnsafeRawBufferPointer,
        _ wantsReplies: Bool
    ) throws(ApplyError) -> [MissingRows<Store>] {
        for machine in touched { machine.commands.removeAll(keepingCapacity: true) }
        touched.removeAll(keepingCapacity: true)
        strays.removeAll()
        guard entry.kind == .commands else { return [] }
        do {
            try distribute(payload, wantsReplies)
        } catch {
            throw .unreadableEntry(index: entry.index, error)
        }
        let stamp = EntryStamp(index: entry.index, term: entry.term, time: entry.time)
        var missing: [MissingRows<Store>] = []
        var next = 0
        while next < touched.count {
            let machine = touched[next]
            switch try machine.prepare(stamp, payload: payload, wantsReplies: wantsReplies) {
            case .ready: next += 1
            case .skipped:
                machine.commands.removeAll(keepingCapacity: true)
                touched.remove(at: next)
            case .blocked(let keys):
                missing.append(MissingRows(shard: machine.shard, store: machine.store, keys: keys))
                next += 1
            }
        }
        return missing
    }

    private func distribute(_ payload: UnsafeRawBufferPointer, _ wantsReplies: Bool) throws(DecodingError) {
        var reader = EntryReader(payload)
        while let command = try reader.next() {
            guard let machine = self[command.shard] else {
                if wantsReplies { strays.append(command) }
                continue
            }
            if machine.commands.isEmpty { touched.append(machine) }
            machine.commands.append(command)
        }
    }
}

/// Rows that must be read before an entry can be applied.
package struct MissingRows<Store: RowStore>: Sendable {
    /// The shard.
    package let shard: ShardID
    let store: Store
    /// The keys of the rows.
    package let keys: [[UInt8]]

    /// Reads the rows, from the disk where need be.
    ///
    /// For a worker thread.
    ///
    /// - Throws: where stored bytes are damaged or a file cannot be read: the shard stops.
    package func fetch() throws(StorageError) -> FetchedRows {
        var fetched = FetchedRows()
        for key in keys {
            var row: [UInt8]?
            _ = try key.withUnsafeBufferPointer { (key) throws(StorageError) in
                try store.withRow(UnsafeRawBufferPointer(key), memoryOnly: false) { row = [UInt8]($0) }
            }
            fetched.rows.updateValue(row, forKey: key)
        }
        return fetched
    }
}
