package import KVBase

/// Why a request was not served, the same for every edge; each edge has one table from codes to its own.
package struct ServiceError: Error, Equatable, Sendable {
    /// The kind of failure.
    ///
    /// Open: an edge treats one that it does not know as `internalError`.
    package struct Code: Hashable, Sendable, RawRepresentable {
        /// The name as HTTP shows it.
        package let rawValue: String
        /// The code with this name.
        package init(rawValue: String) { self.rawValue = rawValue }

        /// The request makes no sense; the message says what would.
        package static let badRequest = Code(rawValue: "bad_request")
        /// A key, value or batch over its limit.
        package static let tooLarge = Code(rawValue: "too_large")
        /// The value is not a decimal 64-bit number.
        package static let notAnInteger = Code(rawValue: "not_an_integer")
        /// The value is not a decimal number with or without a fraction.
        package static let notANumber = Code(rawValue: "not_a_number")
        /// A number would leave 64 bits, or a value its limit.
        package static let outOfRange = Code(rawValue: "out_of_range")
        /// No leader was found in time; nothing was done.
        package static let noLeader = Code(rawValue: "no_leader")
        /// This replica is not the leader and was told not to proxy.
        package static let notLeader = Code(rawValue: "not_leader")
        /// The shard is moving or its epoch is another; nothing was done.
        package static let moving = Code(rawValue: "moving")
        /// A queue is full; nothing was done.
        package static let overloaded = Code(rawValue: "overloaded")
        /// The disk has no room; nothing was done.
        package static let diskFull = Code(rawValue: "disk_full")
        /// The write may or may not take effect.
        package static let unknownOutcome = Code(rawValue: "unknown_outcome")
        /// The read did not finish in time.
        package static let timeout = Code(rawValue: "timeout")
        /// Stored bytes fail their checksum.
        package static let corruption = Code(rawValue: "corruption")
        /// The node is starting, stopping or refuses to serve; the message says why.
        package static let unavailable = Code(rawValue: "unavailable")
        /// A cursor that this node does not know.
        package static let cursorExpired = Code(rawValue: "cursor_expired")
        /// What is named does not exist.
        package static let notFound = Code(rawValue: "not_found")
        /// What is asked for does not go with how things stand, and nothing was done.
        ///
        /// The message has the values.
        package static let conflict = Code(rawValue: "conflict")
        /// A failure of the program; the message has what is known.
        package static let internalError = Code(rawValue: "internal")
    }

    /// The kind.
    package let code: Code
    /// What was attempted, on what, and what to do.
    package let message: String
    /// Where the leader is, where known: its address for clients of the edge that asked.
    package var leader: NodeID?
    /// With `leader`: the key's slot, where the caller asked to be sent there.
    package var slot: Slot?

    /// An error of this kind.
    package init(_ code: Code, _ message: String, leader: NodeID? = nil, slot: Slot? = nil) {
        self.code = code
        self.message = message
        self.leader = leader
        self.slot = slot
    }

    /// Whether the same request may be sent again without harm and may then succeed.
    package var isRetryable: Bool {
        switch code {
        case .noLeader, .notLeader, .moving, .overloaded, .diskFull, .timeout, .unavailable: true
        default: false
        }
    }
}

extension ServiceError.Code {
    /// Every kind that this version makes, for the edges' tables and the tests over them.
    package static let all: [ServiceError.Code] = [
        .badRequest, .tooLarge, .notAnInteger, .notANumber, .outOfRange, .noLeader, .notLeader, .moving, .overloaded,
        .diskFull, .unknownOutcome, .timeout, .corruption, .unavailable, .cursorExpired, .notFound, .conflict,
        .internalError,
    ]
}
