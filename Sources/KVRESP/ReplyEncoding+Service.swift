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
        case .renamed:
            if reply.outcome == .absent { writeError(noSuchKey) } else { writeStaticString("+OK\r\n") }
        case .renamedIfAbsent:
            if reply.outcome == .absent {
                writeError(noSuchKey)
            } else {
                writeNumber(reply.outcome == .conditionFailed ? 0 : 1)
            }
        case .encoding:
            if let value = reply.value { writeBulk(encodingName(value)) } else { writeNull(isRESP3: isRESP3) }
        case .references:
            if let value = reply.value { writeNumber(references(value)) } else { writeNull(isRESP3: isRESP3) }
        case .sum, .values, .allOK, .watched, .range, .memory, .transaction, .errorWherePresent, .custom:
            writeError("ERR internal: a reply of the wrong kind")
        }
    }

    /// Writes the service's reply in a form that needs more than the shape.
    mutating func write(
        _ reply: borrowing Reply,
        as shape: ReplyShape,
        _ detail: Aggregate,
        isRESP3: Bool,
        now: @Sendable () -> UInt64
    ) {
        if let capture = detail.capture { return write(reply, capture, isRESP3: isRESP3, now: now) }
        if reply.outcome == .failed { return writeError(reply.errorLine) }
        if shape == .errorWherePresent {
            guard reply.outcome != .absent else { return writeNull(isRESP3: isRESP3) }
            return writeError(detail.errorLine ?? RESPError.syntax.text)
        }
        if shape == .memory {
            guard reply.outcome != .absent else { return writeNull(isRESP3: isRESP3) }
            // The row, its key and what an index entry takes.
            return writeNumber(reply.integer + detail.range.start + 64)
        }
        let value = reply.value ?? UnsafeRawBufferPointer(start: nil, count: 0)
        writeBulk(detail.slice(of: value))
    }

    /// Writes the reply to a command of several requests.
    mutating func write(_ aggregate: Aggregate, as shape: ReplyShape, isRESP3: Bool) {
        if let line = aggregate.errorLine { return writeError(line) }
        switch shape {
        case .sum: writeNumber(aggregate.sum)
        case .allOK, .watched: writeStaticString("+OK\r\n")
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

private let noSuchKey = "ERR no such key"

/// What Redis would call the encoding of these bytes.
private func encodingName(_ value: UnsafeRawBufferPointer) -> String {
    if parseInteger(value) != nil { return "int" }
    return value.count <= 44 ? "embstr" : "raw"
}

/// What Redis would count: small numbers are shared by all keys for ever.
private func references(_ value: UnsafeRawBufferPointer) -> Int64 {
    parseInteger(value).map { (0..<10_000).contains($0) } == true ? Int64(Int32.max) : 1
}

extension Aggregate {
    /// The bytes in the range, as GETRANGE counts.
    func slice(of value: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        let count = Int64(value.count)
        let none = UnsafeRawBufferPointer(start: nil, count: 0)
        if range.start < 0, range.end < 0, range.start > range.end { return none }
        // The smallest numbers plus a count do not overflow; larger ones are not added to.
        let start = max(0, range.start < 0 ? range.start + count : range.start)
        let end = min(count - 1, max(0, range.end < 0 ? range.end + count : range.end))
        guard count > 0, start <= end else { return none }
        return UnsafeRawBufferPointer(rebasing: value[Int(start)...Int(end)])
    }

    /// Takes the reply to one part; the first failure is the whole command's.
    func take(part: Int, _ reply: borrowing Reply, bytesMax: Int) {
        remaining -= 1
        if reply.outcome == .failed {
            if errorLine == nil { errorLine = reply.errorLine }
            return
        }
        if !versions.isEmpty { versions[part] = reply.outcome == .absent ? 0 : reply.version }
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
