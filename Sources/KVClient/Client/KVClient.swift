import AsyncHTTPClient
import KVBase
public import NIOCore
import NIOPosix
import Synchronization

/// A client of a cluster: data over the Redis protocol, listings and administration over HTTP.
///
/// 1. It holds one connection for each endpoint, made when first needed and again after it is lost; any number of tasks share
///    them, their requests pipelined up to a bound.
/// 2. Any node serves any key, so it stays with one endpoint and moves to the next where that one does not answer, or says that
///    it has no leader (`CLUSTERDOWN`), is moving a shard (`TRYAGAIN`) or is overloaded. It waits longer each time round.
/// 3. It knows after a while which of them leads the shard of a key, and asks that one first, which saves a hop (`findsLeaders`).
/// 4. It repeats a request by itself only where that cannot do harm: one that was never sent, one that a node refused, any read,
///    and writes, since they carry a number in a session and nodes do each number once however often it comes. The outcome of a
///    write is unknown only where the deadline passes without an answer: `ClientError.unknownOutcome`. Without `repeatsWrites`
///    writes have no number: they are sent once, and one whose answer is missing is the caller's to decide.
/// 5. It gives up at the request's deadline with the error that says whether the write can still take effect.
///
/// Any thread may call. Keys and values are bytes; the calls that take a `String` use its UTF-8.
public final class KVClient: Sendable {
    /// How the client behaves.
    public struct Configuration: Sendable {
        /// Nodes' RESP addresses, tried in this order; at least one.
        public var endpoints: [Endpoint]
        /// The same nodes' HTTP addresses, for listings, reads that need not be linearizable, and administration.
        public var httpEndpoints: [Endpoint]
        /// How long a request may take in all, with what is repeated.
        public var requestTimeout: Duration
        /// How long one connection may take to come up.
        public var connectTimeout: Duration
        /// The most requests in flight on one connection.
        public var inFlightMax: Int
        /// The wait after the first round in vain; it doubles up to `backOffMax`.
        public var backOffMin: Duration
        /// The longest wait between two rounds.
        public var backOffMax: Duration
        /// Whether writes carry numbers, so that they are repeated and yet done once; see `KVClient`.
        public var repeatsWrites = true
        /// Whether requests go to the node that leads their key's shard, where that is known.
        public var findsLeaders = true
        /// Who the client is; nil where nodes do not ask.
        public var credentials: Credentials?
        /// Whom the client believes; nil where it speaks in the clear.
        public var tls: ClientTLS?

        /// A configuration with these values.
        public init(
            endpoints: [Endpoint],
            httpEndpoints: [Endpoint] = [],
            requestTimeout: Duration = .seconds(5),
            connectTimeout: Duration = .seconds(1),
            inFlightMax: Int = 4096,
            backOffMin: Duration = .milliseconds(10),
            backOffMax: Duration = .milliseconds(500),
            credentials: Credentials? = nil,
            tls: ClientTLS? = nil
        ) {
            self.credentials = credentials
            self.tls = tls
            self.endpoints = endpoints
            self.httpEndpoints = httpEndpoints
            self.requestTimeout = requestTimeout
            self.connectTimeout = connectTimeout
            self.inFlightMax = inFlightMax
            self.backOffMin = backOffMin
            self.backOffMax = backOffMax
        }
    }

    /// How fresh a read must be.
    public enum Consistency: String, Sendable, CaseIterable {
        /// Sees every write that was acknowledged before the read began.
        case linearizable
        /// The same by the leader's lease, where leases are enabled; elsewhere linearizable.
        case lease
        /// What the node that is asked holds itself, however old.
        case stale
    }

    /// What the client was made with.
    public let configuration: Configuration
    private let slots: [ConnectionSlot]
    private let preferred = Atomic<Int>(0)
    private let leaders: LeaderCache
    let http: HTTPAccess
    let sessions = WriteSessions()

    /// A client of these nodes; connects when first used.
    public convenience init(endpoints: [Endpoint], httpEndpoints: [Endpoint] = []) {
        self.init(Configuration(endpoints: endpoints, httpEndpoints: httpEndpoints))
    }

