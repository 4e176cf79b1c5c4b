import NIOCore

/// Runs tasks on an event loop, so that a call, its connection and its answer stay on one thread.
///
/// SENDABLE: an event loop may be used from any thread, and that is all this holds.
final class LoopExecutor: TaskExecutor, @unchecked Sendable {
    private let loop: any EventLoop

    init(_ loop: any EventLoop) { self.loop = loop }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        loop.execute { [self] in job.runSynchronously(on: asUnownedTaskExecutor()) }
    }
}
