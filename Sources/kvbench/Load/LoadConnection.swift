import CEpoll
import Glibc

/// A connection of the load generator: requests that wait for their replies, in order.
final class LoadConnection {
    enum State {
        /// Not before this time is the next attempt.
        case closed(retryAt: UInt64)
        case connecting
        case open
    }

    private(set) var state = State.closed(retryAt: 0)
    private(set) var descriptor: Int32 = -1
    let output = ByteQueue()
    let input = ByteQueue()
    private var endpoints: [LoadEndpoint]
    private var endpoint: Int
    private var attempts: UInt64 = 0
    private var isWatchedForWriting = false

    private var ring: [IssuedRequest]
    private var first = 0
    private(set) var pendingCount = 0

    /// A closed connection that begins with the endpoint of this number and has at most `depth` requests under way.
    init(_ endpoints: [LoadEndpoint], startingAt endpoint: Int, depth: Int) {
        self.endpoints = endpoints
        self.endpoint = endpoint % endpoints.count
        ring = Array(repeating: IssuedRequest(tag: 0, due: 0, sent: 0), count: depth)
    }

    @inline(__always)
    var hasRoom: Bool {
        guard case .open = state else { return false }
        return pendingCount < ring.count
    }

    var oldest: IssuedRequest? { pendingCount > 0 ? ring[first] : nil }

    @inline(__always)
    func push(_ request: IssuedRequest) {
        precondition(pendingCount < ring.count, "\(pendingCount) of \(ring.count) requests under way")
        var place = first + pendingCount
        if place >= ring.count { place -= ring.count }
        ring[place] = request
        pendingCount += 1
    }

    @inline(__always)
    func pop() -> IssuedRequest? {
        guard pendingCount > 0 else { return nil }
        let request = ring[first]
        first += 1
        if first == ring.count { first = 0 }
        pendingCount -= 1
        return request
    }

    /// Begins to connect where it is time to.
    func connect(_ set: Int32, tag: UInt64, now: UInt64) {
        guard case .closed(let retryAt) = state, now >= retryAt else { return }
        guard let fresh = endpoints[endpoint].connect(), kv_epoll_watch(set, fresh, tag, 1, 1) == 0 else {
            return moveOn(now)
        }
        descriptor = fresh
        isWatchedForWriting = true
        state = .connecting
    }

    /// The socket became writable for the first time: whether it is connected now.
    func finishConnecting() -> Bool {
        var code: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        guard getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &size) == 0, code == 0 else { return false }
        state = .open
        attempts = 0
        return true
    }

    /// Sends what waits; false where the connection is gone.
    func flush(_ set: Int32, tag: UInt64) -> Bool {
        var isBlocked = false
        while output.count > 0, !isBlocked {
            switch output.write(descriptor) {
            case .moved: break
            case .wouldBlock: isBlocked = true
            case .ended: return false
            }
        }
        if isBlocked != isWatchedForWriting {
            isWatchedForWriting = isBlocked
            return kv_epoll_watch(set, descriptor, tag, 0, isBlocked ? 1 : 0) == 0
        }
        return true
    }

    /// Closes the socket; the next attempt goes to the next endpoint.
    func close(now: UInt64) {
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = -1
        output.clear()
        input.clear()
        moveOn(now)
    }

    private func moveOn(_ now: UInt64) {
        endpoint = (endpoint + 1) % endpoints.count
        attempts += 1
        // The first round through all endpoints goes at once; after it 10 ms, 20 ms … at most 200 ms lie between attempts.
        let rounds = attempts / UInt64(endpoints.count)
        state = .closed(retryAt: now + min(rounds * 10, 200) * 1_000_000)
    }
}
