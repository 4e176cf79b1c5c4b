import KVConfiguration
import KVNode
import KVPosix
import NIOCore

/// The threads, files and clocks of the real machine that a node runs on.
struct Machine {
    let home: any EventLoop
    let environment: NodeEnvironment

    /// How much lower the background threads' priority is.
    private static let backgroundNiceness: Int32 = 10

    init(_ configuration: NodeConfiguration, home: any EventLoop, clock: PosixClock) {
        self.home = home
        environment = NodeEnvironment(
            fileSystem: PosixFileSystem(),
            home: NIOScheduler(home),
            logLane: ThreadScheduler(name: "log"),
            readers: ThreadWorkerPool(name: "read", count: configuration.storage.readThreads),
            background: ThreadWorkerPool(
                name: "background",
                count: configuration.storage.backgroundThreads,
                niceness: Self.backgroundNiceness
            ),
            clock: clock,
            randomness: SystemRandomness()
        )
    }
}
