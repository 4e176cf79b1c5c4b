import KVEnvironment
import NIOCore

/// A NIO event loop as the home scheduler: groups and the connections of that loop then share one thread.
///
/// SENDABLE: an event loop may be used from any thread, and that is all this holds.
final class NIOScheduler: Scheduler, @unchecked Sendable {
    private let loop: any EventLoop

    init(_ loop: any EventLoop) {
        self.loop = loop
    }

    var isCurrent: Bool { loop.inEventLoop }

    func execute(_ job: @escaping @Sendable () -> Void) {
        loop.execute(job)
    }

    func schedule(afterNanoseconds nanoseconds: UInt64, _ job: @escaping @Sendable () -> Void) -> any ScheduledJob {
        NIOScheduledJob(loop.scheduleTask(in: .nanoseconds(Int64(clamping: nanoseconds)), job))
    }
}

private final class NIOScheduledJob: ScheduledJob {
    private let task: Scheduled<Void>

    init(_ task: Scheduled<Void>) {
        self.task = task
    }

    func cancel() {
        task.cancel()
    }
}
