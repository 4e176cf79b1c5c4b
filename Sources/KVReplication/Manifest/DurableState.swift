import KVEnvironment

/// A small state that is kept on stable storage: changes are made on the home scheduler, written whole by a worker one after the
/// other, and changes that come while one is being written share the next write.
///
/// SENDABLE: touched on the home scheduler only; `write` runs on one worker at a time.
final class DurableState<State: Sendable>: @unchecked Sendable {
    typealias Completion = @Sendable ((any Error)?) -> Void

    /// The state as it was last changed; durable once the change's completion was called without an error.
    private(set) var state: State

    private let workers: any WorkerPool
    private let home: any Scheduler
    private let write: @Sendable (State) throws -> Void
    private var waiting: [Completion] = []
    private var isWriting = false
    private var last: (work: @Sendable () -> Void, completion: @Sendable () -> Void)?

    /// A state that is durable as it is; `write` returns after the state is on stable storage.
    init(
        _ state: State,
        workers: any WorkerPool,
        home: any Scheduler,
        write: @escaping @Sendable (State) throws -> Void
    ) {
        self.state = state
        self.workers = workers
        self.home = home
        self.write = write
    }

    /// Changes the state; `completion` is called on the home scheduler when it is durable, or with why it may not be.
    func change(_ body: (inout State) -> Void, completion: @escaping Completion) {
        body(&state)
        waiting.append(completion)
        writeNext()
    }

    /// Runs `work` on a worker after every change so far is written, and then `completion` on the home scheduler.
    func finish(_ work: @escaping @Sendable () -> Void, completion: @escaping @Sendable () -> Void) {
        last = (work, completion)
        writeNext()
    }

    private func writeNext() {
        guard !isWriting else { return }
        guard !waiting.isEmpty else { return runLast() }
        isWriting = true
        let completions = waiting
        waiting = []
        let state = state
        workers.submit { [self] in
            let failure: (any Error)?
            do {
                try write(state)
                failure = nil
            } catch {
                failure = error
            }
            home.execute { [self] in
                isWriting = false
                for completion in completions { completion(failure) }
                writeNext()
            }
        }
    }

    private func runLast() {
        guard let (work, completion) = last else { return }
        last = nil
        workers.submit { [home] in
            work()
            home.execute(completion)
        }
    }
}
