import ArgumentParser
import Foundation
import Histogram

/// `kvbench grpc`: load by gRPC calls, on this store or on etcd.
struct GRPCCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "grpc",
        abstract: "Put a load of gRPC calls on this store, or the same on etcd.",
        discussion: """
            A closed loop: as many calls as --in-flight are under way at any time, spread over --connections. HTTP/2 is spoken \
            over plain sockets, a few microseconds a call, so that what is measured is the server.
            """
    )

    @Option(help: "Where to send: HOST:PORT of a node's gRPC listener, or of etcd.")
    var endpoint = "127.0.0.1:9081"
    @Option(help: "What to call: \(CallKind.allCases.map(\.rawValue).joined(separator: ", ")).")
    var call = "put"
    @Option(help: "Connections.")
    var connections = 8
    @Option(help: "Calls under way, all connections together.")
    var inFlight = 64
    @Option(help: "How long to measure, in seconds.")
    var duration = 5.0
    @Option(help: "Seconds of load before the measuring begins.")
    var warmup = 1.0
    @Option(help: "How many different keys there are.")
    var keys: UInt64 = 10_000
    @Option(help: "Bytes of a key.")
    var keySize = 16
    @Option(help: "Bytes of a value.")
    var valueSize = 256
    @Flag(help: "One JSON object.")
    var json = false

    func validate() throws {
        guard CallKind(rawValue: call) != nil else { throw ValidationError("nothing is called '\(call)'") }
        guard connections > 0, connections <= 4_096, inFlight >= connections, inFlight <= 65_536, duration > 0,
            warmup >= 0,
            keys > 0, (8...65_536).contains(keySize), (0...12_000).contains(valueSize), duration + warmup <= 86_400
        else {
            throw ValidationError(
                "counts and times must be positive, --in-flight at least --connections, values at most 12,000"
            )
        }
    }

    func run() throws {
        do {
            guard let kind = CallKind(rawValue: call) else { return }
            let load = try GRPCLoad(self, kind)
            let report = try load.run()
            try show(report, json: json)
            guard report.failed == 0, report.operations > 0 else {
                throw BenchmarkError("\(report.failed) of \(report.operations + report.failed) calls failed")
            }
        } catch {
            throw reported(error)
        }
    }
}

/// What a load of calls came to.
struct GRPCReport: BenchmarkReport {
    var call: String
    var connections: Int
    var inFlight: Int
    var seconds: Double
    var operations: UInt64
    var failed: UInt64
    var opsPerSecond: Double
    var latencyMicroseconds: LoadReport.Latency
    /// How much of its time the generator itself worked.
    var clientBusy: Double

    var text: String {
        let latency = latencyMicroseconds
        return
            "\(call): \(operations) calls in \(fixed(seconds, 2)) s over \(connections) connections, \(inFlight) under way: "
            + "\(fixed(opsPerSecond, 0)) a second; \(failed) failed; p50 \(fixed(latency.p50 / 1_000, 3)) ms, "
            + "p99 \(fixed(latency.p99 / 1_000, 3)) ms; the generator was busy \(fixed(clientBusy * 100, 0)) % of the time"
    }
}
