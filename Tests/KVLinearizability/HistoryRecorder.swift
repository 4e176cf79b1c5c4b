import Synchronization

/// Collects the operations of concurrent clients into one history.
///
/// Any thread may call it. Its clock counts events under a lock, which is sound as long as `begin` is called before a
/// request leaves and `complete` after its answer arrived: the interval it notes then holds the real one.
package final class HistoryRecorder<Call: Hashable & Sendable, Result: Sendable>: Sendable {
    private struct State {
        var clock: UInt64 = 0
        var operations: [HistoryOperation<Call, Result>] = []
    }

    private let state = Mutex(State())

    /// An empty history.
    package init() {}

    /// Notes that `process` is about to ask; returns the number by which its end is reported.
    package func begin(process: Int, key: String, call: Call) -> Int {
        state.withLock { state in
            state.clock += 1
            state.operations.append(
                HistoryOperation(process: process, key: key, call: call, invokedAt: state.clock, outcome: .unknown)
            )
            return state.operations.count - 1
        }
    }

    /// Notes the answer to operation `number`.
    package func complete(_ number: Int, _ result: Result) {
        state.withLock { state in
            state.clock += 1
            state.operations[number].outcome = .completed(at: state.clock, result)
        }
    }

    /// Notes that operation `number` certainly did not take effect.
    package func fail(_ number: Int) {
        state.withLock { $0.operations[number].outcome = .failed }
    }

    /// Everything so far; what was neither completed nor failed has an unknown outcome.
    package var operations: [HistoryOperation<Call, Result>] {
        state.withLock { $0.operations }
    }
}
