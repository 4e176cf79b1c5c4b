/// Virtual time and everything that waits in it, in one thread.
///
/// 1. Each scheduler holds its jobs in the order given and is in the queue of the world once while it has any.
/// 2. `step` takes the earliest event of the world, ties broken by the seed, sets the time to it and runs it.
/// 3. Nothing passes but what the queue says: a run is a function of the seed and of what was put in.
///
/// A `SimulatedDomain` is the life of one node: schedulers and pools made for it fall silent for good when it is killed; a restart
/// makes a new domain.
// SENDABLE: the simulator runs in one thread.
package final class SimulatedWorld: @unchecked Sendable {
    /// The virtual time in nanoseconds since the start of the world.
    package private(set) var now: UInt64 = 0
    /// The world's random numbers.
    package let randomness: SeededRandomness
    /// How many events ran.
    package private(set) var stepCount = 0
    /// The scheduler or pool whose job runs now.
    fileprivate(set) var current: AnyObject?

    private var heap: [Event] = []
    private var nextSequence: UInt64 = 0

    /// A world of this seed.
    package init(seed: UInt64) {
        randomness = SeededRandomness(seed: seed)
    }

    /// How many events wait.
    package var pendingCount: Int { heap.count }

    /// When the next event is due, or nil where none waits.
    package var nextEventTime: UInt64? { heap.first?.time }

    /// A scheduler of `domain`.
    package func makeScheduler(_ name: String, in domain: SimulatedDomain) -> SimulatedScheduler {
        SimulatedScheduler(name: name, world: self, domain: domain)
    }

    /// A pool of `domain`: its jobs run one at a time but in any order.
    package func makeWorkerPool(_ name: String, in domain: SimulatedDomain) -> SimulatedWorkerPool {
        SimulatedWorkerPool(name: name, world: self, domain: domain)
    }

    /// Runs `body` after `nanoseconds` of virtual time, outside any scheduler: for the network and for the test itself.
    package func after(_ nanoseconds: UInt64, _ body: @escaping () -> Void) {
        push(at: now &+ nanoseconds, body)
    }

    /// Runs the earliest event.
    ///
    /// Returns false where none waits.
    @discardableResult
    package func step() -> Bool {
        guard let event = pop() else { return false }
        precondition(event.time >= now, "time would go back from \(now) to \(event.time)")
        now = event.time
        stepCount += 1
        event.body()
        return true
    }

    /// Runs every event up to and including the virtual time `end`, then sets the time to it.
    package func run(until end: UInt64) {
        while let time = nextEventTime, time <= end { step() }
        now = max(now, end)
    }

    /// Runs until `condition` holds, checked before each event.
    /// - Returns: whether it held before no event was left and before `stepsMax` events ran.
    package func run(stepsMax: Int = 1_000_000, until condition: () -> Bool) -> Bool {
        for _ in 0..<stepsMax {
            if condition() { return true }
            if !step() { break }
        }
        return condition()
    }

    /// Runs until no event is left, at most `stepsMax` events.
    ///
    /// Returns whether none is left.
    @discardableResult
    package func runUntilIdle(stepsMax: Int = 1_000_000) -> Bool {
        run(stepsMax: stepsMax) { heap.isEmpty }
    }

    func push(at time: UInt64, _ body: @escaping () -> Void) {
        heap.append(Event(time: time, tieBreak: randomness.next(), sequence: nextSequence, body: body))
        nextSequence += 1
        var place = heap.count - 1
        while place > 0 {
            let parent = (place - 1) / 2
            guard heap[place].isBefore(heap[parent]) else { break }
            heap.swapAt(place, parent)
            place = parent
        }
    }

    func runAsCurrent(_ owner: AnyObject, _ job: () -> Void) {
        let outer = current
        current = owner
        job()
        current = outer
    }

    private func pop() -> Event? {
        guard let first = heap.first else { return nil }
        let last = heap.removeLast()
        guard !heap.isEmpty else { return first }
        heap[0] = last
        var place = 0
        while true {
            var least = place
            for child in [2 * place + 1, 2 * place + 2] where child < heap.count && heap[child].isBefore(heap[least]) {
                least = child
            }
            if least == place { return first }
            heap.swapAt(place, least)
            place = least
        }
    }

    private struct Event {
        let time: UInt64
        let tieBreak: UInt64
        let sequence: UInt64
        let body: () -> Void

        func isBefore(_ other: Event) -> Bool {
            if time != other.time { return time < other.time }
            return tieBreak != other.tieBreak ? tieBreak < other.tieBreak : sequence < other.sequence
        }
    }
}

/// The life of one node between a start and a crash.
// SENDABLE: the simulator runs in one thread.
package final class SimulatedDomain: @unchecked Sendable {
    /// For people.
    package let name: String
    /// Whether jobs of this life still run.
    package private(set) var isAlive = true
    /// Whether the process stands still (SIGSTOP): its jobs wait until it goes on.
    package private(set) var isPaused = false
    private var waiting: [() -> Void] = []

    /// A life that has begun.
    package init(_ name: String) {
        self.name = name
    }

    /// Ends it: jobs and timers that wait never run.
    package func kill() {
        isAlive = false
        waiting = []
    }

    /// Holds every job back from now on.
    package func pause() {
        isPaused = true
    }

    /// Lets jobs run again, those held back first.
    package func resume() {
        isPaused = false
        let held = waiting
        waiting = []
        for body in held { body() }
    }

    /// Whether an event of this life may run now; where it is paused, `again` is called on resume.
    func admits(again: @escaping () -> Void) -> Bool {
        guard isAlive else { return false }
        guard isPaused else { return true }
        waiting.append(again)
        return false
    }
}
