import Foundation

/// Breaks a cluster again and again while it is written to.
///
/// A round: 1. writes succeed for the settling time without a failure; 2. the command runs; 3. it is waited for ten successes in a row
/// behind the command's end, and on for the time of observation; 4. the command that repairs runs. The gap of the round is
/// `GapMeasurement.longest` of all events between 1 and 4.
struct FailoverRun {
    var endpoints: [LoadEndpoint]
    var connections: Int
    var rate: Double
    var rounds: Int
    var command: String
    var restore: String?
    var settleSeconds: Double
    var observeSeconds: Double
    var recoverySecondsMax: Double
    var requestTimeoutSeconds: Double
    var keepsKeys: Bool

    func run() throws -> FailoverReport {
        let name = "failover:\(String(UInt64.random(in: 0 ... .max), radix: 36)):"
        let probes = ProbeSource(name: name, rate: rate, begin: nowNanoseconds() + 50_000_000)
        let loop = Running(
            loop: try RequestLoop(
                probes,
                endpoints: endpoints,
                connections: connections,
                depth: 65_536,
                timeoutNanoseconds: UInt64(requestTimeoutSeconds * 1e9)
            )
        )
        let ended = DispatchSemaphore(value: 0)
        let thread = Thread {
            loop.loop.run()
            ended.signal()
        }
        thread.start()
        let measured = Result { try (1...rounds).map { try round($0, probes) } }
        probes.stop()
        ended.wait()
        let results = try measured.get()
        let count = probes.outcomes.count
        let check = try pass(name, count, removes: false)
        if !keepsKeys { _ = try pass(name, count, removes: true) }
        return FailoverReport(results, probes, check)
    }

    /// A loop on its way to its thread.
    // SENDABLE: made by one thread, then used by another only.
    private struct Running: @unchecked Sendable {
        let loop: RequestLoop<ProbeSource>
    }

    private func round(_ number: Int, _ probes: ProbeSource) throws -> FailoverReport.Round {
        let start = try settle(probes, number)
        let before = probes.eventCount
        let code = try shell(command, round: number)
        let after = probes.eventCount
        var isBack = wait(recoverySecondsMax) { GapMeasurement.recovered(probes.events(from: after), from: 0) != nil }
        if isBack {
            let until = nowNanoseconds() + UInt64(observeSeconds * 1e9)
            _ = wait(observeSeconds * 2) { nowNanoseconds() >= until }
            // Service may have broken off again; it has to be there at the end.
            isBack = wait(recoverySecondsMax) { Self.serves(probes.events(from: after)) }
        }
        let events = probes.events(from: start)
        let failed = probes.events(from: before).count { !$0.succeeded }
        if let restore { _ = try shell(restore, round: number) }
        let gap = isBack ? GapMeasurement.longest(events) : nil
        let result = FailoverReport.Round(
            round: number,
            gapMilliseconds: gap.map { Double($0) / 1e6 },
            commandExit: code,
            failedRequests: failed
        )
        let shown = result.gapMilliseconds.map { "\(fixed($0, 1)) ms" } ?? "no service again"
        FileHandle.standardError.write(Data("kvbench: round \(number): \(shown)\n".utf8))
        return result
    }

    private static func serves(_ events: [ProbeEvent]) -> Bool {
        events.count >= GapMeasurement.rowLength && events.suffix(GapMeasurement.rowLength).allSatisfy(\.succeeded)
    }

    /// Waits until everything succeeded for the settling time; the first event of that time.
    private func settle(_ probes: ProbeSource, _ number: Int) throws -> Int {
        var start = probes.eventCount
        var since = nowNanoseconds()
        let isCalm = wait(recoverySecondsMax + settleSeconds) {
            let fresh = probes.events(from: start)
            if let last = fresh.lastIndex(where: { !$0.succeeded }) {
                start += last + 1
                since = nowNanoseconds()
            }
            let isLong = nowNanoseconds() > since + UInt64(settleSeconds * 1e9)
            return isLong && probes.eventCount >= start + GapMeasurement.rowLength
        }
        guard isCalm else {
            throw BenchmarkError("round \(number): writes do not succeed without failures: \(probes.failures)")
        }
        return start
    }

    private func shell(_ text: String, round: Int) throws -> Int32 {
        let process = Process()
        process.executableURL = URL(filePath: "/bin/sh")
        process.arguments = ["-c", text]
        process.environment = ProcessInfo.processInfo.environment.merging(["KVBENCH_ROUND": "\(round)"]) { $1 }
        // The report alone goes to the standard output.
        process.standardOutput = FileHandle.standardError
        process.standardInput = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        guard process.terminationReason == .exit, process.terminationStatus == 0 else {
            throw BenchmarkError("'\(text)' failed in round \(round) (\(process.terminationStatus))")
        }
        return process.terminationStatus
    }

    private func pass(_ name: String, _ count: Int, removes: Bool) throws -> CheckSource {
        let deadline = nowNanoseconds() + UInt64(recoverySecondsMax * 1e9)
        let source = CheckSource(name: name, count: count, removes: removes, deadline: deadline)
        let loop = try RequestLoop(
            source,
            endpoints: endpoints,
            connections: min(connections, 8),
            depth: 16,
            timeoutNanoseconds: UInt64(requestTimeoutSeconds * 1e9)
        )
        loop.run()
        return source
    }

    /// Asks again and again; false where `condition` did not hold in time.
    private func wait(_ seconds: Double, _ condition: () -> Bool) -> Bool {
        let deadline = nowNanoseconds() + UInt64(seconds * 1e9)
        while true {
            if condition() { return true }
            guard nowNanoseconds() < deadline else { return false }
            usleep(5_000)
        }
    }
}
