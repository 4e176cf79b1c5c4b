import KVBase
import KVReplication
import NIOCore

/// Everything between this node and one other: the connection that this node dialled and sends on, the one that it accepted and
/// hears on, the bulk connection, and the wait before the next attempt.
///
/// The link is up while both streams are ready. When either ends, the other is closed too and both sides dial again: a link is
/// never half up for longer than that.
final class PeerLink: @unchecked Sendable {
    // SENDABLE: confined to the transport's event loop; closures carry it only back to that loop.
    let node: NodeID
    var address: PeerAddress
    /// The stream that is being opened.
    var dialing: PeerConnection?
    /// The stream that this node sends on.
    var outgoing: PeerConnection?
    /// The stream that this node hears on.
    var incoming: PeerConnection?
    /// The peer's bulk connection to this node.
    var incomingBulk: PeerConnection?
    /// This node's bulk connection to the peer.
    let bulk: BulkSender
    /// Whether `peerConnected` was said and `peerDisconnected` was not.
    var isUp = false
    /// Bytes of frames that the system has not taken yet.
    var queuedBytes = 0
    /// Bytes of frames since the link was made.
    var sentBytes: UInt64 = 0
    /// Why the last attempt failed or the last connection ended.
    var lastProblem: String?
    private var attempts = 0
    private var redial: Scheduled<Void>?

    /// A link that is down.
    init(node: NodeID, address: PeerAddress, bulk: BulkSender) {
        self.node = node
        self.address = address
        self.bulk = bulk
    }

    /// Whether both streams are ready.
    var isWhole: Bool { outgoing?.isReady == true && incoming?.isReady == true }

    /// Closes every connection, with a goodbye where there is a reason to tell.
    func closeAll(_ reason: String?, isStopping: Bool = false) {
        let all = [dialing, outgoing, incoming, incomingBulk]
        dialing = nil
        outgoing = nil
        incoming = nil
        incomingBulk = nil
        queuedBytes = 0
        for connection in all { connection?.abandon(reason, isStopping: isStopping) }
        bulk.close(reason, isStopping: isStopping)
    }

    /// Forgets failed attempts: the next wait is the shortest.
    func resetBackOff() { attempts = 0 }

    /// Calls `dial` after the wait that the attempts so far ask for.
    func scheduleRedial(on loop: any EventLoop, _ settings: PeerSettings, _ dial: @escaping @Sendable () -> Void) {
        redial?.cancel()
        let shortest = max(1, settings.backOffMin.timeAmount.nanoseconds)
        let longest = max(shortest, settings.backOffMax.timeAmount.nanoseconds)
        let ceiling = min(longest, shortest << min(attempts, 10))
        attempts += 1
        redial = loop.scheduleTask(in: .nanoseconds(Int64.random(in: (ceiling / 2)...ceiling)), dial)
    }

    /// Calls off the next attempt.
    func cancelRedial() {
        redial?.cancel()
        redial = nil
    }
}
