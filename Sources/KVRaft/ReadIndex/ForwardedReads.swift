import KVBase

/// The reads that a follower passes on to its leader: one request at a time stands for all reads that came before it was sent; those
/// that come later go with the next.
///
/// Numbers start at random and grow, so an answer from before a restart or to an earlier request is never taken for this one's.
struct ForwardedReads: Sendable {
    private(set) var number: UInt64
    private var inFlight: [UInt64] = []
    private var next: [UInt64] = []
    private var age = 0

    init(firstNumber: UInt64) {
        number = firstNumber
    }

    var count: Int { inFlight.count + next.count }

    var isInFlight: Bool { !inFlight.isEmpty }

    /// Notes a read; returns whether a request with `number` is to be sent.
    mutating func add(_ context: UInt64) -> Bool {
        next.append(context)
        return startIfIdle()
    }

    /// The contexts that the answer to `number` is for; none where it answers something else.
    mutating func answered(_ answered: UInt64) -> [UInt64] {
        guard answered == number else { return [] }
        defer { inFlight = [] }
        return inFlight
    }

    /// Starts the next request where reads wait and none is on its way.
    mutating func startIfIdle() -> Bool {
        guard inFlight.isEmpty, !next.isEmpty else { return false }
        swap(&inFlight, &next)
        number &+= 1
        age = 0
        return true
    }

    /// A tick passed; returns for how many the request has been on its way.
    mutating func tick() -> Int {
        guard isInFlight else { return 0 }
        age += 1
        return age
    }

    /// Forgets everything; returns the contexts.
    mutating func removeAll() -> [UInt64] {
        defer {
            inFlight = []
            next = []
        }
        return inFlight + next
    }
}
