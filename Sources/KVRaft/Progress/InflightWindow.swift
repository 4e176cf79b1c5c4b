import DequeModule
import KVBase

/// The appends that were sent to a follower and are not acknowledged yet, bounded in number and in bytes.
///
/// The byte bound may be passed by one message, or an entry larger than it could never be sent.
struct InflightWindow: Sendable {
    private struct Sent {
        let last: LogIndex
        let bytes: Int
    }

    let countMax: Int
    let bytesMax: Int
    private var sent: Deque<Sent> = []
    private(set) var bytes = 0

    init(countMax: Int, bytesMax: Int) {
        precondition(countMax > 0 && bytesMax > 0, "a window of \(countMax) messages, \(bytesMax) bytes")
        self.countMax = countMax
        self.bytesMax = bytesMax
    }

    var count: Int { sent.count }

    var isFull: Bool { sent.count >= countMax || bytes >= bytesMax }

    /// Notes an append whose last entry is at `last`.
    mutating func add(last: LogIndex, bytes size: Int) {
        precondition(!isFull, "an append past a full window of \(countMax) messages, \(bytesMax) bytes")
        sent.append(Sent(last: last, bytes: size))
        bytes += size
    }

    /// Frees what an acknowledgement through `index` covers.
    mutating func free(through index: LogIndex) {
        while let first = sent.first, first.last <= index {
            bytes -= first.bytes
            sent.removeFirst()
        }
    }

    mutating func removeAll() {
        sent.removeAll(keepingCapacity: true)
        bytes = 0
    }
}
