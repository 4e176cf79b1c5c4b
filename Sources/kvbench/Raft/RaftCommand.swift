import ArgumentParser

/// `kvbench raft`: the consensus core alone.
struct RaftCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "raft",
        abstract: "Measure the consensus core by itself: three replicas, disks of memory, a network of queues.",
        discussion: """
            A closed loop in one thread: --in-flight requests are under way at any time, each an entry of its own. All three replicas' \
            work is counted, so a node of a cluster has about three times as much room. At the end all must have applied the same.
            """
    )

    @Option(help: "Requests to commit.")
    var requests: UInt64 = 1_000_000
    @Option(help: "Requests under way.")
    var inFlight = 64
    @Option(help: "Bytes of a request.")
    var valueSize = 256
    @Flag(help: "One JSON object.")
    var json = false

    func validate() throws {
        guard requests > 0, (1...65_536).contains(inFlight), (0...65_536).contains(valueSize) else {
            throw ValidationError(
                "--requests and --in-flight (at most 65,536) must be positive, --value-size at most 65,536"
            )
        }
    }

    func run() throws {
        do {
            try show(try measure(), json: json)
        } catch {
            throw reported(error)
        }
    }

    /// Runs it.
    /// - Throws: `BenchmarkError` where nothing is committed any more, or the replicas differ.
    func measure() throws -> RaftReport {
        var trio = try RaftTrio()
        var proposed: UInt64 = 0
        var idleTurns = 0
        let before = ProcessUsage()
        let start = ContinuousClock.now
        while trio.committed < requests {
            let committed = trio.committed
            let room = min(UInt64(inFlight) - (proposed - committed), requests - proposed)
            if room > 0 {
                try trio.propose(Int(room), bytes: valueSize, from: proposed)
                proposed += room
            }
            try trio.turn()
            idleTurns = trio.committed == committed ? idleTurns + 1 : 0
            guard idleTurns < 1_000 else { throw BenchmarkError("nothing is committed after \(committed) requests") }
        }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        let cpu = ProcessUsage().cpuSeconds - before.cpuSeconds
        try trio.settle()
        return RaftReport(
            requests: trio.committed,
            inFlight: inFlight,
            valueSize: valueSize,
            seconds: seconds,
            requestsPerSecond: Double(trio.committed) / seconds,
            cpuMicrosecondsPerRequest: cpu * 1e6 / Double(trio.committed)
        )
    }
}

/// What the core by itself came to.
struct RaftReport: BenchmarkReport {
    var requests: UInt64
    var inFlight: Int
    var valueSize: Int
    var seconds: Double
    var requestsPerSecond: Double
    var cpuMicrosecondsPerRequest: Double

    var text: String {
        "raft: \(requests) requests of \(valueSize) bytes in \(fixed(seconds, 2)) s, \(inFlight) under way: "
            + "\(fixed(requestsPerSecond, 0)) a second, \(fixed(cpuMicrosecondsPerRequest, 2)) µs of processor for each; "
            + "all three replicas applied the same"
    }
}
