import KVBase
import KVReplication
package import KVService

// SCAN's cursors: each is kept by the node that gave it, and any node takes it, because it asks that one.
//
// The question is a proxied `get` of the cursor's eight bytes, addressed to a group that no node has; the answer's value is the key at
// which the scan goes on. It is never routed by slot and never sent again: its asker hears what happened and may ask again.

extension GroupID {
    /// Stands for the asked node itself, which is to look into its table of cursors.
    static let scanPositions = GroupID(UInt32.max)
}

extension Node {
    package func keepScanPosition(_ key: [UInt8]) -> UInt64 { scanPositions.keep(key) }

    package func scanPosition(
        _ cursor: UInt64,
        completion: @escaping @Sendable (Result<[UInt8], ServiceError>) -> Void
    ) {
        if let known = scanPositions.find(cursor) { return completion(.success(known)) }
        onHome { [self] in
            guard !ScanPositions.isOf(cursor, settings.node),
                let target = connected.keys.sorted().first(where: { ScanPositions.isOf(cursor, $0) }),
                proxies.count < settings.proxiedRequestsMax
            else { return completion(.failure(ScanPositions.expired)) }
            var batch = RequestBatch()
            ScanPositions.bytes(of: cursor).withUnsafeBytes { batch.get($0, tag: 0) }
            guard let item = batch.items.first else { return }
            let deadline = clock.monotonicNanoseconds + settings.group.requestTimeoutNanoseconds
            batch.bytes.withUnsafeBytes { bytes in
                proxies.add(
                    RoutedRequest(bytes: bytes, item: item, shard: ShardID(0), epoch: Epoch(0)),
                    origin: Origin(sink: PositionReply(completion), tag: 0, deadline: deadline),
                    target: target,
                    group: .scanPositions,
                    joinsPrevious: false
                )
            }
            turnEnd.ask()
        }
    }

    /// Answers another node's question for places of this node's table.
    func serveScanPositions(_ batch: borrowing RequestBatch, to proxy: IncomingProxy) {
        let items = batch.items
        batch.bytes.withUnsafeBytes { bytes in
            for item in items {
                let start = Int(item.offset)
                let view = UnsafeRawBufferPointer(rebasing: bytes[start..<(start + Int(item.length))])
                // What the batch took in can be decoded; anything else is a place that nobody knows.
                let key = (try? Request(view)).flatMap { ScanPositions.cursor(in: $0.key) }.flatMap(scanPositions.find)
                guard let key else {
                    proxy.complete(item.tag, .failed(ScanPositions.expired))
                    continue
                }
                key.withUnsafeBytes { proxy.complete(item.tag, Reply(.found, value: $0)) }
            }
        }
    }
}

/// Waits for the place of a cursor.
private final class PositionReply: ReplySink {
    private let completion: @Sendable (Result<[UInt8], ServiceError>) -> Void

    init(_ completion: @escaping @Sendable (Result<[UInt8], ServiceError>) -> Void) { self.completion = completion }

    func complete(_ tag: UInt64, _ reply: borrowing Reply) {
        if let value = reply.value {
            completion(.success(Array(value)))
        } else {
            completion(.failure(reply.error ?? ScanPositions.expired))
        }
    }
}