    /// A client configured so, on an event loop group (the process's shared one unless given); connects when first used.
    public init(
        _ configuration: Configuration,
        eventLoopGroup: (any EventLoopGroup)? = nil
    ) {
        self.configuration = configuration
        let eventLoopGroup = eventLoopGroup ?? MultiThreadedEventLoopGroup.singleton
        let options = RESPConnection.Options(
            connectTimeout: configuration.connectTimeout,
            requestTimeout: configuration.requestTimeout,
            inFlightMax: configuration.inFlightMax,
            credentials: configuration.credentials,
            tls: configuration.tls
        )
        slots = configuration.endpoints.map { ConnectionSlot(endpoint: $0, options: options, group: eventLoopGroup) }
        http = HTTPAccess(configuration)
        leaders = LeaderCache(endpoints: slots.count, isUsed: configuration.findsLeaders)
    }

    /// Closes every connection; requests in flight fail.
    ///
    /// The client can not be used afterwards.
    public func shutdown() async {
        for slot in slots { slot.shutdown() }
        await http.shutdown()
    }

    // MARK: Data

    /// The value of a key, or nil where it has none.
    /// - Throws: `ClientError`; a read never ends in `.unknownOutcome`.
    public func get(_ key: [UInt8], consistency: Consistency = .linearizable) async throws(ClientError) -> [UInt8]? {
        guard consistency == .linearizable else {
            guard HTTPAccess.canBePath(key) else { return try await getByListing(key, consistency) }
            return try await http.get(key, consistency)
        }
        switch try await execute([Array("GET".utf8), key], .read, key: key) {
        case .null: return nil
        case .bulk(let bytes): return bytes
        case let other: throw Self.unexpected("GET", other)
        }
    }

    /// Sets a key to a value, and to expire after `timeToLive` where given (at least a millisecond).
    /// - Throws: `ClientError`; `.unknownOutcome` where the write may have taken effect.
    public func put(_ key: [UInt8], _ value: [UInt8], timeToLive: Duration? = nil) async throws(ClientError) {
        var words = [Array("SET".utf8), key, value]
        if let timeToLive {
            let milliseconds = timeToLive.milliseconds
            guard milliseconds > 0 else { throw .invalidArgument("a time to live of \(timeToLive) is none") }
            words += [Array("PX".utf8), Array(String(milliseconds).utf8)]
        }
        let reply = try await write(words, key: key)
        guard reply == .simple("OK") else { throw Self.unexpected("SET", reply) }
    }

    /// Deletes a key; returns whether it was there.
    /// - Throws: `ClientError`; `.unknownOutcome` where the write may have taken effect.
    @discardableResult
    public func delete(_ key: [UInt8]) async throws(ClientError) -> Bool {
        let reply = try await write([Array("DEL".utf8), key], key: key)
        guard case .integer(let count) = reply else { throw Self.unexpected("DEL", reply) }
        return count > 0
    }

    /// Adds to the decimal number that a key holds (0 where it has no value) and returns the sum.
    /// - Throws: `ClientError`; `.unknownOutcome` where the write may have taken effect.
    public func increment(_ key: [UInt8], by amount: Int64 = 1) async throws(ClientError) -> Int64 {
        let reply = try await write([Array("INCRBY".utf8), key, Array(String(amount).utf8)], key: key)
        guard case .integer(let sum) = reply else { throw Self.unexpected("INCRBY", reply) }
        return sum
    }

    /// Sends a request of the Redis protocol as it stands.
    ///
    /// `isRead` says that it changes nothing, so that it may be repeated.
    /// - Throws: `ClientError`; an error reply is `.rejected`.
    public func execute(_ words: [[UInt8]], isRead: Bool) async throws(ClientError) -> RESPValue {
        try await execute(words, isRead ? .read : .write)
    }

    /// What a request is, as far as repeating it goes.
    enum Kind {
        /// It changes nothing.
        case read
        /// It may be done twice where it is sent twice.
        case write
        /// A write that nodes do once however often it comes.
        case once
    }

