import Glibc

/// A mutex and a condition at one fixed place in memory, which pthread demands.
///
/// The condition's time is CLOCK_MONOTONIC.
final class ThreadGate {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>

    init() {
        mutex = .allocate(capacity: 1)
        condition = .allocate(capacity: 1)
        mutex.initialize(to: pthread_mutex_t())
        condition.initialize(to: pthread_cond_t())
        check(pthread_mutex_init(mutex, nil), "make a mutex")
        var attributes = pthread_condattr_t()
        check(pthread_condattr_init(&attributes), "make a condition")
        check(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC), "set the condition's clock")
        check(pthread_cond_init(condition, &attributes), "make a condition")
        check(pthread_condattr_destroy(&attributes), "make a condition")
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    func lock() { check(pthread_mutex_lock(mutex), "lock") }

    func unlock() { check(pthread_mutex_unlock(mutex), "unlock") }

    /// Waits for a signal; with a deadline in nanoseconds of CLOCK_MONOTONIC, until then at most.
    ///
    /// Wakes without cause too.
    func wait(until deadline: UInt64? = nil) {
        guard let deadline else { return check(pthread_cond_wait(condition, mutex), "wait") }
        var time = timespec(
            tv_sec: Int(clamping: deadline / 1_000_000_000),
            tv_nsec: Int(deadline % 1_000_000_000)
        )
        let result = pthread_cond_timedwait(condition, mutex, &time)
        precondition(result == 0 || result == ETIMEDOUT, "cannot wait: error \(result)")
    }

    func signal() { check(pthread_cond_signal(condition), "signal") }

    func broadcast() { check(pthread_cond_broadcast(condition), "signal") }

    private func check(_ result: Int32, _ what: StaticString) {
        precondition(result == 0, "cannot \(what): error \(result)")
    }
}

/// Starts a thread that runs `body`; its name (15 bytes are shown) is for people with `top` and debuggers.
func startThread(_ name: String, _ body: @escaping @Sendable () -> Void) -> pthread_t {
    final class Start {
        let name: String
        let body: @Sendable () -> Void
        init(_ name: String, _ body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }
    let start = Unmanaged.passRetained(Start(name, body))
    var thread = pthread_t()
    let result = pthread_create(
        &thread,
        nil,
        { argument in
            guard let argument else { return nil }
            let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
            nameThisThread(start.name)
            start.body()
            return nil
        },
        start.toOpaque()
    )
    precondition(result == 0, "cannot start the thread \(name): error \(result)")
    return thread
}

/// `pthread_setname_np` is not among what Glibc's module shows; the kernel takes the name through a file as well.
///
/// A thread without a name runs just as well.
private func nameThisThread(_ name: String) {
    let descriptor = Glibc.open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    defer { _ = Glibc.close(descriptor) }
    let bytes = Array(name.utf8.prefix(15))
    _ = Glibc.write(descriptor, bytes, bytes.count)
}
