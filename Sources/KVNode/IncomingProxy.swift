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
    private var sentBytes = 0
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
        let start = encoded.count
        ProxyFormat.append(reply, tag: tag, to: &encoded)
        if sentBytes + encoded.count > ProxyFormat.repliesBytesMax {
            // The caller hears so at once; more than that the connection between the nodes would not take.
            encoded.removeLast(encoded.count - start)
            ProxyFormat.append(.failed(Self.error(inPlaceOf: reply.outcome)), tag: tag, to: &encoded)
        } else if encoded.count >= ProxyFormat.repliesPayloadBytes {
            send()
        }
        if !isEnlisted {
            isEnlisted = true
            enlist(self)
            turnEnd.ask()
        }
    }

    func sendReplies() {
        isEnlisted = false
        send()
    }

    /// Only of a read it is certain that nothing was done.
    private static func error(inPlaceOf outcome: Reply.Outcome) -> ServiceError {
        let text = "the answers to requests that were sent together are over \(ProxyFormat.repliesBytesMax) bytes"
        guard outcome == .found || outcome == .absent else {
            return ServiceError(.unknownOutcome, "\(text): the write may have been done, read before a retry")
        }
        return ServiceError(.tooLarge, "\(text): ask for fewer keys at once")
    }

    private func send() {
        guard !encoded.isEmpty else { return }
        sentBytes += encoded.count
        outbox.add(.replies(ProxiedReplies(id: id, payload: encoded)), to: from)
        encoded = []
    }
}
