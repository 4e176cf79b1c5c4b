import ArgumentParser
import Foundation
import KVClient

struct CheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Whether a cluster or a disk is fast enough.",
        subcommands: [CheckPerf.self, CheckDisk.self]
    )
}

/// Times, sorted, and what is asked of them.
struct Latencies: Encodable {
    let count: Int
    let meanMs: Double
    let p50Ms: Double
    let p99Ms: Double
    let maxMs: Double

    init(_ durations: [Duration]) {
        let sorted = durations.map { $0 / .milliseconds(1) }.sorted()
        count = sorted.count
        meanMs = Self.round(sorted.isEmpty ? 0 : sorted.reduce(0, +) / Double(sorted.count))
        let at = { (share: Double) -> Double in
            sorted.isEmpty ? 0 : sorted[min(sorted.count - 1, Int(share * Double(sorted.count)))]
        }
        p50Ms = Self.round(at(0.5))
        p99Ms = Self.round(at(0.99))
        maxMs = Self.round(sorted.last ?? 0)
    }

    static func round(_ milliseconds: Double) -> Double { (milliseconds * 1_000).rounded() / 1_000 }

    var text: String { "mean \(meanMs) ms, half below \(p50Ms) ms, 99% below \(p99Ms) ms, longest \(maxMs) ms" }
}

/// One thing that was checked.
struct CheckFinding: Encodable {
    let name: String
    let pass: Bool
    let text: String

    init(_ name: String, _ pass: Bool, _ text: String) {
        (self.name, self.pass, self.text) = (name, pass, text)
    }

    var line: String { "\(pass ? "PASS" : "FAIL")  \(name): \(text)\n" }
}

private struct CheckPerf: AsyncParsableCommand {
    /// How much is asked of the cluster.
    enum Load: String, ExpressibleByArgument, CaseIterable {
        case s
        case m
        case l
        case xl

        /// Writes a second that the cluster has to take.
        var rate: Int {
            switch self {
            case .s: 150
            case .m: 1_000
            case .l: 8_000
            case .xl: 15_000
            }
        }
        var clients: Int {
            switch self {
            case .s: 16
            case .m: 64
            case .l: 256
            case .xl: 512
            }
        }
    }

    static let configuration = CommandConfiguration(
        commandName: "perf",
        abstract: "Offer the cluster writes at a rate and see whether it keeps up; exit 6 where it does not.",
        discussion: """
            Loads of 150, 1000, 8000 and 15000 writes a second of 256 bytes (s, m, l, xl). Passes where 90% of the rate is reached, nothing \
            fails, 99% are below 50 ms and none takes 500 ms. Writes only keys under --prefix and removes them afterwards.
            """
    )
    @OptionGroup var global: GlobalOptions
    @Option(help: "s, m, l or xl.") var load = Load.s
    @Option(help: ArgumentHelp("For how long.", valueName: "duration")) var duration = TimeSpan(.seconds(10))
    @Option(help: "What the keys it writes start with.") var prefix = "kvctl-check-perf/"

    private struct Payload: Encodable {
        let findings: [CheckFinding]
        let ratePerSecond: Double
        let latency: Latencies
        let failures: [String: Int]
    }

    /// What one client saw.
    private struct Part: Sendable {
        var times: [Duration] = []
        var failures: [String: Int] = [:]
    }

    func validate() throws {
        guard !prefix.isEmpty else { throw ValidationError("--prefix must not be empty: its keys are removed") }
        guard duration.duration <= .seconds(600) else { throw ValidationError("--duration is at most 10m") }
    }

    func run() async throws {
        try await global.perform { session in
            let client = session.client
            // Asked before the load, so that a cluster that is not there is said to be so.
            _ = try await client.get(prefix)
            let start = ContinuousClock.now
            let parts = await parts(client, from: start)
            let elapsed = ContinuousClock.now - start
            try await clean(client)

            let latency = Latencies(parts.flatMap(\.times))
            let failures = parts.reduce(into: [String: Int]()) { $0.merge($1.failures, uniquingKeysWith: +) }
            let rate = (Double(latency.count) / (elapsed / .seconds(1))).rounded()
            let failed = failures.values.reduce(0, +)
            let findings = [
                CheckFinding(
                    "throughput",
                    rate >= Double(load.rate) * 0.9,
                    "\(Int(rate)) of \(load.rate) writes a second"
                ),
                CheckFinding("99% of writes", latency.p99Ms < 50, "\(latency.p99Ms) ms; below 50 ms is asked"),
                CheckFinding("longest write", latency.maxMs < 500, "\(latency.maxMs) ms; below 500 ms is asked"),
                CheckFinding(
                    "failures",
                    failed == 0,
                    "\(failed)" + (failures.keys.sorted().first.map { ": \($0)" } ?? "")
                ),
            ]
            let passes = findings.allSatisfy(\.pass)
            switch global.output {
            case .json:
                try writeJSON(
                    Payload(findings: findings, ratePerSecond: rate, latency: latency, failures: failures),
                    ok: passes,
                    error: passes
                        ? nil
                        : .init(
                            code: "too_slow",
                            message: findings.filter { !$0.pass }.map(\.text).joined(separator: "; ")
                        )
                )
            case .table:
                for finding in findings { write(finding.line) }
                write("\(latency.count) writes: \(latency.text)\n")
            }
            return passes ? .ok : .unhealthy
        }
    }

