import KVReplication
import NIOCore

/// Sends snapshot chunks to one node over a connection of their own: one frame at a time, no faster than the set rate, from a
/// queue bounded in bytes, so that neither the node's memory nor its heartbeats feel how large a snapshot is.
final class BulkSender: @unchecked Sendable {
    // SENDABLE: confined to the transport's event loop; closures carry it only back to that loop.
    private let loop: any EventLoop
    private let settings: PeerSettings
    private let dial: (BulkSender) -> PeerConnection?
    private var queue: [PeerMessage] = []
    private var queueHead = 0
    private var queuedBytes = 0
    private(set) var connection: PeerConnection?
    private var isWriting = false
    private var timer: Scheduled<Void>?
    /// When the rate allows the next frame.
    private var nextSend = NIODeadline.uptimeNanoseconds(0)
    private var lastUse = NIODeadline.now()

    /// A sender that opens its connection with `dial` when it has something to send.
    init(loop: any EventLoop, settings: PeerSettings, dial: @escaping (BulkSender) -> PeerConnection?) {
        self.loop = loop
        self.settings = settings
        self.dial = dial
    }

    /// Queues a message; false where the queue is full or the message outgrows a frame.
    func send(_ message: PeerMessage) -> Bool {
        let bytes = message.wireBytesMax
        guard bytes <= settings.frameBytesMax, queuedBytes + bytes <= settings.bulkQueueBytesMax else { return false }
        queue.append(message)
        queuedBytes += bytes
        lastUse = .now()
        if connection == nil { connection = dial(self) }
        pump()
        return true
    }

    /// Goes on where the connection has become ready.
    func connectionIsReady() { pump() }

    /// Forgets the connection and everything queued: whoever sends snapshots starts over.
    func connectionClosed() {
        connection = nil
        clear()
    }

    /// Closes the connection and forgets everything queued.
    func close(_ reason: String?, isStopping: Bool = false) {
        connection?.abandon(reason, isStopping: isStopping)
        connectionClosed()
    }

    /// Keeps the connection, or closes one that has had nothing to send for long.
    func tick(now: NIODeadline) {
        guard let connection else { return }
        if queueHead == queue.count, !isWriting, now - lastUse > settings.bulkIdleTimeout.timeAmount {
            close("nothing left to send")
        } else {
            connection.tick(now: now)
        }
    }

    private func clear() {
        queue = []
        queueHead = 0
        queuedBytes = 0
        isWriting = false
        timer?.cancel()
        timer = nil
    }

    private func pump() {
        guard let connection, connection.isReady, !isWriting, timer == nil, queueHead < queue.count else { return }
        let now = NIODeadline.now()
        guard now >= nextSend else {
            timer = loop.scheduleTask(deadline: nextSend) { [self] in
                timer = nil
                pump()
            }
            return
        }
        let message = queue[queueHead]
        queueHead += 1
        queuedBytes -= message.wireBytesMax
        if queueHead == queue.count {
            queue = []
            queueHead = 0
        } else if queueHead > 64 {
            queue.removeFirst(queueHead)
            queueHead = 0
        }
        write(message, to: connection, now: now)
    }

    private func write(_ message: PeerMessage, to connection: PeerConnection, now: NIODeadline) {
        var frame = ByteBuffer()
        do {
            var payloads: [[UInt8]] = []
            var envelope = WireEnvelope()
            envelope.messages = [message.wire(payloads: &payloads)]
            try PeerFrameEncoder.encode(envelope, payloads: payloads, into: &frame)
        } catch {
            // A message that fits the frame limit fits the length fields.
            preconditionFailure("\(error)")
        }
        lastUse = now
        let wait = Int64(frame.readableBytes) * 1_000_000_000 / Int64(max(1, settings.bulkBytesPerSecond))
        nextSend = max(now, nextSend) + .nanoseconds(wait)
        guard let written = connection.send(frame) else { return }
        isWriting = true
        written.whenComplete { [self, weak connection] _ in
            guard connection === self.connection else { return }
            isWriting = false
            lastUse = .now()
            pump()
        }
    }
}
