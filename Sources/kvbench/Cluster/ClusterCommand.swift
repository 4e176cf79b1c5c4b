import ArgumentParser
import Foundation

/// `kvbench cluster`: load on a cluster over the Redis protocol.
struct ClusterCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cluster",
        abstract: "Put a load on a cluster over the Redis protocol and measure latency.",
        discussion: """
            Without --rate each connection sends as soon as it has room (closed loop). With it requests are due at equal \
            distances (open loop), and latency counts from when a request was due, sent or not: a stall shows. \
            docs/operations/benchmarks.md says how to read the figures.
            """
    )

    @Option(help: "Where the nodes are, with commas: HOST:PORT,…; connections are spread over them.")
    var endpoints = "127.0.0.1:6401,127.0.0.1:6402,127.0.0.1:6403"
    @Option(help: "Connections, all threads together.")
    var connections = 64
    @Option(help: "Requests under way on one connection (open loop: at most so many).")
    var pipeline: Int?
    @Option(help: "Threads.")
    var threads = 1
    @Option(help: "Requests a second; without it a closed loop.")
    var rate: Double?
    @Option(help: "How long to measure, in seconds.")
    var duration = 10.0
    @Option(help: "How many requests to send, instead of --duration.")
    var requests: UInt64?
    @Option(help: "Seconds of load before the measuring begins.")
    var warmup = 1.0
    @Option(help: "What is drawn how often: put=N,get=N,delete=N.")
    var mix = "put=50,get=50"
    @Option(help: "How many different keys there are.")
    var keys: UInt64 = 100_000
    @Option(help: "Bytes of a key.")
    var keySize = 16
    @Option(help: "How keys are drawn: \(KeyChooser.Order.allCases.map(\.rawValue).joined(separator: ", ")).")
    var distribution = "uniform"
    @Option(help: "Bytes of a value: N, or MIN-MAX drawn evenly.")
    var valueSize = "256"
    @Option(help: "Where random draws start.")
    var seed: UInt64 = 1
    @Option(help: "Seconds after which an unanswered request counts as failed and its connection is closed.")
    var timeout = 10.0
    @Flag(help: "Write every key once before, unmeasured.")
    var fill = false
    @Flag(help: "One JSON object, with a line for each second.")
    var json = false
    @Option(help: "Write each kind's percentile distribution, in HdrHistogram's text form and ms, to FOLDER/KIND.hgrm.")
    var histograms: String?
    @Option(help: "Exit 1 if more requests than this fail.")
    var failedMax: UInt64?

    func validate() throws {
        guard connections > 0, threads > 0, threads <= connections, (pipeline ?? 1) > 0, (pipeline ?? 1) <= 65_536,
            connections <= 65_536, keys > 0, (5...65_536).contains(keySize), duration > 0, warmup >= 0, timeout > 0,
            timeout <= 3_600, duration <= 86_400, warmup <= 86_400, (rate ?? 1) > 0, (rate ?? 1) <= 1e8
        else {
            throw ValidationError("counts, sizes and times must be positive, --threads at most --connections")
        }
        guard KeyChooser.Order(rawValue: distribution) != nil else {
            throw ValidationError("no distribution is named \(distribution)")
        }
        do {
            _ = try OperationMix(mix)
            _ = try sizes()
        } catch {
            throw ValidationError("\(error)")
        }
    }

    func run() throws {
        do {
            let settings = try settings()
            if fill { try fillKeys(settings) }
            let (tally, cpu, wall) = try LoadRun.run(settings)
            let report = LoadReport(settings, tally, cpuSeconds: cpu, wallSeconds: wall)
            try show(report, json: json)
            if let histograms { try write(tally, to: histograms) }
            guard report.operations > 0 else { throw BenchmarkError("no request succeeded") }
            if let failedMax, report.failed > failedMax {
                throw BenchmarkError("\(report.failed) requests failed; \(failedMax) may")
            }
        } catch {
            throw reported(error)
        }
    }

    private func fillKeys(_ settings: LoadSettings) throws {
        var filling = settings
        filling.rate = nil
        filling.requests = settings.keys.count
        filling.mix = try OperationMix("put=1")
        filling.keys.order = .sequential
        filling.pipeline = max(settings.pipeline, 16)
        let (tally, _, _) = try LoadRun.run(filling)
        guard tally.failures.isEmpty else { throw BenchmarkError("cannot write the keys first: \(tally.failures)") }
    }

    private func settings() throws -> LoadSettings {
        LoadSettings(
            endpoints: try endpoints.split(separator: ",").map { try LoadEndpoint(String($0)) },
            threads: threads,
            connections: connections,
            // An open loop needs room for what a stall holds up; without pipelining each connection waits for its reply.
            pipeline: pipeline ?? (rate == nil ? 1 : 1_024),
            rate: rate,
            seconds: duration,
            requests: requests,
            warmupSeconds: warmup,
            mix: try OperationMix(mix),
            keys: KeyChooser.Settings(
                order: KeyChooser.Order(rawValue: distribution) ?? .uniform,
                count: keys,
                bytes: keySize
            ),
            valueBytes: try sizes(),
            seed: seed,
            timeoutSeconds: timeout
        )
    }

    private func sizes() throws -> ClosedRange<Int> {
        let sides = valueSize.split(separator: "-").map { Int($0) ?? -1 }
        guard (1...2).contains(sides.count), let low = sides.first, let high = sides.last, low >= 0, low <= high,
            high <= 512 << 20
        else { throw BenchmarkError("'\(valueSize)' is no size; expected N or MIN-MAX") }
        return low...high
    }

    private func write(_ tally: LoadTally, to folder: String) throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        for (kind, counted) in zip(OperationMix.Kind.allCases, tally.kinds) where counted.operations > 0 {
            var text = ""
            counted.latencies.outputPercentileDistribution(to: &text, outputValueUnitScalingRatio: 1_000_000)
            try Data(text.utf8).write(to: URL(filePath: "\(folder)/\(kind.name).hgrm"))
        }
    }
}

extension LoadReport: BenchmarkReport {}
