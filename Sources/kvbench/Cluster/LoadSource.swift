import Foundation

/// The requests of one thread of a load, and what became of them.
// SENDABLE: one thread uses it; it is read after that thread has ended.
final class LoadSource: RequestSource, @unchecked Sendable {
    private(set) var tally = LoadTally()
    private let settings: LoadSettings
    private var random: SplitMix
    private var keys: KeyChooser
    private let values: [UInt8]
    private let begin: UInt64
    private let measureFrom: UInt64
    private let end: UInt64
    private let giveUpAt: UInt64
    private let interval: Double?
    private var issued: UInt64 = 0
    private let issuedMax: UInt64

    /// The source of the thread with this number; all of them begin at `begin`.
    init(_ settings: LoadSettings, thread: Int, begin: UInt64) {
        self.settings = settings
        let (own, count) = (UInt64(thread), UInt64(settings.threads))
        random = SplitMix(seed: settings.seed &+ own &* 0x5851_f42d_4c95_7f2d)
        keys = KeyChooser(settings.keys, start: own, step: count)
        var filler = SplitMix(seed: settings.seed ^ 0x76_616c_7565)
        values = (0..<(settings.valueBytes.upperBound + 4_096)).map { _ in UInt8(0x20 + filler.next() % 95) }
        let warmup = settings.requests == nil ? UInt64(settings.warmupSeconds * 1e9) : 0
        measureFrom = begin + warmup
        end = settings.requests == nil ? measureFrom + UInt64(settings.seconds * 1e9) : .max
        giveUpAt = end == .max ? .max : end + UInt64(settings.timeoutSeconds * 1e9)
        issuedMax = settings.requests.map { $0 / count + (own < $0 % count ? 1 : 0) } ?? .max
        interval = settings.rate.map { 1e9 * Double(count) / $0 }
        // The threads take turns.
        self.begin = begin + UInt64((interval ?? 0) * Double(own) / Double(count))
    }

    @inline(__always)
    func nextDue(_ now: UInt64) -> UInt64? {
        guard issued < issuedMax else { return nil }
        // Not before the beginning: what is due earlier is not counted.
        guard let interval else { return now < end ? max(now, begin) : nil }
        let due = begin + UInt64(Double(issued) * interval)
        // What was due before the end is sent even when it is late, but not for ever.
        guard due < end, now < giveUpAt else {
            if due < end { tally.unsent = UInt64(max(0, Double(end - due) / interval)) }
            return nil
        }
        return due
    }

    func issue(into queue: ByteQueue, due: UInt64) -> UInt64 {
        issued += 1
        let kind = settings.mix.kind(random.next())
        let number = keys.draw(random.next())
        switch kind {
        case .put:
            queue.append("*3\r\n$3\r\nSET\r\n")
            keys.append(number, to: queue)
            let range = settings.valueBytes
            let drawn = random.next()
            let count = range.lowerBound + Int(drawn % UInt64(range.count))
            let offset = Int((drawn >> 40) % 4_096)
            values.withUnsafeBytes { bytes in
                queue.append(word: UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset + count)]))
            }
        case .get:
            queue.append("*2\r\n$3\r\nGET\r\n")
            keys.append(number, to: queue)
        case .delete:
            queue.append("*2\r\n$3\r\nDEL\r\n")
            keys.append(number, to: queue)
        }
        return UInt64(kind.rawValue)
    }

    func completed(_ request: IssuedRequest, _ reply: ScannedReply, now: UInt64) {
        guard request.due >= measureFrom, let kind = OperationMix.Kind(rawValue: UInt8(request.tag)) else { return }
        note(request, now)
        switch reply.kind {
        case .error: tally.failed(reply.errorCode, second: second(request))
        case .null: success(kind, true, request, now)
        case .integer(let count): success(kind, count == 0, request, now)
        case .simple, .bulk, .array: success(kind, false, request, now)
        }
    }

    func failed(_ request: IssuedRequest, _ failure: RequestFailure, now: UInt64) {
        guard request.due >= measureFrom else { return }
        note(request, now)
        switch failure {
        case .connectionLost: tally.failed("connection lost", second: second(request))
        case .timedOut: tally.failed("timed out", second: second(request))
        case .malformed: tally.failed("malformed reply", second: second(request))
        }
    }

    @inline(__always)
    private func success(_ kind: OperationMix.Kind, _ isAbsent: Bool, _ request: IssuedRequest, _ now: UInt64) {
        let latency = now > request.due ? now - request.due : 0
        tally.succeeded(kind, isAbsent: isAbsent, second: second(request), nanoseconds: latency)
    }

    @inline(__always)
    private func second(_ request: IssuedRequest) -> Int { Int((request.due - measureFrom) / 1_000_000_000) }

    @inline(__always)
    private func note(_ request: IssuedRequest, _ now: UInt64) {
        tally.firstDue = min(tally.firstDue, request.due)
        tally.lastDone = max(tally.lastDone, now)
    }
}
