import KVService
import NIOCore

/// Gathers what commands would have sent and answered, so that they become one request: EXEC and KV.SESSION.
///
/// Owned by its connection, touched on the connection's event loop only.
final class Capture {
    /// One command.
    struct Part {
        var shape: ReplyShape
        /// How many requests it made; 0 where it was answered at once.
        var requests: Int
        /// What its reply is written with, beyond the shape.
        var detail: Aggregate?
        /// Its answer, where it has one already.
        var answer: ByteBuffer?
    }

    private(set) var parts: [Part] = []
    /// How many conditions stand before the commands' requests.
    var checks = 0
    /// Whether the reply is the only command's and no array.
    var isSingle = false

    /// Takes down a command that makes requests.
    /// - Returns: a tag for them, which does not matter.
    func expect(_ shape: ReplyShape, _ requests: Int, _ detail: Aggregate?) -> UInt64 {
        parts.append(Part(shape: shape, requests: requests, detail: detail))
        return 0
    }

    /// Takes down a command's answer.
    func reply(_ write: (inout ByteBuffer, Bool) -> Void, isRESP3: Bool) {
        var answer = ByteBuffer()
        write(&answer, isRESP3)
        parts.append(Part(shape: .custom, requests: 0, answer: answer))
    }

    /// How many requests the commands made.
    var requestCount: Int { parts.reduce(0) { $0 + $1.requests } }
}

extension ByteBuffer {
    /// Writes the reply to a transaction as the replies to its commands.
    mutating func write(
        _ reply: borrowing Reply,
        _ capture: Capture,
        isRESP3: Bool,
        now: @Sendable () -> UInt64
    ) {
        if reply.outcome == .failed { return writeError(reply.errorLine) }
        if reply.outcome == .conditionFailed { return writeNullArray(isRESP3: isRESP3) }
        let start = writerIndex
        if !capture.isSingle { writeArrayHead(capture.parts.count) }
        var writer = PartWriter(capture, isRESP3: isRESP3)
        do throws(DecodingFailure) {
            try writer.write(reply.value, to: &self, now: now)
        } catch {
            moveWriterIndex(to: start)
            writeError("ERR internal: the transaction's replies cannot be read")
        }
    }
}

/// The replies of a transaction are not what its requests ask for.
private struct DecodingFailure: Error {}

/// Goes through the parts of a transaction while its replies come.
private struct PartWriter {
    private let parts: [Capture.Part]
    private let checks: Int
    private let isRESP3: Bool
    private var place = 0
    private var taken = 0
    private var aggregate: Aggregate?

    init(_ capture: Capture, isRESP3: Bool) {
        parts = capture.parts
        checks = capture.checks
        self.isRESP3 = isRESP3
    }

    mutating func write(
        _ bytes: UnsafeRawBufferPointer?,
        to output: inout ByteBuffer,
        now: @Sendable () -> UInt64
    ) throws(DecodingFailure) {
        var isWhole = true
        do {
            try ReplyFormat.decode(bytes ?? UnsafeRawBufferPointer(start: nil, count: 0)) { tag, reply in
                if tag < UInt64(checks) { return }
                writeAnswers(to: &output)
                guard place < parts.count else {
                    isWhole = false
                    return
                }
                take(reply, to: &output, now)
            }
        } catch {
            throw DecodingFailure()
        }
        writeAnswers(to: &output)
        guard isWhole, place == parts.count else { throw DecodingFailure() }
    }

    /// Writes the answers that were there before.
    private mutating func writeAnswers(to output: inout ByteBuffer) {
        while place < parts.count, let answer = parts[place].answer {
            output.writeImmutableBuffer(answer)
            place += 1
        }
    }

    private mutating func take(_ reply: borrowing Reply, to output: inout ByteBuffer, _ now: @Sendable () -> UInt64) {
        let part = parts[place]
        if let detail = part.detail {
            output.write(reply, as: part.shape, detail, isRESP3: isRESP3, now: now)
            place += 1
        } else if part.shape == .sum || part.shape == .values || part.shape == .allOK {
            let aggregate =
                aggregate ?? Aggregate(parts: part.requests, keepsValues: part.shape == .values)
            aggregate.take(part: taken, reply, bytesMax: SessionLimits.transactionReplyBytesMax)
            taken += 1
            self.aggregate = aggregate
            guard aggregate.remaining == 0 else { return }
            output.write(aggregate, as: part.shape, isRESP3: isRESP3)
            self.aggregate = nil
            taken = 0
            place += 1
        } else {
            output.write(reply, as: part.shape, isRESP3: isRESP3, now: now)
            place += 1
        }
    }
}
