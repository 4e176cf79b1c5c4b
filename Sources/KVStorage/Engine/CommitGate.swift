import Glibc

/// A mutex and a condition for "there is room", at one fixed place in memory, which pthread demands.
///
/// `Synchronization.Mutex` has no condition and is slow where threads contend for it.
// SENDABLE: pthread's own objects are for any thread.
final class CommitGate: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>

    init() {
        mutex = .allocate(capacity: 1)
        mutex.initialize(to: pthread_mutex_t())
        let result = pthread_mutex_init(mutex, nil)
        precondition(result == 0, "cannot make a mutex: error \(result)")
    }

    deinit {
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    @inline(__always)
    func lock() {
        let result = pthread_mutex_lock(mutex)
        precondition(result == 0, "cannot lock: error \(result)")
    }

    @inline(__always)
    func unlock() {
        let result = pthread_mutex_unlock(mutex)
        precondition(result == 0, "cannot unlock: error \(result)")
    }

    /// Waits for a signal of `condition`, with the gate let go meanwhile.
    ///
    /// Wakes without cause too.
    func wait(for condition: CommitCondition) {
        let result = pthread_cond_wait(condition.place, mutex)
        precondition(result == 0, "cannot wait: error \(result)")
    }

    /// Lets other threads run.
    static func yield() { sched_yield() }
}

/// A pthread condition at one fixed place in memory.
// SENDABLE: as `CommitGate`.
final class CommitCondition: @unchecked Sendable {
    fileprivate let place: UnsafeMutablePointer<pthread_cond_t>

    init() {
        place = .allocate(capacity: 1)
        place.initialize(to: pthread_cond_t())
        let result = pthread_cond_init(place, nil)
        precondition(result == 0, "cannot make a condition: error \(result)")
    }

    deinit {
        pthread_cond_destroy(place)
        place.deallocate()
    }

    func signal() { pthread_cond_signal(place) }

    func broadcast() { pthread_cond_broadcast(place) }
}
