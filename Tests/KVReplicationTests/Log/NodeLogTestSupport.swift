import KVBase
import KVEnvironment
import KVLog
import KVRaft
import KVReplication
import KVSimulation
import Testing

/// A node with nothing but its log, in virtual time on a simulated disk.
///
/// It remembers what was acknowledged, as groups would: entries by group and index, and hard states.
final class LogNode {
    let world: SimulatedWorld
    let disk: SimulatedFileSystem
    var options = NodeLogOptions()
    var cuts: [GroupID: LogCut] = [:]
    /// Whether snapshots that were installed made the cuts.
    var cutsAreInstalled = false

    private(set) var log: NodeLog?
    private(set) var recovered: RecoveredLog?
    private(set) var home: SimulatedScheduler
    private(set) var lane: SimulatedScheduler
    private var pool: SimulatedWorkerPool
    private var domain = SimulatedDomain("n1")
    let seen = Seen()

    /// What the log told, in the simulator's one thread.
    // SENDABLE: the simulator runs in one thread.
    final class Seen: @unchecked Sendable {
        var acknowledged: [GroupID: [LogIndex: Entry]] = [:]
        var states: [GroupID: HardState] = [:]
        var failures: [LogError] = []
        var space: [FileError?] = []
        var order: [Int] = []
    }

    init(seed: UInt64, disk: SimulatedFileSystem? = nil) {
        world = SimulatedWorld(seed: seed)
        self.disk = disk ?? SimulatedFileSystem(seed: seed)
        options.segmentBytes = 4096
        options.retainedBytes = 0
        home = world.makeScheduler("home", in: domain)
        lane = world.makeScheduler("lane", in: domain)
        pool = world.makeWorkerPool("pool", in: domain)
    }

    func start() throws(LogError) {
        let (log, recovered) = try NodeLog.open(
            disk,
            directory: "data/log",
            identity: [7],
            home: home,
            lane: lane,
            pool: pool,
            options: options,
            cuts: cuts.mapValues { ManifestCut($0, isInstalled: cutsAreInstalled) }
        )
        let seen = seen
        log.setEvents(
            NodeLogEvents(failed: { seen.failures.append($0) }, spaceChanged: { seen.space.append($0) })
        )
        self.log = log
        self.recovered = recovered
    }

    /// The process ends without a word; the machine may go with it.
    func kill(_ survival: CrashSurvival?) {
        domain.kill()
        log = nil
        recovered = nil
        if let survival { disk.crash(survival) }
        domain = SimulatedDomain("n1")
        home = world.makeScheduler("home", in: domain)
        lane = world.makeScheduler("lane", in: domain)
        pool = world.makeWorkerPool("pool", in: domain)
    }

    /// Runs on the home scheduler, at the next chance.
    func onHome(_ body: @escaping (NodeLog) -> Void) {
        guard let log else { return }
        let job = Job(body)
        home.execute { job.body(log) }
    }

    /// Appends entries `range` in `term`; acknowledged ones are remembered.
    func append(
        _ group: UInt32,
        _ range: ClosedRange<LogIndex>,
        term: Term = 1,
        size: Int = 50,
        state: HardState? = nil,
        tag: Int = 0
    ) {
        let entries = range.map { entry($0, term: term, size: size) }
        let seen = seen
        onHome { log in
            log.append(
                NodeLogWork(group: GroupID(group), entries: entries, hardState: state) {
                    var known = seen.acknowledged[GroupID(group)] ?? [:]
                    if let first = entries.first?.index { known = known.filter { $0.key < first } }
                    for entry in entries { known[entry.index] = entry }
                    seen.acknowledged[GroupID(group)] = known
                    if let state { seen.states[GroupID(group)] = state }
                    seen.order.append(tag)
                }
            )
        }
    }

    func run() { world.runUntilIdle() }

    func entries(_ group: UInt32, from low: LogIndex? = nil) throws(LogReadError) -> [Entry] {
        guard let log else { return [] }
        var entries: [Entry] = []
        try log.forEachEntry(GroupID(group), from: low ?? log.firstIndex(GroupID(group))) {
            entry throws(LogReadError) in
            entries.append(entry)
            return true
        }
        return entries
    }

    // SENDABLE: the simulator runs in one thread.
    private final class Job: @unchecked Sendable {
        let body: (NodeLog) -> Void
        init(_ body: @escaping (NodeLog) -> Void) { self.body = body }
    }
}

func entry(_ index: LogIndex, term: Term = 1, size: Int = 50) -> Entry {
    let payload = (0..<size).map { UInt8(truncatingIfNeeded: $0 &+ Int(index) &* 3 &+ Int(term)) }
    return Entry(
        index: index,
        term: term,
        kind: .commands,
        time: 1000 + index,
        checksum: CRC32C.checksum(payload),
        payload: payload
    )
}
