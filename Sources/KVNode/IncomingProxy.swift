import KVBase
import KVReplication
import KVService

/// Waits for the replies to requests that another node sent here, and sends them back, many in one message.
///
/// SENDABLE: touched on the home scheduler only.
final class IncomingProxy: ReplySink, @unchecked Sendable {
    private let id: UInt64
    private let from: NodeID
    private let outbox: Outbox
    private let turnEnd: TurnEnd
    private let enlist: (IncomingProxy) -> Void
    private var encoded: [UInt8] = []
    private var isEnlisted = false

    /// Collects the replies to batch `id` of node `from`; `enlist` is called when replies are ready; the caller calls `sendReplies` at the end of the turn.
    init(
        _ id: UInt64,
        from: NodeID,
        outbox: Outbox,
        turnEnd: TurnEnd,
        enlist: @escaping (IncomingProxy) -> Void
    ) {
        self.id = id
        self.from = from
        self.outbox = outbox
        self.turnEnd = turnEnd
        self.enlist = enlist
    }

    func complete(_ tag: UInt64, _ reply: borrowing Reply) {
        ProxyFormat.append(reply, tag: tag, to: &encoded)
        if !isEnlisted {
            isEnlisted = true
            enlist(self)
            turnEnd.ask()
        }
    }

    func sendReplies() {
        isEnlisted = false
        guard !encoded.isEmpty else { return }
        outbox.add(.replies(ProxiedReplies(id: id, payload: encoded)), to: from)
        encoded = []
    }
}
