package import KVEnvironment
package import KVStorage

/// What a tool that makes a tablet takes from its host.
package struct ToolEnvironment {
    /// The files.
    package let fileSystem: any FileSystem
    /// Time: for the creation time in tables.
    package let clock: any Clock
    /// Where uids come from.
    package let randomness: any Randomness

    /// An environment of these.
    package init(fileSystem: any FileSystem, clock: any Clock, randomness: any Randomness) {
        self.fileSystem = fileSystem
        self.clock = clock
        self.randomness = randomness
    }
}

/// A pool that runs jobs when told, in the order given: a tool is one thread.
///
/// SENDABLE: one thread uses it.
package final class StepPool: WorkerPool, @unchecked Sendable {
    private var jobs: [@Sendable () -> Void] = []

    package func submit(_ job: @escaping @Sendable () -> Void) { jobs.append(job) }

    /// Runs jobs until none is left.
    package func runAll() {
        while !jobs.isEmpty {
            let due = jobs
            jobs = []
            for job in due { job() }
        }
    }
}

/// A tablet that a tool writes: everything happens in the tool's one thread.
package struct OfflineTablet {
    /// The tablet.
    package let tablet: Tablet
    /// Where its background work waits to be run.
    package let pool = StepPool()

    /// A batch is written at this size.
    static let batchBytes = 1 << 20

    /// Makes the tablet, or opens the one that was copied there.
    package init(
        _ environment: ToolEnvironment,
        directory: String,
        mark: TabletMark,
        creates: Bool
    ) throws(StorageError) {
        var options = TabletOptions(
            fileSystem: environment.fileSystem,
            directory: directory,
            workers: pool,
            clock: environment.clock,
            randomness: environment.randomness,
            shared: SharedResources(blockCacheBytes: 8 << 20, tablesOpenMax: 64)
        )
        options.memtableBytes = 8 << 20
        // What was in tables stays as it was; what comes is flushed beside it.
        options.compactsAutomatically = false
        options.levelZeroStopAt = .max
        tablet = creates ? try Tablet.create(options, mark: mark) : try Tablet.open(options)
    }

    /// Writes a batch, flushing as needed.
    func write(_ batch: WriteBatch, mark: TabletMark) throws(StorageError) {
        do throws(StorageError) {
            try tablet.write(batch, mark: mark)
        } catch .memtablesFull {
            pool.runAll()
            try tablet.write(batch, mark: mark)
        }
    }

    /// Brings everything into tables and ends the tablet.
    package func finish() throws(StorageError) {
        let result = FlushResult()
        tablet.forceFlush { result.value = $0 }
        pool.runAll()
        switch result.value {
        case .success: break
        case .failure(let error): throw error
        case nil: throw .memtablesFull
        }
        tablet.close()
        pool.runAll()
    }

    /// SENDABLE: one thread uses it.
    private final class FlushResult: @unchecked Sendable {
        var value: Result<TabletMark, StorageError>?
    }
}
