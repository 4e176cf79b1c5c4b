import KVEnvironment
import KVSimulation
import Testing

/// Virtual time: order, timers, lives.
struct SimulatedWorldTests {
    @Test func `jobs of one scheduler run in the order given and never inside execute`() {
        let world = SimulatedWorld(seed: 1)
        let scheduler = world.makeScheduler("a", in: SimulatedDomain("n1"))
        let order = Recorder()
        for number in 0..<10 { scheduler.execute { order.note("\(number)") } }
        #expect(order.notes.isEmpty)
        world.runUntilIdle()
        #expect(order.notes == (0..<10).map(String.init))
    }

    @Test func `schedulers interleave as the seed says, the same each time`() {
        func run(_ seed: UInt64) -> [String] {
            let world = SimulatedWorld(seed: seed)
            let domain = SimulatedDomain("n1")
            let order = Recorder()
            for name in ["a", "b"] {
                let scheduler = world.makeScheduler(name, in: domain)
                for number in 0..<8 { scheduler.execute { order.note("\(name)\(number)") } }
            }
            world.runUntilIdle()
            return order.notes
        }
        #expect(run(5) == run(5))
        #expect((0..<8).contains { run($0) != run(99) })
    }

    @Test func `a timer fires at its virtual time unless cancelled`() {
        let world = SimulatedWorld(seed: 1)
        let scheduler = world.makeScheduler("a", in: SimulatedDomain("n1"))
        let order = Recorder()
        _ = scheduler.schedule(afterNanoseconds: 200) { order.note("late \(world.now)") }
        _ = scheduler.schedule(afterNanoseconds: 100) { order.note("early \(world.now)") }
        let cancelled = scheduler.schedule(afterNanoseconds: 150) { order.note("never") }
        cancelled.cancel()
        world.run(until: 1000)
        #expect(order.notes == ["early 100", "late 200"])
        #expect(world.now == 1000)
    }

    @Test func `nothing of a killed life runs`() {
        let world = SimulatedWorld(seed: 1)
        let domain = SimulatedDomain("n1")
        let scheduler = world.makeScheduler("a", in: domain)
        let pool = world.makeWorkerPool("p", in: domain)
        let order = Recorder()
        scheduler.execute { order.note("job") }
        pool.submit { order.note("work") }
        _ = scheduler.schedule(afterNanoseconds: 5) { order.note("timer") }
        domain.kill()
        scheduler.execute { order.note("later job") }
        world.runUntilIdle()
        #expect(order.notes.isEmpty)
    }

    @Test func `a paused life goes on where it stopped`() {
        let world = SimulatedWorld(seed: 1)
        let domain = SimulatedDomain("n1")
        let scheduler = world.makeScheduler("a", in: domain)
        let order = Recorder()
        domain.pause()
        scheduler.execute { order.note("1") }
        scheduler.execute { order.note("2") }
        _ = scheduler.schedule(afterNanoseconds: 5) { order.note("timer") }
        world.run(until: 100)
        #expect(order.notes.isEmpty)
        domain.resume()
        world.runUntilIdle()
        #expect(order.notes.sorted() == ["1", "2", "timer"])
    }

    @Test func `a scheduler knows when it runs`() {
        let world = SimulatedWorld(seed: 1)
        let domain = SimulatedDomain("n1")
        let a = world.makeScheduler("a", in: domain)
        let b = world.makeScheduler("b", in: domain)
        let order = Recorder()
        a.execute { order.note("\(a.isCurrent) \(b.isCurrent)") }
        world.runUntilIdle()
        #expect(order.notes == ["true false"])
        #expect(!a.isCurrent)
    }

    @Test func `the cost of a job delays it in virtual time`() {
        let world = SimulatedWorld(seed: 1)
        let scheduler = world.makeScheduler("disk", in: SimulatedDomain("n1"))
        scheduler.jobCost = { 100 }
        let order = Recorder()
        for _ in 0..<3 { scheduler.execute { order.note("\(world.now)") } }
        world.runUntilIdle()
        #expect(order.notes == ["100", "200", "300"])
    }

    @Test func `a drifting clock never goes back`() {
        let world = SimulatedWorld(seed: 1)
        let clock = SimulatedClock(world, boot: 0)
        clock.rate = 2
        world.run(until: 100)
        #expect(clock.monotonicNanoseconds == 200)
        clock.rate = 0.5
        world.run(until: 200)
        #expect(clock.monotonicNanoseconds == 250)
    }
}

/// What happened, in order.
// SENDABLE: used in the simulator's one thread.
private final class Recorder: @unchecked Sendable {
    private(set) var notes: [String] = []
    func note(_ text: String) { notes.append(text) }
}
