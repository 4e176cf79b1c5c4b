import KVService
import KVTelemetry
import NIOCore

extension Reply {
    /// How it counts in the metrics.
    var operationOutcome: OperationOutcome {
        switch outcome {
        case .done, .found, .number: .ok
        case .absent: .notFound
        case .conditionFailed: .conditionFailed
        case .failed: error?.code == .unknownOutcome ? .unknown : .failed
        }
    }

    /// The error line of a failure.
    var errorLine: String { error?.respLine ?? "ERR internal: the request failed without a reason" }
}

extension ByteBuffer {
    /// Writes the service's reply in the form that the command answers with.
    mutating func write(_ reply: borrowing Reply, as shape: ReplyShape, isRESP3: Bool, now: @Sendable () -> UInt64) {
        if reply.outcome == .failed { return writeError(reply.errorLine) }
        switch shape {
        case .ok:
            if reply.outcome == .conditionFailed { writeNull(isRESP3: isRESP3) } else { writeStaticString("+OK\r\n") }
        case .value:
            if let value = reply.value { writeBulk(value) } else { writeNull(isRESP3: isRESP3) }
        case .flag:
            writeNumber(reply.outcome == .conditionFailed || reply.outcome == .absent ? 0 : 1)
        case .number, .length:
            writeNumber(reply.outcome == .absent ? 0 : reply.integer)
        case .type:
            if reply.outcome == .absent { writeStaticString("+none\r\n") } else { writeStaticString("+string\r\n") }
        case .secondsToLive, .millisecondsToLive, .expiryInSeconds, .expiryInMilliseconds:
            writeNumber(reply.expiry(as: shape, now: now))
        case .sum, .values, .allOK, .custom:
            writeError("ERR internal: a reply of the wrong kind")
        }
    }

    /// Writes the reply to a command of several requests.
    mutating func write(_ aggregate: Aggregate, as shape: ReplyShape, isRESP3: Bool) {
        if let line = aggregate.errorLine { return writeError(line) }
        switch shape {
        case .sum: writeNumber(aggregate.sum)
        case .allOK: writeStaticString("+OK\r\n")
        default:
            writeArrayHead(aggregate.values.count)
            aggregate.bytes.withUnsafeBytes { bytes in
                for value in aggregate.values {
                    if value.count < 0 {
                        writeNull(isRESP3: isRESP3)
                    } else {
                        writeBulk(UnsafeRawBufferPointer(rebasing: bytes[value.offset..<(value.offset + value.count)]))
                    }
                }
            }
        }
    }
}

extension Reply {
    fileprivate func expiry(as shape: ReplyShape, now: @Sendable () -> UInt64) -> Int64 {
        if outcome == .absent { return -2 }
        if expiresAt == 0 { return -1 }
        let at = Int64(clamping: expiresAt)
        switch shape {
        case .expiryInSeconds: return at / 1_000
        case .expiryInMilliseconds: return at
        default:
            let left = max(0, at - Int64(clamping: now()))
            return shape == .secondsToLive ? (left + 500) / 1_000 : left
        }
    }
}

extension Aggregate {
    /// Takes the reply to one part; the first failure is the whole command's.
    func take(part: Int, _ reply: borrowing Reply, bytesMax: Int) {
        remaining -= 1
        if reply.outcome == .failed {
            if errorLine == nil { errorLine = reply.errorLine }
            return
        }
        if values.isEmpty {
            if reply.outcome == .done || reply.outcome == .found || reply.outcome == .number { sum += 1 }
            return
        }
        guard part < values.count, let value = reply.value else { return }
        guard bytes.count + value.count <= bytesMax else {
            errorLine = "ERR the reply would have over \(bytesMax) bytes"
            return
        }
        values[part] = ArgumentRange(offset: bytes.count, count: value.count)
        bytes.append(contentsOf: value)
    }
}
