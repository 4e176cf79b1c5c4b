import HTTPTypes
import Hummingbird
import NIOCore
import Synchronization

/// Reads a request's body, at most `bytesMax` bytes: a longer one is refused as soon as that is known, by its head or while it comes.
/// - Throws: 411 where the request does not say how long its body is, 413, 408 where it takes too long, 400 where it ends early.
func readBody(
    _ request: Request,
    _ context: HTTPContext,
    bytesMax: Int,
    timeout: Duration
) async throws(HTTPFailure) -> [UInt8] {
    let length = request.headers[.contentLength]
    let isChunked = request.headers[.transferEncoding] != nil
    var expected: Int?
    if let length {
        guard let count = Int(length), count >= 0 else { throw .badRequest("Content-Length is '\(length)'") }
        guard count <= bytesMax else { throw tooLarge(bytesMax) }
        if count == 0 { return [] }
        expected = count
    } else if !isChunked {
        throw HTTPFailure(
            .lengthRequired,
            "length_required",
            "send Content-Length (0 for an empty value) or a chunked body"
        )
    }
    let deadline = BodyDeadline(context.channel, timeout)
    defer { deadline.cancel() }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(min(expected ?? 0, 1 << 20))
    do {
        for try await part in request.body {
            guard bytes.count + part.readableBytes <= bytesMax else { throw tooLarge(bytesMax) }
            bytes.append(contentsOf: part.readableBytesView)
        }
    } catch let failure as HTTPFailure {
        throw failure
    } catch {
        throw ended(early: "\(error)", deadline)
    }
    if let expected, expected != bytes.count {
        throw ended(early: "\(bytes.count) of \(expected) bytes came", deadline)
    }
    if deadline.isOver { throw ended(early: "", deadline) }
    return bytes
}

private func tooLarge(_ bytesMax: Int) -> HTTPFailure {
    var failure = HTTPFailure(.contentTooLarge, "too_large", "the body is over the limit of \(bytesMax) bytes")
    failure.closesConnection = true
    return failure
}

private func ended(early detail: String, _ deadline: BodyDeadline) -> HTTPFailure {
    var failure =
        deadline.isOver
        ? HTTPFailure(.requestTimeout, "timeout", "the body took too long")
        : HTTPFailure.badRequest("the body ended early: \(detail)")
    failure.closesConnection = true
    return failure
}

/// Stops reading from a client whose body takes too long.
private final class BodyDeadline: Sendable {
    private let hasPassed = Atomic(false)
    private let task = Mutex<Scheduled<Void>?>(nil)

    init(_ channel: (any Channel)?, _ timeout: Duration) {
        guard let channel else { return }
        let amount = TimeAmount.nanoseconds(Int64(timeout / .nanoseconds(1)))
        let scheduled = channel.eventLoop.scheduleTask(in: amount) { [self] in
            hasPassed.store(true, ordering: .relaxed)
            channel.close(mode: .input, promise: nil)
        }
        task.withLock { $0 = scheduled }
    }

    var isOver: Bool { hasPassed.load(ordering: .relaxed) }

    func cancel() {
        task.withLock { $0 }?.cancel()
    }
}
