package import KVBase
package import KVService

/// Whom the reply to one request goes to, and until when it is waited for.
package struct Origin: Sendable {
    /// Who waits.
    package let sink: any ReplySink
    /// The number that the waiter gave it.
    package let tag: UInt64
    /// When the waiter stops waiting, in monotonic nanoseconds.
    package let deadline: UInt64

    /// An origin with these parts.
    package init(sink: any ReplySink, tag: UInt64, deadline: UInt64) {
        self.sink = sink
        self.tag = tag
        self.deadline = deadline
    }

    /// Answers.
    package func complete(_ reply: borrowing Reply) {
        sink.complete(tag, reply)
    }

    /// Answers with an error.
    package func fail(_ error: ServiceError) {
        sink.complete(tag, .failed(error))
    }
}

/// One request where it stands in a batch, with the shard that owns it: what the router hands to a group.
///
/// SAFETY: `bytes` is a view that is valid during the call that passes it.
package struct RoutedRequest {
    /// The request, encoded.
    package let bytes: UnsafeRawBufferPointer
    /// The batch's description of it.
    package let item: RequestBatch.Item
    /// The shard of its slot.
    package let shard: ShardID
    /// The shard's epoch by which it was routed.
    package let epoch: Epoch

    /// A request with these parts.
    package init(bytes: UnsafeRawBufferPointer, item: RequestBatch.Item, shard: ShardID, epoch: Epoch) {
        self.bytes = bytes
        self.item = item
        self.shard = shard
        self.epoch = epoch
    }
}
