/// A timer that has not fired yet.
package protocol ScheduledJob: AnyObject, Sendable {
    /// The job will not run, unless it already started. Idempotent.
    func cancel()
}

/// One thing after another: jobs given to a scheduler never overlap and start in the order given.
///
/// A NIO event loop, a thread of its own, or the simulator's virtual time.
package protocol Scheduler: AnyObject, Sendable {
    /// Runs `job` after everything given before. Any thread. Never runs it inside this call.
    func execute(_ job: @escaping @Sendable () -> Void)
    /// Runs `job` no earlier than `nanoseconds` from now. Any thread.
    func schedule(afterNanoseconds nanoseconds: UInt64, _ job: @escaping @Sendable () -> Void) -> any ScheduledJob
    /// Whether the caller runs on this scheduler now.
    var isCurrent: Bool { get }
}

extension Scheduler {
    /// Traps unless the caller runs on this scheduler.
    package func preconditionIsCurrent(_ what: StaticString = "state") {
        precondition(isCurrent, "\(what) touched outside its scheduler")
    }
}

/// A bounded pool of threads for jobs that block: block reads, flushes, compactions.
///
/// Jobs may overlap and finish in any order.
package protocol WorkerPool: AnyObject, Sendable {
    /// Runs `job` on one of the pool's threads. Any thread.
    func submit(_ job: @escaping @Sendable () -> Void)
}
