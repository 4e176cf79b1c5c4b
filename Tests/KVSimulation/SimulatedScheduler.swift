package import KVEnvironment

/// A scheduler in virtual time: one job after another, in the order given.
// SENDABLE: the simulator runs in one thread.
package final class SimulatedScheduler: Scheduler, @unchecked Sendable {
    /// For people.
    package let name: String
    /// Virtual nanoseconds that pass before each job starts: how busy or slow this thread is.
    ///
    /// 0 unless set.
    package var jobCost: () -> UInt64 = { 0 }
    /// How many jobs ran.
    package private(set) var jobCount = 0

    private let world: SimulatedWorld
    private let domain: SimulatedDomain
    private var jobs: [@Sendable () -> Void] = []
    private var isQueued = false

    init(name: String, world: SimulatedWorld, domain: SimulatedDomain) {
        self.name = name
        self.world = world
        self.domain = domain
    }

    package func execute(_ job: @escaping @Sendable () -> Void) {
        guard domain.isAlive else { return }
        jobs.append(job)
        queueIfNeeded()
    }

    package func schedule(
        afterNanoseconds nanoseconds: UInt64,
        _ job: @escaping @Sendable () -> Void
    ) -> any ScheduledJob {
        let timer = SimulatedTimer(job)
        world.push(at: world.now &+ nanoseconds) { [self] in timerFired(timer) }
        return timer
    }

    package var isCurrent: Bool { world.current === self }

    private func timerFired(_ timer: SimulatedTimer) {
        guard !timer.isCancelled else { return }
        guard domain.admits(again: { [self] in timerFired(timer) }) else { return }
        // A cancel that comes while the job waits behind others still counts.
        execute { timer.run() }
    }

    private func queueIfNeeded() {
        guard !isQueued, !jobs.isEmpty else { return }
        isQueued = true
        world.push(at: world.now &+ jobCost()) { [self] in runOne() }
    }

    private func runOne() {
        guard domain.admits(again: { [self] in runOne() }) else { return }
        isQueued = false
        let job = jobs.removeFirst()
        jobCount += 1
        world.runAsCurrent(self, job)
        queueIfNeeded()
    }
}

/// A job that waits for its virtual time.
// SENDABLE: the simulator runs in one thread.
private final class SimulatedTimer: ScheduledJob, @unchecked Sendable {
    private var job: (@Sendable () -> Void)?

    init(_ job: @escaping @Sendable () -> Void) {
        self.job = job
    }

    var isCancelled: Bool { job == nil }

    func cancel() { job = nil }

    func run() {
        let job = self.job
        self.job = nil
        job?()
    }
}

/// A pool in virtual time: each job is an event of its own, so that they finish in any order that the seed says.
// SENDABLE: the simulator runs in one thread.
package final class SimulatedWorkerPool: WorkerPool, @unchecked Sendable {
    /// For people.
    package let name: String
    /// Virtual nanoseconds that pass before each job starts.
    ///
    /// 0 unless set.
    package var jobCost: () -> UInt64 = { 0 }

    private let world: SimulatedWorld
    private let domain: SimulatedDomain

    init(name: String, world: SimulatedWorld, domain: SimulatedDomain) {
        self.name = name
        self.world = world
        self.domain = domain
    }

    package func submit(_ job: @escaping @Sendable () -> Void) {
        world.push(at: world.now &+ jobCost()) { [self] in run(job) }
    }

    private func run(_ job: @escaping @Sendable () -> Void) {
        guard domain.admits(again: { [self] in run(job) }) else { return }
        world.runAsCurrent(self, job)
    }
}

/// A clock in virtual time, with an error of its own.
// SENDABLE: the simulator runs in one thread.
package final class SimulatedClock: Clock, @unchecked Sendable {
    private let world: SimulatedWorld
    /// How fast it runs against the world: 1 is right, 1.01 gains 1 %.
    ///
    /// The shown time never goes back when it changes.
    package var rate: Double = 1 {
        willSet { rebase() }
    }
    /// What the wall clock shows beyond the time since boot, in milliseconds; set it to make the wall clock jump.
    package var wallOffsetMilliseconds: UInt64
    private var baseWorld: UInt64 = 0
    private var baseShown: UInt64

    /// A right clock; `boot` nanoseconds have passed since boot when the world starts.
    package init(_ world: SimulatedWorld, boot: UInt64 = 1_000_000_000, wallMilliseconds: UInt64 = 1_700_000_000_000) {
        self.world = world
        baseShown = boot
        wallOffsetMilliseconds = wallMilliseconds
    }

    package var monotonicNanoseconds: UInt64 {
        baseShown + UInt64(Double(world.now - baseWorld) * rate)
    }

    package var wallMilliseconds: UInt64 { wallOffsetMilliseconds &+ monotonicNanoseconds / 1_000_000 }

    private func rebase() {
        baseShown = monotonicNanoseconds
        baseWorld = world.now
    }
}
