import Glibc
package import KVEnvironment

/// A scheduler that is one thread of its own.
///
/// 1. `execute` puts the job at the end of a list under a mutex and wakes the thread where it sleeps.
/// 2. The thread takes the whole list at once, runs it without the mutex, then the timers that are due, and so on.
/// 3. `stop` lets the jobs that were given before it finish, drops timers, and waits for the thread. Jobs given later are dropped.
///
/// The list has no bound of its own: whoever gives jobs bounds what is under way.
// SENDABLE: what changes is touched under `gate` only; `thread` is written once, before `init` returns, and read by `stop`.
package final class ThreadScheduler: Scheduler, @unchecked Sendable {
    private let gate = ThreadGate()
    private var jobs: [@Sendable () -> Void] = []
    private var timers = TimerHeap()
    private var isStopping = false
    private var isJoined = false
    private var isSleeping = false
    private var identity: pthread_t?
    private var thread = pthread_t()

    /// Starts the thread, named `name`.
    package init(name: String) {
        thread = startThread(name) { [self] in run() }
    }

    package func execute(_ job: @escaping @Sendable () -> Void) {
        gate.lock()
        guard !isStopping else { return gate.unlock() }
        jobs.append(job)
        let sleeps = isSleeping
        // Once is enough, however many jobs come before it is awake.
        isSleeping = false
        gate.unlock()
        // After the lock is free, or the woken thread would wait for it at once.
        if sleeps { gate.signal() }
    }

    package func schedule(
        afterNanoseconds nanoseconds: UInt64,
        _ job: @escaping @Sendable () -> Void
    ) -> any ScheduledJob {
        let (deadline, overflow) = now(CLOCK_MONOTONIC).addingReportingOverflow(nanoseconds)
        let timer = ThreadTimer(deadline: overflow ? .max : deadline, job: job, owner: self)
        gate.lock()
        defer { gate.unlock() }
        guard !isStopping else { return timer }
        timers.insert(timer)
        if isSleeping { gate.signal() }
        return timer
    }

    package var isCurrent: Bool {
        gate.lock()
        defer { gate.unlock() }
        guard let identity else { return false }
        return pthread_equal(identity, pthread_self()) != 0
    }

    /// Lets the jobs given so far finish, ends the thread and waits for it.
    ///
    /// Idempotent.
    /// - Precondition: not called from a job of this scheduler.
    package func stop() {
        precondition(!isCurrent, "a scheduler cannot wait for itself")
        gate.lock()
        isStopping = true
        let isFirst = !isJoined
        isJoined = true
        gate.signal()
        gate.unlock()
        if isFirst { pthread_join(thread, nil) }
    }

    fileprivate func forget(_ timer: ThreadTimer) {
        gate.lock()
        defer { gate.unlock() }
        timer.job = nil
        timers.remove(timer)
    }

    private func run() {
        gate.lock()
        identity = pthread_self()
        var taken: [@Sendable () -> Void] = []
        while true {
            swap(&taken, &jobs)
            if !isStopping {
                let moment = timers.isEmpty ? 0 : now(CLOCK_MONOTONIC)
                while let timer = timers.popDue(at: moment) {
                    if let job = timer.job { taken.append(job) }
                    timer.job = nil
                }
            }
            if taken.isEmpty {
                if isStopping { break }
                isSleeping = true
                gate.wait(until: timers.earliest)
                isSleeping = false
                continue
            }
            gate.unlock()
            for job in taken { job() }
            taken.removeAll(keepingCapacity: true)
            gate.lock()
        }
        timers = TimerHeap()
        identity = nil
        gate.unlock()
    }
}

/// A job that waits for its time.
// SENDABLE: `job` and `place` are touched under the owner's gate only.
private final class ThreadTimer: ScheduledJob, @unchecked Sendable {
    let deadline: UInt64
    var job: (@Sendable () -> Void)?
    /// Where it stands in the heap; -1 outside.
    var place = -1
    var sequence: UInt64 = 0
    private weak var owner: ThreadScheduler?

    init(deadline: UInt64, job: @escaping @Sendable () -> Void, owner: ThreadScheduler) {
        self.deadline = deadline
        self.job = job
        self.owner = owner
    }

    func cancel() { owner?.forget(self) }

    func isBefore(_ other: ThreadTimer) -> Bool {
        deadline != other.deadline ? deadline < other.deadline : sequence < other.sequence
    }
}

/// A binary heap of timers, earliest first; equal times in the order they were made.
private struct TimerHeap {
    private var timers: [ThreadTimer] = []
    private var nextSequence: UInt64 = 0

    var isEmpty: Bool { timers.isEmpty }
    var earliest: UInt64? { timers.first?.deadline }

    mutating func insert(_ timer: ThreadTimer) {
        timer.sequence = nextSequence
        nextSequence += 1
        timer.place = timers.count
        timers.append(timer)
        rise(timer.place)
    }

    mutating func popDue(at moment: UInt64) -> ThreadTimer? {
        guard let first = timers.first, first.deadline <= moment else { return nil }
        remove(first)
        return first
    }

    mutating func remove(_ timer: ThreadTimer) {
        let place = timer.place
        guard place >= 0 else { return }
        timer.place = -1
        let last = timers.removeLast()
        guard place < timers.count else { return }
        timers[place] = last
        last.place = place
        sink(place)
        rise(last.place)
    }

    private mutating func rise(_ start: Int) {
        var place = start
        while place > 0 {
            let parent = (place - 1) / 2
            guard timers[place].isBefore(timers[parent]) else { return }
            exchange(place, parent)
            place = parent
        }
    }

    private mutating func sink(_ start: Int) {
        var place = start
        while true {
            var least = place
            for child in [2 * place + 1, 2 * place + 2]
            where child < timers.count && timers[child].isBefore(timers[least]) {
                least = child
            }
            guard least != place else { return }
            exchange(place, least)
            place = least
        }
    }

    private mutating func exchange(_ a: Int, _ b: Int) {
        timers.swapAt(a, b)
        timers[a].place = a
        timers[b].place = b
    }
}