    func execute(_ words: [[UInt8]], _ kind: Kind, key: [UInt8]? = nil) async throws(ClientError) -> RESPValue {
        guard !slots.isEmpty else { throw .invalidArgument("no endpoint was given") }
        let deadline = ContinuousClock.now + configuration.requestTimeout
        var backOff = BackOff(from: configuration.backOffMin, to: configuration.backOffMax)
        let leader = key.flatMap { leaders.endpoint(for: Slot(key: $0)) }
        var index = leader ?? preferred.load(ordering: .relaxed)
        var refusals: [String] = []
        var connected = false
        var mayHaveBeenDone = false
        while true {
            // One round over all endpoints, then a wait.
            for _ in slots.indices {
                let slot = slots[index % slots.count]
                let attempt = await attempt(words, on: slot, index % slots.count, mayRepeat: kind != .write)
                switch attempt {
                case .done(let value):
                    // Where everything else goes first: not every key's leader in turn.
                    if index != leader { preferred.store(index % slots.count, ordering: .relaxed) }
                    return value
                case .failed(let error):
                    // What an earlier attempt did is not known from why this one was not let in.
                    guard mayHaveBeenDone, !error.isOutcomeUnknown else { throw error }
                    throw .unknownOutcome("sent, then: \(error)")
                case .again(let reason, let reached, let wasSent):
                    leaders.failed(index % slots.count)
                    connected = connected || reached
                    mayHaveBeenDone = mayHaveBeenDone || (wasSent && kind == .once)
                    if refusals.count >= slots.count { refusals.removeFirst() }
                    refusals.append(reason)
                }
                index += 1
                guard ContinuousClock.now < deadline else { break }
            }
            let pause = backOff.next()
            guard ContinuousClock.now + pause < deadline else {
                let text = refusals.joined(separator: "; ")
                if mayHaveBeenDone { throw .unknownOutcome(text) }
                throw connected ? .unavailable(text) : .cannotConnect(text)
            }
            do {
                try await Task.sleep(for: pause)
            } catch {
                throw mayHaveBeenDone ? .unknownOutcome("sent, then cancelled") : .closed
            }
        }
    }

    private enum Attempt {
        case done(RESPValue)
        case failed(ClientError)
        case again(String, reached: Bool, wasSent: Bool = false)
    }

    private func attempt(
        _ words: [[UInt8]],
        on slot: ConnectionSlot,
        _ index: Int,
        mayRepeat: Bool
    ) async -> Attempt {
        do throws(ClientError) {
            let connection = try await slot.connection()
            if leaders.shouldAsk(index) {
                connection.submit(LeaderCache.questions, numberedFrom: 0, to: LeaderCache.Answers(leaders, index))
            }
            let reply = try await connection.send(words)
            guard case .error(let code, let message) = reply else { return .done(reply) }
            switch ReplyCode(code) {
            case .retryable: return .again("\(slot.endpoint): \(code) \(message)", reached: true)
            case .unknown where mayRepeat:
                return .again("\(slot.endpoint): \(code) \(message)", reached: true, wasSent: true)
            case .unknown: return .failed(.unknownOutcome("\(slot.endpoint): \(message)"))
            case .final: return .failed(.rejected(code: code, message: message))
            }
        } catch {
            switch error {
            case .cannotConnect(let text): return .again(text, reached: false)
            // The connection was found closed before anything was sent.
            case .closed where !slot.isShutDown: return .again("\(slot.endpoint): closed", reached: true)
            case .tooManyInFlight: return .again("\(slot.endpoint): \(error)", reached: true)
            case .unknownOutcome(let text) where mayRepeat:
                return .again("\(slot.endpoint): \(text)", reached: true, wasSent: true)
            default: return .failed(error)
            }
        }
    }

    private static func unexpected(_ command: String, _ reply: RESPValue) -> ClientError {
        .protocolViolation("\(command) answered \(reply)")
    }
}

extension KVClient {
    /// The value of a key, or nil where it has none.
    public func get(_ key: String, consistency: Consistency = .linearizable) async throws(ClientError) -> [UInt8]? {
        try await get(Array(key.utf8), consistency: consistency)
    }

    /// Sets a key to a text.
    public func put(_ key: String, _ value: String, timeToLive: Duration? = nil) async throws(ClientError) {
        try await put(Array(key.utf8), Array(value.utf8), timeToLive: timeToLive)
    }

    /// Deletes a key; returns whether it was there.
    @discardableResult
    public func delete(_ key: String) async throws(ClientError) -> Bool {
        try await delete(Array(key.utf8))
    }

    /// Adds to the decimal number that a key holds and returns the sum.
    public func increment(_ key: String, by amount: Int64 = 1) async throws(ClientError) -> Int64 {
        try await increment(Array(key.utf8), by: amount)
    }
}
