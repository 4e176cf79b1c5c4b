package import KVBase
import KVEnvironment
import Synchronization

/// One LSM tree in one directory: a sorted map of byte keys to byte values that survives crashes as an exact prefix
/// of what was written, named by a mark.
///
/// 1. `write` (home scheduler only) puts a batch into the active memtable and then makes it visible at once. Nothing
///    of it is durable yet: the Raft log is (or the tablet's own log, see `TabletOptions.Durability`).
/// 2. A full memtable is sealed; workers write sealed memtables to level 0, strictly in order. The manifest edit that
///    names the table records the mark at which that memtable was sealed, so after any crash `mark` says exactly what
///    the data holds.
/// 3. Workers compact level 0 into sorted levels, each ten times the one above.
/// 4. Reads hold a view (memtables and version) and never wait for writers. Any thread.
///
/// It never drops data by time, never sleeps, and never returns bytes that failed their checksum.
///
/// Locks, in this order: `background`, then `viewSlot`. Neither is held across I/O or a callback.
// SENDABLE: what is marked "writer" is touched only on the home scheduler; `manifest` only by whoever holds the
// install turn; everything else is in a mutex or atomic.
package final class Tablet: @unchecked Sendable {
    let options: TabletOptions
    let environment: TableEnvironment
    let picker: CompactionPicker
    let snapshots = SnapshotRegistry()
    let visible: Atomic<UInt64>
    let viewSlot: Mutex<ReadView>
    let background: Mutex<BackgroundState>
    let manifest: ManifestStore
    let activeBytes = Atomic<Int>(0)
    let counters = TabletCounters()
    /// Set with `background.state` where writes must stop.
    let refusesWrites = Atomic<Bool>(false)
    /// Finished tables are on their way in: nothing is written meanwhile.
    let isIngesting = Atomic<Bool>(false)
    /// Tables that were taken in and that the writer has not taken notice of yet.
    let ingested = Mutex<Ingested?>(nil)
    /// Told, on whatever thread, when writers may find room again or will find none.
    let roomObserver = Mutex<(@Sendable () -> Void)?>(nil)

    // Writer.
    var active: Memtable
    /// Whether what the next batch looks at was fetched already.
    var isAnnounced = false
    var nextMemtableID: UInt64
    var journal: TabletJournal?

    init(
        options: TabletOptions,
        environment: TableEnvironment,
        manifest: ManifestStore,
        state: BackgroundState,
        active: Memtable,
        lastSequence: UInt64
    ) {
        self.options = options
        self.environment = environment
        self.manifest = manifest
        self.active = active
        picker = CompactionPicker(options: options)
        nextMemtableID = active.id + 1
        visible = Atomic(lastSequence)
        viewSlot = Mutex(
            ReadView(memtables: [active] + state.sealed.reversed(), version: state.version)
        )
        background = Mutex(state)
        options.shared.addTablet(1)
    }

    deinit { options.shared.addTablet(-1) }

    /// The mark of the last batch.
    ///
    /// Home scheduler only.
    package var mark: TabletMark { ingested.withLock { $0?.mark } ?? active.mark }

    /// The mark that a crash now would come back to (external durability).
    ///
    /// Any thread.
    package var durableMark: TabletMark { background.withLock { $0.durableMark } }

    /// The applied index of the oldest batch that is not in tables yet; nil where all are.
    ///
    /// The Raft log must keep from there on. Home scheduler only.
    package var firstUnflushedIndex: LogIndex? {
        background.withLock { $0.sealed.first { !$0.isClean }?.firstIndex } ?? active.firstIndex
    }

    /// How many bytes the oldest memtable that holds unflushed batches takes, and since when it has held them by the
    /// monotonic clock; nil where everything is flushed.
    ///
    /// Home scheduler only.
    package var oldestUnflushed: (bytes: Int, sinceNanoseconds: UInt64)? {
        let oldest = background.withLock { $0.sealed.first { !$0.isClean } } ?? active
        return oldest.isClean ? nil : (oldest.used, oldest.bornNanoseconds)
    }

    /// How the background work fares.
    ///
    /// Any thread.
    package var state: TabletState { background.withLock { $0.state } }

    /// Whether a flush waits for space on the disk.
    ///
    /// Any thread.
    package var isDiskFull: Bool { state == .diskFull }

    /// The tablet's random identity, drawn when it was made.
    ///
    /// Any thread.
    package var identity: UInt64 { background.withLock { $0.identity } }

    /// The last sequence that readers see.
    ///
    /// Any thread.
    package var lastSequence: UInt64 { visible.load(ordering: .acquiring) }

    /// From 0 (idle) to 1: at 1 the proposer must stop, or writes will fail with `memtablesFull`.
    ///
    /// Any thread.
    package var pressure: Double {
        let (sealed, levelZero) = background.withLock { ($0.sealed.count, $0.version.levels[0].files.count) }
        let fill = min(1, Double(activeBytes.load(ordering: .relaxed)) / Double(options.memtableBytes))
        let memtables = sealed >= options.sealedMax ? 1 : (Double(sealed) + fill) / Double(options.sealedMax + 1)
        let slow = Double(options.levelZeroSlowAt)
        let tables = (Double(levelZero) - slow) / max(1, Double(options.levelZeroStopAt) - slow)
        return max(memtables, min(1, max(0, tables)), options.shared.pressure)
    }

    /// Replaces the view after memtables or version changed.
    func publishView(_ state: borrowing BackgroundState, active: Memtable) {
        let view = ReadView(memtables: [active] + state.sealed.reversed(), version: state.version)
        // The old view may be the last holder of tables: it is let go after the lock.
        let old = viewSlot.withLock { slot -> ReadView in
            defer { slot = view }
            return slot
        }
        withExtendedLifetime(old) {}
    }

    var currentView: ReadView { viewSlot.withLock { $0 } }
}

