import KVService
import Synchronization

/// Waits for the reply to one request and makes the answer of it, while the reply's bytes are there.
final class AnswerSink<Answer: Sendable>: ReplySink {
    private enum State {
        case idle
        case waiting(CheckedContinuation<Result<Answer, GRPCFailure>, Never>)
        case done(Result<Answer, GRPCFailure>)
        case taken
    }

    private let state = Mutex(State.idle)
    private let make: @Sendable (borrowing Reply) throws(GRPCFailure) -> Answer

    init(_ make: @escaping @Sendable (borrowing Reply) throws(GRPCFailure) -> Answer) { self.make = make }

    func complete(_ tag: UInt64, _ reply: borrowing Reply) {
        do throws(GRPCFailure) {
            end(.success(try make(reply)))
        } catch {
            end(.failure(error))
        }
    }

    /// Ends the waiting, unless it has ended.
    func end(_ result: Result<Answer, GRPCFailure>) {
        let waiter = state.withLock { state -> CheckedContinuation<Result<Answer, GRPCFailure>, Never>? in
            switch state {
            case .idle:
                state = .done(result)
                return nil
            case .waiting(let continuation):
                state = .taken
                return continuation
            case .done, .taken: return nil
            }
        }
        // Outside the lock: resuming may run the waiter.
        waiter?.resume(returning: result)
    }

    /// The answer; called once.
    func answer() async -> Result<Answer, GRPCFailure> {
        await withCheckedContinuation { continuation in
            let result = state.withLock { state -> Result<Answer, GRPCFailure>? in
                guard case .done(let result) = state else {
                    state = .waiting(continuation)
                    return nil
                }
                state = .taken
                return result
            }
            if let result { continuation.resume(returning: result) }
        }
    }
}
