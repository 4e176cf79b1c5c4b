package import KVBase

/// What a link to another node did and holds.
package struct PeerStatistics: Sendable, Equatable {
    /// Whether it is up.
    package var isConnected: Bool
    /// Bytes that the system has not taken yet.
    package var queuedBytes: Int
    /// Bytes sent since the node knows the peer, snapshots aside.
    package var sentBytes: UInt64
}

extension NIOPeerTransport {
    /// The links' numbers now.
    ///
    /// On the transport's loop.
    package var statistics: [NodeID: PeerStatistics] {
        links.mapValues {
            PeerStatistics(isConnected: $0.isUp, queuedBytes: $0.queuedBytes, sentBytes: $0.sentBytes)
        }
    }
}
