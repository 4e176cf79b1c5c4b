package import KVEnvironment

/// Where a node runs: the real machine, or the simulator's.
package struct NodeEnvironment: Sendable {
    /// Files.
    package var fileSystem: any FileSystem
    /// Where all state is touched.
    package var home: any Scheduler
    /// Where the log is written and synced.
    package var logLane: any Scheduler
    /// Threads for block reads.
    package var readers: any WorkerPool
    /// Threads for flush, compaction, checkpoints and the preparation of log segments; lower priority.
    package var background: any WorkerPool
    /// Time.
    package var clock: any Clock
    /// Chance.
    package var randomness: any Randomness

    /// An environment with these parts.
    package init(
        fileSystem: any FileSystem,
        home: any Scheduler,
        logLane: any Scheduler,
        readers: any WorkerPool,
        background: any WorkerPool,
        clock: any Clock,
        randomness: any Randomness
    ) {
        self.fileSystem = fileSystem
        self.home = home
        self.logLane = logLane
        self.readers = readers
        self.background = background
        self.clock = clock
        self.randomness = randomness
    }
}