    /// Each client has its share of the rate, and sends when it is time or as soon as the answer before has come.
    private func parts(_ client: KVClient, from start: ContinuousClock.Instant) async -> [Part] {
        let (clients, length) = (load.clients, duration.duration)
        let interval = Duration.seconds(1) * clients / load.rate
        let value = [UInt8](repeating: 0x76, count: 256)
        return await withTaskGroup(of: Part.self) { group in
            for number in 0..<clients {
                group.addTask { [prefix] in
                    var part = Part()
                    // Spread over the interval, so that they do not all come at once.
                    var next = start + interval * number / clients
                    while next < start + length, !Task.isCancelled {
                        if next > .now { try? await Task.sleep(until: next, tolerance: .zero, clock: .continuous) }
                        let sent = ContinuousClock.now
                        do throws(ClientError) {
                            try await client.put(Array("\(prefix)\(number)/\(part.times.count % 16)".utf8), value)
                            part.times.append(.now - sent)
                        } catch {
                            part.failures["\(error)", default: 0] += 1
                        }
                        next += interval
                        // A cluster that is too slow is not sent what it should have had earlier, all at once.
                        if .now - next > .seconds(1) { next = .now }
                    }
                    return part
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
    }

    private func clean(_ client: KVClient) async throws {
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<load.clients {
                group.addTask { [prefix] in
                    for place in 0..<16 {
                        // What stays behind is overwritten by the next check.
                        _ = try? await client.delete(Array("\(prefix)\(number)/\(place)".utf8))
                    }
                }
            }
        }
    }
}

private struct CheckDisk: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "disk",
        abstract:
            "Whether disks are fast and empty enough: the nodes' own, or with --dir one of this machine; exit 6 where not.",
        discussion: """
            Nodes are asked how long their log's syncs took since they started and how much room is left: 99% below 10 ms and a tenth free \
            pass. With --dir a file there is written and synced 1,000 times in blocks of 4 KiB, and removed.
            """
    )
    @OptionGroup var global: GlobalOptions
    @Option(help: ArgumentHelp("A folder on the disk.", valueName: "folder"), completion: .directory) var dir: String?

    private struct Node: Encodable {
        let endpoint: String
        let error: String?
        let findings: [CheckFinding]
    }

    private struct Local: Encodable {
        let findings: [CheckFinding]
        let sync: Latencies
    }

    func run() async throws {
        if let dir { return try runHere(dir) }
        try await global.perform { session in
            try session.requireHTTP()
            let nodes = await session.client.pages("/metrics").map { answer in
                switch answer.result {
                case .failure(let error):
                    Node(endpoint: answer.endpoint.description, error: error.description, findings: [])
                case .success(let bytes):
                    Node(
                        endpoint: answer.endpoint.description,
                        error: nil,
                        findings: DiskMetrics(String(decoding: bytes, as: UTF8.self)).findings
                    )
                }
            }
            let isWhole = nodes.allSatisfy { $0.error == nil }
            let passes = nodes.allSatisfy { $0.findings.allSatisfy(\.pass) }
            switch global.output {
            case .json:
                let text = nodes.flatMap { node in
                    ([node.error].compactMap { $0 } + node.findings.filter { !$0.pass }.map(\.text)).map {
                        "\(node.endpoint): \($0)"
                    }
                }.joined(separator: "; ")
                try writeJSON(
                    nodes,
                    ok: isWhole && passes,
                    error: isWhole && passes ? nil : .init(code: passes ? "partial" : "unhealthy", message: text)
                )
            case .table:
                for node in nodes {
                    if let error = node.error { write("\(node.endpoint): \(error)\n") }
                    for finding in node.findings { write("\(node.endpoint): \(finding.line)") }
                }
            }
            return !passes ? .unhealthy : isWhole ? .ok : .partial
        }
    }

