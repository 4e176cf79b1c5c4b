import CEpoll
import Glibc

/// A connection of the load generator that speaks HTTP/2 and gRPC, as much of it as a load needs.
///
/// Headers are indexed after the first call, as libraries do. An answer went well where a message came: a server that refuses a call sends
/// headers alone, so headers need not be decoded.
final class CallConnection {
    private enum Frame {
        static let data: UInt8 = 0
        static let headers: UInt8 = 1
        static let reset: UInt8 = 3
        static let settings: UInt8 = 4
        static let ping: UInt8 = 6
        static let goAway: UInt8 = 7
        static let windowUpdate: UInt8 = 8
    }

    private static let endStream: UInt8 = 1
    private static let endHeaders: UInt8 = 4
    private static let acknowledged: UInt8 = 1
    /// After how many bytes the other side is given room again.
    private static let roomEvery = 1 << 20

    let descriptor: Int32
    private let kind: CallKind
    private let host: String
    let output = ByteQueue()
    private let input = ByteQueue()
    private var nextStream: UInt32 = 1
    private var hasIndexed = false
    /// When each call was sent, by stream, or by id in a pipeline.
    private var sent: [UInt32: UInt64] = [:]
    private var answered: Set<UInt32> = []
    private var window = 65_535
    private var initialWindow = 65_535
    private var streamWindow = 65_535
    private var received = 0
    private var scanner = AnswerScanner()
    private var nextID: UInt32 = 1

