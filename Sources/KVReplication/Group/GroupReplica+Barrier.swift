import KVBase
import KVRaft
package import KVService

// Reads of more than one key: a follower asks the leader for the index, waits until it has applied it, and reads its own tablets.

/// Callers that wait until this replica has applied what was committed when they asked.
struct Barriers {
    private struct Waiting {
        let deadline: UInt64
        let completion: @Sendable (ServiceError?) -> Void
    }

    private var asked: [UInt64: Waiting] = [:]
    private var confirmed: [(index: LogIndex, waiting: Waiting)] = []

    /// How many wait.
    var count: Int { asked.count + confirmed.count }

    mutating func add(_ context: UInt64, deadline: UInt64, _ completion: @escaping @Sendable (ServiceError?) -> Void) {
        asked[context] = Waiting(deadline: deadline, completion: completion)
    }

    /// Whether `context` is one of these.
    mutating func confirm(_ context: UInt64, at index: LogIndex) -> Bool {
        guard let waiting = asked.removeValue(forKey: context) else { return false }
        confirmed.append((index, waiting))
        return true
    }

    /// Whether `context` was one of these; its caller is told to try again.
    mutating func fail(_ context: UInt64, _ error: ServiceError) -> Bool {
        guard let waiting = asked.removeValue(forKey: context) else { return false }
        waiting.completion(error)
        return true
    }

    mutating func pass(applied: LogIndex) {
        guard !confirmed.isEmpty else { return }
        let ready = confirmed.filter { $0.index <= applied }
        confirmed.removeAll { $0.index <= applied }
        for (_, waiting) in ready { waiting.completion(nil) }
    }

    mutating func failAll(_ error: ServiceError) {
        let all = asked.keys.sorted().compactMap { asked[$0] } + confirmed.map(\.waiting)
        asked = [:]
        confirmed = []
        for waiting in all { waiting.completion(error) }
    }

    mutating func expire(at now: UInt64, _ error: ServiceError) {
        for context in asked.keys.sorted() where (asked[context]?.deadline ?? 0) <= now { _ = fail(context, error) }
        let late = confirmed.filter { $0.waiting.deadline <= now }
        confirmed.removeAll { $0.waiting.deadline <= now }
        for (_, waiting) in late { waiting.completion(error) }
    }
}

extension GroupReplica {
    /// Calls back on the home scheduler once this replica, leader or not, has applied everything that was committed when this was called;
    /// or with why not.
    package func barrier(_ completion: @escaping @Sendable (ServiceError?) -> Void) {
        if let stopReason {
            completion(ServiceError(.unavailable, "group \(id) stopped on this node: \(stopReason)"))
            return
        }
        if let quarantineError { return completion(quarantineError) }
        guard barriers.count < settings.barriersMax else {
            completion(ServiceError(.overloaded, "\(barriers.count) scans wait already; try again, or send less"))
            return
        }
        let context = reads.makeContext()
        catchUp()
        do {
            try core.readIndex(context: context)
            barriers.add(
                context,
                deadline: host.clock.monotonicNanoseconds + settings.requestTimeoutNanoseconds,
                completion
            )
        } catch {
            completion(ServiceError(.noLeader, "group \(id) has no leader that this node knows of; try again"))
        }
        host.turnEnd.ask()
    }
}
