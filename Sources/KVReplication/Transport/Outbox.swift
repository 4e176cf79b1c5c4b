package import KVBase

/// What one turn of the home scheduler wants to tell other nodes, collected so that everything for a node leaves in one frame:
/// the heartbeats of all groups, appends, proxied requests and their replies.
///
/// SENDABLE: touched on the home scheduler only.
package final class Outbox: @unchecked Sendable {
    private var queued: [NodeID: [PeerMessage]] = [:]
    private var transport: (any PeerTransport)?

    /// An outbox that drops everything until a transport is attached.
    package init() {}

    /// Messages go to `transport` from now on.
    package func attach(_ transport: any PeerTransport) {
        self.transport = transport
    }

    /// Queues a message for the end of the turn.
    package func add(_ message: PeerMessage, to node: NodeID) {
        queued[node, default: []].append(message)
    }

    /// Hands one message to the transport at once; returns whether it took it.
    ///
    /// For bulk data, which waits for room.
    package func sendNow(_ message: PeerMessage, to node: NodeID) -> Bool {
        transport?.send([message], to: node) ?? false
    }

    /// Hands everything to the transport; what it does not take is lost, as on a network.
    ///
    /// Proxied requests that it did not take are reported, because then it is certain that they were not delivered.
    package func flush(undelivered: (NodeID, ProxiedRequests) -> Void) {
        guard !queued.isEmpty else { return }
        let leaving = queued
        queued.removeAll(keepingCapacity: true)
        for node in leaving.keys.sorted() {
            guard let messages = leaving[node], !(transport?.send(messages, to: node) ?? false) else { continue }
            for case .requests(let requests) in messages { undelivered(node, requests) }
        }
    }
}
