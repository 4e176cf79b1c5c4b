/// The answer to one request, borrowed: `value` is a view that is valid only during the call that hands it over, so that a
/// read copies bytes once, into the edge's own buffer.
package struct Reply {
    /// How a request ended.
    package enum Outcome: UInt8, Sendable {
        /// A write took effect: `version`; `value` is the previous one where asked for and there.
        case done = 0
        /// A get or head found the key: `version`, `expiresAt`, `integer` (length), and for a get `value`.
        case found = 1
        /// A get, head, expire or delete found no key.
        case absent = 2
        /// An increment's new number, an append's new length, an expire's 1 or 0 in `integer`; `version` where changed.
        case number = 3
        /// The condition did not hold, nothing changed: `version` is the present one (0 absent), `value` the present value
        /// where the previous one was asked for.
        case conditionFailed = 4
        /// Nothing else applies: `error` says why.
        case failed = 5
    }

    /// How it ended.
    package var outcome: Outcome
    /// The key's version after the request; 0 where it is absent.
    package var version: UInt64
    /// When the key expires, in milliseconds since 1970; 0 for never.
    package var expiresAt: UInt64
    /// A number where the outcome has one.
    package var integer: Int64
    /// Bytes where the outcome has some; nil is "no value", not "empty".
    ///
    /// SAFETY: valid only until the call that passed the reply returns.
    package var value: UnsafeRawBufferPointer?
    /// Why it failed.
    package var error: ServiceError?

    /// A reply with these parts.
    package init(
        _ outcome: Outcome,
        version: UInt64 = 0,
        expiresAt: UInt64 = 0,
        integer: Int64 = 0,
        value: UnsafeRawBufferPointer? = nil,
        error: ServiceError? = nil
    ) {
        self.outcome = outcome
        self.version = version
        self.expiresAt = expiresAt
        self.integer = integer
        self.value = value
        self.error = error
    }

    /// A failure.
    package static func failed(_ error: ServiceError) -> Reply { Reply(.failed, error: error) }
}

/// Whoever waits for replies: a connection of an edge, a proxying peer, an `async` caller.
package protocol ReplySink: AnyObject, Sendable {
    /// The reply to the request that was submitted with `tag`. Called exactly once for each, in any order, on the node's home
    /// scheduler or inside `submit` itself; copies what it needs of `reply.value` before it returns.
    func complete(_ tag: UInt64, _ reply: borrowing Reply)
}
