import Foundation
import KVPosix
import Synchronization
import Testing

/// Whether ThreadSanitizer sees what it should: `scripts/sanitize thread` runs both by name.
///
/// See Sanitize/CMutexEvents.
struct SanitizerControlTests {
    // SENDABLE: on purpose unordered, or ordered by a Mutex outside of it: that is what is tested.
    private final class Counter: @unchecked Sendable {
        var value = 0
    }

    private func onTwoThreads(_ body: @escaping @Sendable () -> Void) {
        let pool = ThreadWorkerPool(name: "race", count: 2)
        let started = Atomic<Int>(0)
        for _ in 0..<2 {
            pool.submit {
                // Both are under way before either works, so that they meet.
                started.add(1, ordering: .relaxed)
                while started.load(ordering: .relaxed) < 2 {}
                body()
            }
        }
        pool.stop()
    }

    @Test func `what a contended Mutex orders is no race`() {
        let counter = Counter()
        let mutex = Mutex(())
        onTwoThreads {
            for _ in 0..<20_000 { mutex.withLock { _ in counter.value += 1 } }
        }
        #expect(counter.value == 40_000)
    }

    @Test(.enabled(if: ProcessInfo.processInfo.environment["KV_SANITIZE_CONTROL"] != nil))
    func `a planted race, which ThreadSanitizer must tell`() {
        let counter = Counter()
        onTwoThreads {
            for _ in 0..<1000 { counter.value &+= 1 }
        }
        #expect(counter.value > 0)
    }
}
