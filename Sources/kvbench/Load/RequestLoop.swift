import CEpoll
import Glibc

/// One thread of the load generator: some connections, one source of requests.
///
/// 1. Each turn sends what is due on the connections that have room, in turn, one `send` for each connection.
/// 2. It waits until a reply or the next due time comes; the kernel wakes it within a few microseconds of that.
/// 3. Replies are found in place and handed to the source with the time at which they were read.
///
/// A request that is due while no connection has room waits, and its latency still counts from when it was due: a server
/// that stalls cannot keep the generator from noticing (no coordinated omission). A request is sent once, never again.
final class RequestLoop<Source: RequestSource> {
    private let source: Source
    private let connections: [LoadConnection]
    private let timeoutNanoseconds: UInt64
    private let set: Int32
    private var turn = 0
    private var pendingCount = 0
    private var lastCheck: UInt64 = 0
    private static var checkInterval: UInt64 { 5_000_000 }

    /// A loop over so many connections, spread over the endpoints from the one numbered `offset` on.
    init(
        _ source: Source,
        endpoints: [LoadEndpoint],
        offset: Int = 0,
        connections count: Int,
        depth: Int,
        timeoutNanoseconds: UInt64
    ) throws {
        self.source = source
        self.timeoutNanoseconds = timeoutNanoseconds
        set = kv_epoll_create()
        guard set >= 0 else { throw BenchmarkError("the system has no epoll: \(String(cString: strerror(errno)))") }
        connections = (0..<count).map { LoadConnection(endpoints, startingAt: offset + $0, depth: depth) }
    }

    deinit {
        for connection in connections where connection.descriptor >= 0 { close(connection.descriptor) }
        close(set)
    }

    /// Runs until the source has no more and all replies came or timed out.
    func run() {
        var ready = [kv_ready](repeating: kv_ready(), count: 64)
        while true {
            var now = nowNanoseconds()
            check(now)
            var due = issue(now)
            if due == nil, pendingCount == 0 { return }
            flush(now)
            now = nowNanoseconds()
            if let next = due, next <= now, !hasRoom { due = .max }
            let waking = min(due ?? .max, lastCheck + Self.checkInterval)
            let found = kv_epoll_wait(set, &ready, 64, Int64(waking > now ? waking - now : 0))
            for place in 0..<max(0, Int(found)) { handle(ready[place]) }
        }
    }

    private var hasRoom: Bool { connections.contains { $0.hasRoom } }

    /// Sends what is due; returns when the next request is.
    private func issue(_ now: UInt64) -> UInt64? {
        var fullInARow = 0
        while let due = source.nextDue(now) {
            guard due <= now, fullInARow < connections.count else { return due }
            let connection = connections[turn]
            turn += 1
            if turn == connections.count { turn = 0 }
            guard connection.hasRoom else {
                fullInARow += 1
                continue
            }
            fullInARow = 0
            let tag = source.issue(into: connection.output, due: due)
            connection.push(IssuedRequest(tag: tag, due: due, sent: now))
            pendingCount += 1
        }
        return nil
    }

    private func flush(_ now: UInt64) {
        for (place, connection) in connections.enumerated() where connection.output.count > 0 {
            guard case .open = connection.state else { continue }
            if !connection.flush(set, tag: UInt64(place)) { drop(connection, .connectionLost, now) }
        }
    }

    /// What time alone brings about: attempts to connect, and requests that took too long.
    private func check(_ now: UInt64) {
        guard now >= lastCheck + Self.checkInterval else { return }
        lastCheck = now
        for (place, connection) in connections.enumerated() {
            if let oldest = connection.oldest, now > oldest.sent + timeoutNanoseconds {
                drop(connection, .timedOut, now)
            }
            connection.connect(set, tag: UInt64(place), now: now)
        }
    }

    private func handle(_ event: kv_ready) {
        let connection = connections[Int(event.tag)]
        switch connection.state {
        case .closed: return
        case .connecting:
            guard event.writable != 0 else { return }
            let now = nowNanoseconds()
            if !connection.finishConnecting() || !connection.flush(set, tag: event.tag) {
                drop(connection, .connectionLost, now)
                connection.connect(set, tag: event.tag, now: now)
            }
        case .open:
            if event.readable != 0 { receive(connection, event.tag) }
            if event.writable != 0, case .open = connection.state, !connection.flush(set, tag: event.tag) {
                drop(connection, .connectionLost, nowNanoseconds())
            }
        }
    }

    private func receive(_ connection: LoadConnection, _ tag: UInt64) {
        let outcome = connection.input.read(connection.descriptor)
        let now = nowNanoseconds()
        switch outcome {
        case .wouldBlock: return
        case .ended:
            drop(connection, .connectionLost, now)
            return connection.connect(set, tag: tag, now: now)
        case .moved: break
        }
        var taken = 0
        let bytes = connection.input.bytes
        scanning: while taken < bytes.count {
            switch ReplyScanner.scan(UnsafeRawBufferPointer(rebasing: bytes[taken...])) {
            case .incomplete: break scanning
            case .malformed: return drop(connection, .malformed, now)
            case .reply(let reply, let length):
                guard let request = connection.pop() else { return drop(connection, .malformed, now) }
                pendingCount -= 1
                taken += length
                source.completed(request, reply, now: now)
            }
        }
        connection.input.consume(taken)
    }

    private func drop(_ connection: LoadConnection, _ failure: RequestFailure, _ now: UInt64) {
        connection.close(now: now)
        while let request = connection.pop() {
            pendingCount -= 1
            source.failed(request, failure, now: now)
        }
    }
}
