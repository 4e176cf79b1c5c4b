package import KVBase
import KVService

/// Where the time of requests goes, over all groups of a node: a few distributions, fed once a batch, read when somebody asks.
///
/// Home scheduler only.
package struct GroupTimings: Sendable {
    /// The stages of a leader's entries, by the oldest request of each.
    package var queue = Distribution.latency
    /// From the proposal until the log thread began to write it.
    package var propose = Distribution.latency
    /// From there until it was on stable storage here.
    package var sync = Distribution.latency
    /// From there until a majority had it.
    package var replicate = Distribution.latency
    /// From there until it was applied and answered.
    package var apply = Distribution.latency
    /// Writes from arrival to answer, each counted with the time of the oldest in its entry.
    package var writes = Distribution.latency
    /// Linearizable reads that memory answered, each counted with the time of the oldest in its round.
    package var reads = Distribution.latency
    /// How many requests an entry carries.
    package var requestsPerEntry = Distribution.count
    /// How many reads share a round.
    package var readsPerRound = Distribution.count
    /// The requests that were slow.
    package var slow: SlowLog

    /// Whether requests are timed at all.
    let isTiming: Bool

    /// Nothing measured yet; nothing ever where not `isTiming`.
    package init(slowNanoseconds: UInt64, isTiming: Bool = true) {
        slow = SlowLog(thresholdNanoseconds: slowNanoseconds)
        self.isTiming = isTiming
    }

    /// Counts an entry of a leader that was applied and answered.
    mutating func record(_ stages: SlowRequest.Stages, requests: Int) {
        queue.observe(stages.queue)
        propose.observe(stages.propose)
        sync.observe(stages.sync)
        replicate.observe(stages.replicate)
        apply.observe(stages.apply)
        writes.observe(stages.total, times: UInt64(requests))
        requestsPerEntry.observe(UInt64(requests))
    }
}
