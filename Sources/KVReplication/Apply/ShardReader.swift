package import KVBase
package import KVService
package import KVStorage

/// Reads one shard's rows.
///
/// Any thread: it holds nothing but the shard's number and its tablet.
package struct ShardReader<Store: RowStore>: Sendable {
    /// The shard.
    package let shard: ShardID
    /// Its tablet.
    package let store: Store

    /// A reader of a shard's tablet.
    package init(shard: ShardID, store: Store) {
        self.shard = shard
        self.store = store
    }

    /// How far a read came.
    package enum Progress: Sendable, Equatable {
        /// The reply was handed over.
        case answered
        /// A block must be read: try again on a worker without `memoryOnly`.
        case needsDisk
        /// The key expired by the leader's clock but not yet by the log: log the time first, then try again.
        case needsTime
    }

    /// Answers a get or a head.
    ///
    /// - Parameters:
    ///   - request: The request; another operation is answered with an error.
    ///   - loggedTime: The time of the last applied entry: what it calls expired is expired for everybody, for ever.
    ///   - wallTime: The leader's clock; a stale read passes `loggedTime`.
    ///   - memoryOnly: Whether to give up where a block would have to be read.
    ///   - body: Called with the reply, whose value is valid during the call only; once where the result is `answered`, else never.
    /// - Returns: Whether it was answered, and if not what is needed.
    /// - Throws: where a row is damaged or a file cannot be read.
    package func read(
        _ request: Request,
        loggedTime: UInt64,
        wallTime: UInt64,
        memoryOnly: Bool,
        _ body: (borrowing Reply) -> Void
    ) throws(ApplyError) -> Progress {
        var wantsValue = false
        switch request.body {
        case .get: wantsValue = true
        case .head: break
        default:
            body(.failed(ServiceError(.badRequest, "operation \(request.operation) is no read")))
            return .answered
        }
        var progress = Progress.answered
        var damage: DecodingError?
        let presence = try withRow(request.key, memoryOnly) { row in
            do throws(DecodingError) {
                let stored = try StoredValue(row)
                if stored.isExpired(at: loggedTime) {
                    body(Reply(.absent))
                } else if stored.isExpired(at: wallTime) {
                    progress = .needsTime
                } else {
                    body(
                        Reply(
                            .found,
                            version: stored.version,
                            expiresAt: stored.expiresAt,
                            integer: Int64(stored.bytes.count),
                            value: wantsValue ? stored.bytes : nil
                        )
                    )
                }
            } catch {
                damage = error
            }
        }
        if let damage { throw .damagedRow(shard, damage) }
        switch presence {
        case .found: return progress
        case .needsDisk: return .needsDisk
        case .absent:
            body(Reply(.absent))
            return .answered
        }
    }

    private func withRow(
        _ userKey: UnsafeRawBufferPointer,
        _ memoryOnly: Bool,
        _ body: (UnsafeRawBufferPointer) -> Void
    ) throws(ApplyError) -> RowPresence {
        // The row's key is built on the stack: a read allocates nothing here.
        let result = withUnsafeTemporaryAllocation(byteCount: userKey.count + 1, alignment: 1) {
            key -> Result<RowPresence, StorageError> in
            key[0] = TabletRows.userPrefix
            UnsafeMutableRawBufferPointer(rebasing: key[1...]).copyMemory(from: userKey)
            do throws(StorageError) {
                return .success(try store.withRow(UnsafeRawBufferPointer(key), memoryOnly: memoryOnly, body))
            } catch {
                return .failure(error)
            }
        }
        switch result {
        case .success(let presence): return presence
        case .failure(let error): throw .storage(shard, error)
        }
    }
}

/// One shard's rows at one applied index.
///
/// Made on the home scheduler, read on any thread; let go of it soon: the tablet keeps what it replaced since.
package struct PinnedShard<Store: RowStore>: Sendable {
    let reader: ShardReader<Store>
    /// How far the shard was.
    package let mark: TabletMark
    let snapshot: Store.Snapshot

    /// The shard.
    package var shard: ShardID { reader.shard }
}

extension ShardStateMachine {
    /// A reader of this shard, for any thread.
    package var reader: ShardReader<Store> { ShardReader(shard: shard, store: store) }

    /// This shard as it is now, held for reading: its rows and the mark that they are at.
    ///
    /// Home scheduler only.
    package func pin() -> PinnedShard<Store> {
        PinnedShard(reader: reader, mark: mark, snapshot: store.snapshot())
    }

    /// Whether requests that were routed by `epoch` are served here now.
    package func serves(_ epoch: Epoch) -> Bool { epoch == mark.epoch && !mark.flags.contains(.frozen) }
}