    /// A connection that is being opened.
    init(_ endpoint: LoadEndpoint, _ kind: CallKind) throws {
        guard let descriptor = endpoint.connect() else {
            throw BenchmarkError("cannot connect to \(endpoint.name): \(String(cString: strerror(errno)))")
        }
        self.descriptor = descriptor
        self.kind = kind
        host = endpoint.name
        output.append("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        // Windows so large that the other side never waits; no table for its headers, which are not read.
        append(
            Frame.settings,
            0,
            0,
            [0, 1, 0, 0, 0, 0, 0, 4, 0x3f, 0xff, 0xff, 0xff]
        )
        append(Frame.windowUpdate, 0, 0, [0x3f, 0xff, 0, 0])
    }

    deinit { close(descriptor) }

    var inFlight: Int { sent.count }

    /// Sends requests until `depth` are under way, as far as the other side has room.
    func fill(depth: Int, now: UInt64, _ next: (inout [UInt8]) -> Void) {
        if kind == .pipeline { return fillPipeline(depth: depth, now: now, next) }
        var message: [UInt8] = []
        while sent.count < depth {
            message.removeAll(keepingCapacity: true)
            message += [0, 0, 0, 0, 0]
            next(&message)
            Self.setLength(&message, from: 0)
            guard window >= message.count else { return }
            window -= message.count
            appendHeaders(nextStream)
            append(Frame.data, Self.endStream, nextStream, message)
            sent[nextStream] = now
            nextStream += 2
        }
    }

    private func fillPipeline(depth: Int, now: UInt64, _ next: (inout [UInt8]) -> Void) {
        guard sent.count < depth else { return }
        if !hasIndexed { appendHeaders(1) }
        var message: [UInt8] = [0, 0, 0, 0, 0]
        var put: [UInt8] = []
        while sent.count < depth {
            put.removeAll(keepingCapacity: true)
            next(&put)
            guard min(window, streamWindow) >= message.count + put.count + CallKind.overheadBytesMax,
                message.count + put.count < 15_000
            else { break }
            CallKind.append(call: UInt64(nextID), put: put, to: &message)
            sent[nextID] = now
            nextID &+= 1
        }
        guard message.count > 5 else { return }
        Self.setLength(&message, from: 0)
        window -= message.count
        streamWindow -= message.count
        append(Frame.data, 0, 1, message)
    }

    private static func setLength(_ message: inout [UInt8], from start: Int) {
        let length = message.count - start - 5
        for place in 0..<4 { message[start + 1 + place] = UInt8(truncatingIfNeeded: length >> (24 - 8 * place)) }
    }

    /// Reads what came and hands over each call that ended: its time, and whether it went well.
    /// - Throws: where the connection ended or is no HTTP/2.
    func receive(now: UInt64, _ completed: (_ nanoseconds: UInt64, _ isGood: Bool) -> Void) throws {
        switch input.read(descriptor) {
        case .wouldBlock: return
        case .ended: throw BenchmarkError("\(host) closed the connection")
        case .moved: break
        }
        var taken = 0
        let bytes = input.bytes
        while bytes.count - taken >= 9 {
            let length = Int(bytes[taken]) << 16 | Int(bytes[taken + 1]) << 8 | Int(bytes[taken + 2])
            guard bytes.count - taken >= 9 + length else { break }
            let (frame, flags) = (bytes[taken + 3], bytes[taken + 4])
            let stream = bytes[(taken + 5)..<(taken + 9)].reduce(UInt32(0)) { $0 << 8 | UInt32($1) } & 0x7fff_ffff
            let payload = UnsafeRawBufferPointer(rebasing: bytes[(taken + 9)..<(taken + 9 + length)])
            try take(frame, flags, stream, payload, now, completed)
            taken += 9 + length
        }
        input.consume(taken)
        if received >= Self.roomEvery {
            let count = UInt32(received)
            append(Frame.windowUpdate, 0, 0, Self.bytes(count))
            if kind == .pipeline { append(Frame.windowUpdate, 0, 1, Self.bytes(count)) }
            received = 0
        }
    }

    private func take(
        _ frame: UInt8,
        _ flags: UInt8,
        _ stream: UInt32,
        _ payload: UnsafeRawBufferPointer,
        _ now: UInt64,
        _ completed: (UInt64, Bool) -> Void
    ) throws {
        switch frame {
        case Frame.data:
            received += payload.count
            if kind == .pipeline {
                let isWhole = scanner.take(payload) { id, isError in
                    guard let then = sent.removeValue(forKey: UInt32(truncatingIfNeeded: id)) else { return }
                    completed(now - then, !isError)
                }
                guard isWhole else { throw BenchmarkError("\(host) sent what is no answer") }
            } else {
                answered.insert(stream)
            }
            if flags & Self.endStream != 0 { end(stream, now, completed) }
        case Frame.headers:
            guard flags & Self.endStream != 0 else { return }
            if kind == .pipeline { throw BenchmarkError("\(host) ended the pipeline") }
            end(stream, now, completed)
        case Frame.reset:
            if kind == .pipeline { throw BenchmarkError("\(host) ended the pipeline") }
            answered.remove(stream)
            end(stream, now, completed)
        case Frame.settings:
            guard flags & Self.acknowledged == 0 else { return }
            var rest = payload[...]
            while rest.count >= 6 {
                let setting = rest.prefix(6)
                let value = setting.dropFirst(2).reduce(0) { $0 << 8 | Int($1) }
                if setting[setting.startIndex + 1] == 4 {
                    streamWindow += value - initialWindow
                    initialWindow = value
                }
                rest = rest.dropFirst(6)
            }
            append(Frame.settings, Self.acknowledged, 0, [])
        case Frame.ping:
            if flags & Self.acknowledged == 0 { append(Frame.ping, Self.acknowledged, 0, [UInt8](payload)) }
        case Frame.windowUpdate:
            let count = payload.reduce(0) { $0 << 8 | Int($1) }
            if stream == 0 { window += count } else if kind == .pipeline { streamWindow += count }
        case Frame.goAway: throw BenchmarkError("\(host) ends the connection")
        default: return
        }
    }

    private func end(_ stream: UInt32, _ now: UInt64, _ completed: (UInt64, Bool) -> Void) {
        guard let then = sent.removeValue(forKey: stream) else { return }
        completed(now - then, answered.remove(stream) != nil)
    }

    // MARK: Frames

    private func appendHeaders(_ stream: UInt32) {
        // :method POST, :scheme http, then four that the table takes at the first call.
        var block: [UInt8] = [0x83, 0x86]
        if hasIndexed {
            block += [0x80 | 65, 0x80 | 64, 0x80 | 63, 0x80 | 62]
        } else {
            Self.append(name: [0x40 | 4], kind.path, to: &block)
            Self.append(name: [0x40 | 1], host, to: &block)
            Self.append(name: [0x40, 2] + Array("te".utf8), "trailers", to: &block)
            Self.append(name: [0x40 | 31], "application/grpc", to: &block)
            hasIndexed = true
        }
        append(Frame.headers, Self.endHeaders, stream, block)
    }

    private static func append(name: [UInt8], _ value: String, to block: inout [UInt8]) {
        block += name
        block.append(UInt8(value.utf8.count))
        block += Array(value.utf8)
    }

    private static func bytes(_ number: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: number >> (24 - 8 * $0)) }
    }

    private func append(_ frame: UInt8, _ flags: UInt8, _ stream: UInt32, _ payload: [UInt8]) {
        let length = Self.bytes(UInt32(payload.count))
        let head = (
            length[1], length[2], length[3], frame, flags, UInt8(truncatingIfNeeded: stream >> 24),
            UInt8(truncatingIfNeeded: stream >> 16), UInt8(truncatingIfNeeded: stream >> 8),
            UInt8(truncatingIfNeeded: stream)
        )
        withUnsafeBytes(of: head) { output.append($0) }
        payload.withUnsafeBytes { output.append($0) }
    }
}
