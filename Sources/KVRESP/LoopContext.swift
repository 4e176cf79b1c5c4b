import KVTelemetry
import NIOCore

/// What the connections of one event loop share: the list of those with something to write, flushed once a turn, and the turn's
/// counts, handed to the metrics once a turn.
///
/// SENDABLE: touched on its event loop only.
final class LoopContext: @unchecked Sendable {
    /// Operations that are alike: of one command, begun in one turn, ended alike.
    private struct Run {
        var command: UInt8
        var outcome: OperationOutcome
        var startedAt: UInt64
        var count: UInt64
    }

    let eventLoop: any EventLoop
    private let operations: [OperationMetrics]
    private let isCounting: Bool
    private let slowLog: SlowLog
    private let wallClock: @Sendable () -> UInt64
    private var dirty: [RESPConnection] = []
    private var spare: [RESPConnection] = []
    private var runs: [Run] = []
    private var isScheduled = false
    private var cachedNow: UInt64 = 0

    init(_ eventLoop: any EventLoop, _ shared: RESPShared) {
        self.eventLoop = eventLoop
        operations = shared.operations
        isCounting = shared.isCounting
        slowLog = shared.slowLog
        wallClock = shared.settings.now
    }

    /// The time of this turn in nanoseconds: one clock read a turn.
    func turnTime() -> UInt64 {
        if cachedNow == 0 {
            cachedNow = NIODeadline.now().uptimeNanoseconds
            schedule()
        }
        return cachedNow
    }

    /// Flushes the connection at the end of the turn.
    func flushLater(_ connection: RESPConnection) {
        dirty.append(connection)
        schedule()
    }

    /// Counts an operation that was answered; its latency is taken at the end of the turn.
    func record(_ command: UInt8, _ outcome: OperationOutcome, startedAt: UInt64) {
        guard isCounting || slowLog.isOn else { return }
        let last = runs.count - 1
        if last >= 0, runs[last].command == command, runs[last].outcome == outcome, runs[last].startedAt == startedAt {
            runs[last].count += 1
        } else {
            runs.append(Run(command: command, outcome: outcome, startedAt: startedAt, count: 1))
            schedule()
        }
    }

    private func schedule() {
        if isScheduled { return }
        isScheduled = true
        eventLoop.execute { self.endTurn() }
    }

    private func endTurn() {
        isScheduled = false
        cachedNow = 0
        swap(&dirty, &spare)
        for connection in spare { connection.turnEnded() }
        spare.removeAll(keepingCapacity: true)
        if runs.isEmpty { return }
        let now = NIODeadline.now().uptimeNanoseconds
        for run in runs {
            let elapsed = now > run.startedAt ? now - run.startedAt : 0
            if isCounting {
                let metrics = operations[Int(run.command)]
                metrics.count(run.outcome, run.count)
                metrics.latency.observe(elapsed, times: run.count)
            }
            if slowLog.isSlow(nanoseconds: elapsed) {
                slowLog.add(command: run.command, count: run.count, nanoseconds: elapsed, at: wallClock())
            }
        }
        runs.removeAll(keepingCapacity: true)
    }
}