    private func runHere(_ folder: String) throws {
        let local = global
        try OutputChoice.$current.withValue(local.outputChoice) {
            let sync: Latencies
            do {
                sync = Latencies(try Self.syncs(in: folder))
            } catch {
                let failure = CtlFailure(error)
                write("kvctl: \(failure.message)\n", to: .standardError)
                throw ExitCode(failure.exit.rawValue)
            }
            let finding = CheckFinding("99% of syncs", sync.p99Ms < 10, "\(sync.p99Ms) ms; below 10 ms is asked")
            switch local.output {
            case .json:
                try writeJSON(
                    Local(findings: [finding], sync: sync),
                    ok: finding.pass,
                    error: finding.pass ? nil : .init(code: "unhealthy", message: finding.text)
                )
            case .table: write(finding.line + "\(sync.count) syncs of 4 KiB: \(sync.text)\n")
            }
            if !finding.pass { throw ExitCode(CtlExit.unhealthy.rawValue) }
        }
    }

    /// Writes and syncs blocks into a file that has its size already, as a node's log does.
    private static func syncs(in folder: String) throws -> [Duration] {
        let path = "\(folder)/.kvctl-check-\(getpid())"
        let descriptor = open(path, O_RDWR | O_CREAT | O_EXCL, 0o600)
        guard descriptor >= 0 else { throw failure(path) }
        defer {
            close(descriptor)
            unlink(path)
        }
        let (block, count) = ([UInt8](repeating: 0, count: 4_096), 1_000)
        for place in 0..<count {
            guard pwrite(descriptor, block, block.count, off_t(place * block.count)) == block.count else {
                throw failure(path)
            }
        }
        guard fsync(descriptor) == 0 else { throw failure(path) }
        return try (0..<count).map { place in
            let start = ContinuousClock.now
            guard pwrite(descriptor, block, block.count, off_t(place * block.count)) == block.count,
                fdatasync(descriptor) == 0
            else { throw failure(path) }
            return .now - start
        }
    }

    private static func failure(_ path: String) -> CtlFailure {
        CtlFailure(.error, "file", "\(path): \(String(cString: strerror(errno)))")
    }
}

/// What a node's metrics say of its disks.
struct DiskMetrics {
    private let samples: [(series: Substring, value: Double)]

    init(_ text: String) {
        samples = text.split(separator: "\n").compactMap { line in
            guard !line.hasPrefix("#"), let space = line.lastIndex(of: " "),
                let value = Double(line[line.index(after: space)...])
            else { return nil }
            return (line[..<space], value)
        }
    }

    var findings: [CheckFinding] {
        var found: [CheckFinding] = []
        if let bound = quantile("kv_log_sync_seconds", 0.99) {
            let text = bound.isFinite ? "below \(Latencies.round(bound * 1_000)) ms" : "longer than any bound"
            found.append(CheckFinding("99% of the log's syncs", bound <= 0.010, "\(text); 10 ms is asked"))
        }
        for (series, free) in samples where series.hasPrefix("kv_disk_free_bytes{") {
            let labels = series.dropFirst("kv_disk_free_bytes".count)
            guard let size = samples.first(where: { $0.series == "kv_disk_size_bytes\(labels)" })?.value, size > 0
            else {
                continue
            }
            let name = labels.split(separator: "\"").dropFirst().first.map(String.init) ?? "disk"
            let text = "\(sizeText(UInt64(free))) of \(sizeText(UInt64(size))) are free; a tenth is asked"
            found.append(CheckFinding("room for the \(name)", free >= size / 10, text))
        }
        if found.isEmpty {
            found.append(CheckFinding("figures", false, "the node's metrics tell nothing of its log and its disks"))
        }
        return found
    }

    /// The bound of the bucket in which this share of a histogram's values is; nil where there are none.
    private func quantile(_ name: String, _ share: Double) -> Double? {
        var buckets: [Double: Double] = [:]
        for (series, value) in samples where series.hasPrefix("\(name)_bucket{") {
            guard let mark = series.range(of: "le=\""), let end = series[mark.upperBound...].firstIndex(of: "\"") else {
                continue
            }
            let text = series[mark.upperBound..<end]
            buckets[text == "+Inf" ? .infinity : Double(text) ?? .infinity, default: 0] += value
        }
        guard let total = buckets[.infinity], total > 0 else { return nil }
        return buckets.sorted { $0.key < $1.key }.first { $0.value >= total * share }?.key
    }
}
