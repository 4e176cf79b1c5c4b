/// Takes the replies of requests that were submitted in bulk.
///
/// Called on the connection's event loop, in order of submission: do little, never block.
public protocol RESPReplySink: AnyObject, Sendable {
    /// The reply to the request with this number.
    func received(_ reply: RESPValue, for number: UInt64)

    /// These requests get no reply: the connection is gone. `error` is `.unknownOutcome` where they may have been sent, else
    /// one that says they were not.
    func failed(_ numbers: Range<UInt64>, _ error: ClientError)

    /// Everything that came in one read has been handed over: a good moment to pass it on in one go.
    func paused()
}
