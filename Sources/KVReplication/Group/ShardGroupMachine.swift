package import KVBase
package import KVEnvironment
package import KVRaft
package import KVService
package import KVStorage

/// The state machine of a group that owns shards: a tablet for each.
///
/// Home scheduler only.
package final class ShardGroupMachine: GroupStateMachine {
    /// The tablets, ascending by shard.
    package private(set) var tablets: [HostedTablet]
    private var applier: EntryApplier<Tablet>
    private let readers: any WorkerPool
    private let home: any Scheduler
    /// A planted bug: the first commands from this entry on are lost; 0 for none.
    package var losesEntry: LogIndex = 0
    /// A planted bug: a snapshot's sessions are lost.
    package var dropsSessions = false

    /// How long an entry waits for memtables to be flushed before it is tried again.
    private static let stallNanoseconds: UInt64 = 5_000_000

    /// A machine over these tablets.
    package init(_ tablets: [HostedTablet], readers: any WorkerPool, home: any Scheduler) {
        self.tablets = tablets
        self.readers = readers
        self.home = home
        applier = Self.applier(over: tablets)
    }

    private static func applier(over tablets: [HostedTablet]) -> EntryApplier<Tablet> {
        EntryApplier(tablets.map { ShardStateMachine(shard: $0.shard, store: $0.tablet, epoch: $0.epoch) })
    }

    package func replace(_ tablets: [HostedTablet]) {
        self.tablets = tablets
        if dropsSessions { for hosted in tablets { Self.dropSessions(of: hosted.tablet) } }
        applier = Self.applier(over: tablets)
    }

    private static func dropSessions(of tablet: Tablet) {
        var batch = WriteBatch()
        batch.deleteRange(RecordRows.resultPrefix, RecordRows.tokenPrefix)
        // Only ever in tests, with memtables that are empty.
        try? tablet.write(batch, mark: tablet.mark)
    }

    package var loggedTime: UInt64 { applier.loggedTime }

    /// Every shard as it is now, held for reading on any thread.
    package func pin() -> [PinnedShard<Tablet>] { applier.shards.map { $0.pin() } }

    package func apply(
        _ entry: Entry,
        wantsReplies: Bool,
        reply: (Int, borrowing Reply) -> Void
    ) throws -> ApplyOutcome {
        if losesEntry > 0, entry.index >= losesEntry {
            losesEntry = 0
            return .done
        }
        switch try applier.apply(entry, wantsReplies: wantsReplies) {
        case .applied:
            if wantsReplies { applier.forEachReply { ordinal, answer in reply(Int(ordinal), answer) } }
            return .done
        case .blocked(let missing): return .blocked { [self] resume in fetch(missing, resume) }
        case .stalled:
            return .blocked { [home] resume in
                _ = home.schedule(afterNanoseconds: Self.stallNanoseconds) { resume(nil) }
            }
        }
    }

    private func fetch(_ missing: [MissingRows<Tablet>], _ resume: @escaping @Sendable ((any Error)?) -> Void) {
        let applier = applier
        readers.submit { [home] in
            do {
                let fetched = try missing.map { ($0.shard, try $0.fetch()) }
                home.execute {
                    for (shard, rows) in fetched { applier.deliver(rows, for: shard) }
                    resume(nil)
                }
            } catch {
                home.execute { resume(error) }
            }
        }
    }

    package func read(
        _ request: RoutedRequest,
        now: UInt64?,
        reply: (borrowing Reply) -> Void
    ) throws -> ReadOutcome {
        guard let machine = applier[request.shard], machine.serves(request.epoch) else {
            reply(.failed(ServiceError(.moving, "shard \(request.shard) is moving or has moved; try again")))
            return .done
        }
        let decoded = try Request(request.bytes)
        let progress = try machine.reader.read(
            decoded,
            loggedTime: loggedTime,
            wallTime: now ?? loggedTime,
            memoryOnly: true,
            reply
        )
        switch progress {
        case .answered: return .done
        case .needsTime: return .needsTime
        case .needsDisk: return .onWorker(machine.reader, loggedTime: loggedTime)
        }
    }
}