/// What the background work shares; guarded by `Tablet.background`.
struct BackgroundState: Sendable {
    var version: Version
    /// Oldest first.
    var sealed: [Memtable] = []
    /// The memtable that takes writes now; what views show first.
    var active: Memtable
    var durableMark: TabletMark
    var durableSequence: UInt64
    var nextFileNumber: UInt64
    var nextJob: UInt64 = 1
    var identity: UInt64
    var logNumber: UInt64 = 0
    var isFlushing = false
    var isCompacting = false
    var isInstalling = false
    var installs: [PendingInstall] = []
    var state = TabletState.healthy
    /// No flush or install is tried before this time.
    var retryAt: UInt64 = 0
    var compactionRetryAt: UInt64 = 0
    /// Flushes and installs that failed since one succeeded.
    var failuresInRow = 0
    /// When a memtable was last sealed.
    var sealedAtNanoseconds: UInt64 = 0
    /// Open has not finished: no job starts.
    var isRecovering = true
    var isClosing = false
    var isClosed = false
    var closeCompletion: (@Sendable () -> Void)?
    /// Waiting until the memtable with this id is in tables.
    var flushWaiters: [FlushWaiter] = []
    var compactsAll = false
    var compactAllWaiters: [@Sendable (Result<Void, StorageError>) -> Void] = []

    /// Whether no job runs.
    ///
    /// A flush or compaction whose edit waits for its retry is not running.
    var isIdle: Bool {
        !isInstalling && (!isFlushing || installs.contains { $0.memtable != nil })
            && (!isCompacting || installs.contains { $0.memtable == nil })
    }
}

/// Somebody who waits until a memtable, and so all before it, is in tables.
struct FlushWaiter: Sendable {
    let memtableID: UInt64
    /// Called with the lock not held; with the version just after that memtable came in.
    let completion: @Sendable (Result<FlushedState, StorageError>) -> Void
}

/// A tablet's durable state at one moment.
struct FlushedState: Sendable {
    let version: Version
    let mark: TabletMark
    let lastSequence: UInt64
}

/// An edit on its way into the manifest.
struct PendingInstall: Sendable {
    let edit: VersionEdit
    let added: [(level: Int, file: TableFile)]
    /// The memtable whose content the edit makes durable.
    let memtable: Memtable?
    /// What readers see once the edit counts, where that is more than before.
    var visibleSequence: UInt64?
    let completion: @Sendable (Result<Void, StorageError>) -> Void
}
