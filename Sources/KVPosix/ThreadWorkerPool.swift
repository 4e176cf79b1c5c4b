import Glibc
import KVEnvironment

/// A fixed number of threads that take jobs from one list.
///
/// The list has no bound of its own: whoever submits bounds what is under way.
// SENDABLE: what changes is touched under `gate` only; `threads` is written before `init` returns and read by the one `stop`.
package final class ThreadWorkerPool: WorkerPool, @unchecked Sendable {
    private let gate = ThreadGate()
    private var jobs: [@Sendable () -> Void] = []
    /// How many of `jobs`, from the front, were taken.
    private var takenCount = 0
    private var isStopping = false
    private var isJoined = false
    private var threads: [pthread_t] = []

    /// Starts `count` threads, named `name`.
    ///
    /// `niceness` (0 … 19) lowers their priority, each thread's own on Linux.
    /// - Precondition: `count > 0`.
    package init(name: String, count: Int, niceness: Int32 = 0) {
        precondition(count > 0, "a pool of \(count) threads runs nothing")
        precondition((0...19).contains(niceness), "niceness \(niceness) is outside 0 … 19")
        for number in 0..<count {
            threads.append(
                startThread("\(name)-\(number)") { [self] in
                    // Who 0 is the calling thread. A refusal costs speed only.
                    if niceness > 0 { _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, niceness) }
                    run()
                }
            )
        }
    }

    package func submit(_ job: @escaping @Sendable () -> Void) {
        gate.lock()
        defer { gate.unlock() }
        guard !isStopping else { return }
        jobs.append(job)
        gate.signal()
    }

    /// Lets the jobs submitted so far finish, ends the threads and waits for them.
    ///
    /// Jobs submitted later are dropped. Idempotent.
    /// - Precondition: not called from a job of this pool.
    package func stop() {
        gate.lock()
        isStopping = true
        let isFirst = !isJoined
        isJoined = true
        gate.broadcast()
        gate.unlock()
        if isFirst {
            for thread in threads { pthread_join(thread, nil) }
        }
    }

    private func run() {
        while let job = take() { job() }
    }

    private func take() -> (@Sendable () -> Void)? {
        gate.lock()
        defer { gate.unlock() }
        while takenCount == jobs.count {
            if isStopping { return nil }
            gate.wait()
        }
        let job = jobs[takenCount]
        takenCount += 1
        if takenCount == jobs.count || takenCount >= 1024 {
            jobs.removeFirst(takenCount)
            takenCount = 0
        }
        return job
    }
}
