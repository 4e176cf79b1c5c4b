import Synchronization

/// Adds one to key after key, each once, at equal distances: what was acknowledged must be there, and nothing may be there twice.
final class ProbeSource: RequestSource {
    /// What a request came to.
    enum Outcome: UInt8 {
        case underWay
        case acknowledged
        /// Refused with an error that says that nothing was done.
        case refused
        /// It may have been done or not, or be done yet.
        case unknown
    }

    private struct State {
        var events: [ProbeEvent] = []
        var outcomes: [Outcome] = []
        var failures: [String: UInt64] = [:]
        /// Keys whose first increment was answered with more than one.
        var answeredTwice: UInt64 = 0
        var isStopped = false
    }

    let name: String
    private let state = Mutex(State())
    private let begin: UInt64
    private let interval: Double

    /// A source with so many requests a second from `begin` on, on keys that start with `name`.
    init(name: String, rate: Double, begin: UInt64) {
        self.name = name
        self.begin = begin
        interval = 1e9 / rate
    }

    /// No more requests after this; any thread.
    func stop() { state.withLock { $0.isStopped = true } }

    /// How many events there are; any thread.
    var eventCount: Int { state.withLock { $0.events.count } }

    /// The events from the one numbered `start` on; any thread.
    func events(from start: Int) -> [ProbeEvent] { state.withLock { Array($0.events[start...]) } }

    /// What became of all requests; any thread.
    var outcomes: [Outcome] { state.withLock { $0.outcomes } }

    var failures: [String: UInt64] { state.withLock { $0.failures } }

    var answeredTwice: UInt64 { state.withLock { $0.answeredTwice } }

    func nextDue(_ now: UInt64) -> UInt64? {
        state.withLock { state in
            state.isStopped ? nil : begin + UInt64(Double(state.outcomes.count) * interval)
        }
    }

    func issue(into queue: ByteQueue, due: UInt64) -> UInt64 {
        let number = state.withLock { state in
            state.outcomes.append(.underWay)
            return state.outcomes.count - 1
        }
        Array("\(name)\(number)".utf8).withUnsafeBytes { queue.appendIncrement($0) }
        return UInt64(number)
    }

    func completed(_ request: IssuedRequest, _ reply: ScannedReply, now: UInt64) {
        let number = Int(request.tag)
        state.withLock { state in
            switch reply.kind {
            case .integer(let value):
                state.outcomes[number] = .acknowledged
                if value != 1 { state.answeredTwice += 1 }
                state.events.append(ProbeEvent(nanoseconds: now, succeeded: true))
            default:
                let code = reply.errorCode
                state.outcomes[number] = code == "UNKNOWN" ? .unknown : .refused
                state.failures[code, default: 0] += 1
                state.events.append(ProbeEvent(nanoseconds: now, succeeded: false))
            }
        }
    }

    func failed(_ request: IssuedRequest, _ failure: RequestFailure, now: UInt64) {
        state.withLock { state in
            state.outcomes[Int(request.tag)] = .unknown
            state.failures["\(failure)", default: 0] += 1
            state.events.append(ProbeEvent(nanoseconds: now, succeeded: false))
        }
    }
}
