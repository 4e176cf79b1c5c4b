/// A request on its way.
struct IssuedRequest {
    /// What the source knows it by.
    var tag: UInt64
    /// When it was to be sent: latency counts from here, however late the connection had room for it.
    var due: UInt64
    /// When it was handed to the connection.
    var sent: UInt64
}

/// Why a request got no reply; it may have been carried out.
enum RequestFailure {
    /// The connection ended before.
    case connectionLost
    /// Nothing came for as long as a request may take.
    case timedOut
    /// What came is no reply.
    case malformed
}

/// Where a loop's requests come from and its replies go; used on the loop's thread only.
protocol RequestSource: AnyObject {
    /// When the next request is to be sent, in the past where it is late; nil where no more follow.
    ///
    /// A source that is always ready (a closed loop) says `now`.
    func nextDue(_ now: UInt64) -> UInt64?
    /// Writes that request.
    func issue(into queue: ByteQueue, due: UInt64) -> UInt64
    /// The reply came.
    func completed(_ request: IssuedRequest, _ reply: ScannedReply, now: UInt64)
    /// No reply will come.
    func failed(_ request: IssuedRequest, _ failure: RequestFailure, now: UInt64)
}
