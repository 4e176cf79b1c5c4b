import NIOCore

/// What happened to one of an import's connections.
enum LaneEvent: Sendable {
    case connected(RESPConnection)
    case connectFailed(String)
    /// Replies in the order of the requests, and when the last of them came.
    case replies([RESPValue], at: ContinuousClock.Instant)
    case lost(ClientError)
}

/// Gathers one connection's replies and posts them in one go.
///
/// SENDABLE: `gathered` is touched only on the connection's event loop.
final class LaneSink: RESPReplySink, @unchecked Sendable {
    private let post: @Sendable (LaneEvent) -> Void
    private var gathered: [RESPValue] = []

    init(post: @escaping @Sendable (LaneEvent) -> Void) {
        self.post = post
    }

    func received(_ reply: RESPValue, for number: UInt64) {
        gathered.append(reply)
    }

    func failed(_ numbers: Range<UInt64>, _ error: ClientError) {
        paused()
        post(.lost(error))
    }

    func paused() {
        guard !gathered.isEmpty else { return }
        post(.replies(gathered, at: ContinuousClock.now))
        gathered = []
    }
}

/// One endpoint's part in an import: at most one connection, and what is in flight on it.
///
/// Belongs to the import's thread.
struct ImportLane {
    enum State {
        case down(until: ContinuousClock.Instant)
        case connecting
        case up(RESPConnection, LaneSink)
    }

    let endpoint: Endpoint
    private(set) var state: State
    /// Counts connections, so that what an old one still posts is told apart.
    private(set) var generation = 0
    /// Sequence numbers in the order in which they were sent.
    private(set) var inFlight = CircularBuffer<UInt64>()
    private(set) var lastFailure: String?
    private(set) var failures = 0
    private var backOff = ImportLane.freshBackOff
    private var nextNumber: UInt64 = 0

    init(_ endpoint: Endpoint, at now: ContinuousClock.Instant) {
        self.endpoint = endpoint
        state = .down(until: now)
    }

    private static var freshBackOff: BackOff { BackOff(from: .milliseconds(20), to: .seconds(1)) }

    var isUp: Bool { if case .up = state { true } else { false } }

    /// When it should be connected again, where it is down.
    var connectAt: ContinuousClock.Instant? { if case .down(let until) = state { until } else { nil } }

    /// A connection is being made; returns the generation its events carry.
    mutating func connecting() -> Int {
        generation += 1
        state = .connecting
        return generation
    }

    mutating func connected(_ connection: RESPConnection, _ sink: LaneSink) {
        state = .up(connection, sink)
    }

    mutating func connectFailed(_ why: String, at now: ContinuousClock.Instant) {
        lastFailure = why
        failures += 1
        state = .down(until: now + backOff.next())
    }

    /// The connection is gone; returns what was in flight.
    mutating func lost(_ why: String, at now: ContinuousClock.Instant) -> CircularBuffer<UInt64> {
        defer { inFlight.removeAll() }
        if case .up(let connection, _) = state { connection.close() }
        lastFailure = why
        state = .down(until: now + backOff.next())
        return inFlight
    }

    mutating func send(_ commands: RESPCommands, _ sequences: [UInt64]) {
        guard case .up(let connection, let sink) = state else {
            preconditionFailure("sending on \(endpoint), which is down")
        }
        inFlight.append(contentsOf: sequences)
        connection.submit(commands, numberedFrom: nextNumber, to: sink)
        nextNumber += UInt64(commands.count)
    }

    /// The request that a reply answers.
    mutating func answered() -> UInt64? { inFlight.popFirst() }

    /// The endpoint stores records: should it fail, the first attempt to come back is quick again.
    mutating func proved() { backOff = Self.freshBackOff }

    mutating func close() {
        if case .up(let connection, _) = state { connection.close() }
        state = .down(until: ContinuousClock.now + .seconds(3600))
    }
}
