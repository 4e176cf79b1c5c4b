import Foundation
import Histogram

/// Puts a load on a cluster and waits for its end.
enum LoadRun {
    /// Runs one thread for each source of `settings` and adds up what they counted.
    static func run(_ settings: LoadSettings) throws -> (LoadTally, cpuSeconds: Double, wallSeconds: Double) {
        // Connections are made and threads started before the first request is due.
        let begin = nowNanoseconds() + 20_000_000
        let before = (ProcessUsage(), nowNanoseconds())
        let sources = (0..<settings.threads).map { LoadSource(settings, thread: $0, begin: begin) }
        var loops: [Running] = []
        for (place, source) in sources.enumerated() {
            let share =
                settings.connections / settings.threads + (place < settings.connections % settings.threads ? 1 : 0)
            loops.append(
                Running(
                    loop: try RequestLoop(
                        source,
                        endpoints: settings.endpoints,
                        offset: place * (settings.connections / settings.threads),
                        connections: max(share, 1),
                        depth: settings.pipeline,
                        timeoutNanoseconds: UInt64(settings.timeoutSeconds * 1e9)
                    )
                )
            )
        }
        runThreads(loops.map { running in { running.loop.run() } })
        var total = LoadTally()
        for source in sources { total.add(source.tally) }
        let after = (ProcessUsage(), nowNanoseconds())
        return (total, after.0.cpuSeconds - before.0.cpuSeconds, Double(after.1 - before.1) / 1e9)
    }

    /// A loop on its way to its thread.
    // SENDABLE: made by one thread, then used by another only.
    private struct Running: @unchecked Sendable {
        let loop: RequestLoop<LoadSource>
    }
}

/// Runs each on a thread of its own and waits for all.
func runThreads(_ bodies: [@Sendable () -> Void]) {
    let group = DispatchGroup()
    for body in bodies {
        group.enter()
        let thread = Thread {
            body()
            group.leave()
        }
        thread.start()
    }
    group.wait()
}
