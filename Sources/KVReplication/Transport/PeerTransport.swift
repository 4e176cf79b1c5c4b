package import KVBase

/// Sends messages to other nodes.
///
/// Called on the node's home scheduler; never blocks.
package protocol PeerTransport: AnyObject, Sendable {
    /// Queues messages for a node, to leave in one frame where they fit. Dropped where no connection stands or more than the
    /// configured bytes are queued already: Raft sends again, a proxied request is failed by `peerDisconnected` or its deadline.
    /// Returns whether they were queued.
    @discardableResult
    func send(_ messages: [PeerMessage], to node: NodeID) -> Bool
    /// Whether a connection to the node stands and the handshake is done.
    func isConnected(_ node: NodeID) -> Bool
    /// Keeps a connection to a node at `host:port` from now on; where it has one, the address counts from the next attempt.
    func setPeer(_ node: NodeID, address: String)
    /// Closes every connection to a node and dials it no more.
    func removePeer(_ node: NodeID)
    /// Every node that it keeps connections to.
    var peers: [NodeID] { get }
}

/// Hears from other nodes.
///
/// All calls come on the node's home scheduler.
package protocol PeerReceiver: AnyObject, Sendable {
    /// What this node says of itself in every handshake.
    var hello: PeerHello { get }
    /// Whether the node that says this may talk to us; durable knowledge is the receiver's business. A refusal is sent to the
    /// peer as text and logged at both ends. `completion` is called on the home scheduler, perhaps after a sync.
    func admit(_ hello: PeerHello, completion: @escaping @Sendable (PeerVerdict) -> Void)
    /// What a node that wants to become a member must know; `completion` is called on the home scheduler.
    func join(_ hello: PeerHello, completion: @escaping @Sendable (JoinAnswer) -> Void)
    /// A peer says that this node was removed from the cluster.
    func peerSaysRemoved(_ node: NodeID, reason: String)
    /// A connection stands, both sides admitted each other.
    func peerConnected(_ hello: PeerHello)
    /// The last connection to a node went away. `closedByPeer`: its end was closed (the process died or stopped), not a time-out or
    /// our own doing.
    func peerDisconnected(_ node: NodeID, closedByPeer: Bool)
    /// Messages arrived, in the order they were sent.
    func receive(_ messages: [PeerMessage], from node: NodeID)
}

/// What a node says of itself when a connection opens.
package struct PeerHello: Sendable, Equatable {
    /// The cluster it belongs to.
    package var cluster: ClusterID
    /// Its id.
    package var node: NodeID
    /// The life of its data directory.
    package var incarnation: Incarnation
    /// The oldest and newest peer protocol that it speaks.
    package var protocolRange: ClosedRange<UInt32>
    /// The newest feature level that it supports.
    package var featureLevel: UInt32
    /// Its addresses for clients, by edge (`resp`, `http`), and for peers (`peer`).
    package var addresses: [String: String]
    /// Whether it has never voted or acknowledged anything (so a fresh incarnation under a known id is harmless).
    package var isBlank: Bool

    /// A hello with these parts.
    package init(
        cluster: ClusterID,
        node: NodeID,
        incarnation: Incarnation,
        protocolRange: ClosedRange<UInt32>,
        featureLevel: UInt32,
        addresses: [String: String],
        isBlank: Bool
    ) {
        self.cluster = cluster
        self.node = node
        self.incarnation = incarnation
        self.protocolRange = protocolRange
        self.featureLevel = featureLevel
        self.addresses = addresses
        self.isBlank = isBlank
    }
}

/// Whether a peer may talk to us.
package enum PeerVerdict: Sendable, Equatable {
    case admitted
    /// Why not, and what to do about it.
    case refused(String)
    /// It was a member and is one no more.
    case removed(String)
}
