package import KVEnvironment

/// Runs one job at the end of the current turn of a scheduler, however often it is asked for: what many connections brought
/// in one turn becomes one proposal, one read round and one frame a peer.
///
/// SENDABLE: touched on its scheduler only; `job` is set once before use.
package final class TurnEnd: @unchecked Sendable {
    private let scheduler: any Scheduler
    private var isAsked = false
    private var job: (() -> Void)?

    /// Ends the turns of `scheduler`.
    package init(_ scheduler: any Scheduler) {
        self.scheduler = scheduler
    }

    /// Sets what runs.
    package func onEnd(_ job: @escaping () -> Void) {
        self.job = job
    }

    /// The job will run after the events that are already queued.
    package func ask() {
        guard !isAsked else { return }
        isAsked = true
        scheduler.execute {
            self.isAsked = false
            self.job?()
        }
    }

    /// Nothing runs any more.
    package func stop() {
        job = nil
    }
}
