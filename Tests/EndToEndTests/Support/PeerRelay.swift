import Foundation
import NIOCore
import Synchronization

@testable import KVPeer

/// A port in front of a node's peer port: what others send to the node passes through it and can be harmed on the way.
///
/// Frames are read whole; the connection's other direction passes untouched.
final class PeerRelay: Sendable {
    /// What happens to every `every`th frame that carries log entries.
    enum Harm: Sendable {
        case none
        /// A bit is turned over and the frame's checksum no longer fits.
        case flippedBit(every: Int)
        /// An entry's payload is changed and the frame's checksum made to fit: only the entry's own checksum tells.
        case damagedEntry(every: Int)
    }

    let port: Int
    private let listener: Listener
    private let target: Int
    private let harm = Mutex<Harm>(.none)
    private let seen = Atomic<Int>(0)
    private let harmed = Atomic<Int>(0)

    /// How many frames were harmed so far.
    var harmedCount: Int { harmed.load(ordering: .relaxed) }

    /// Listens on a free port and passes on to `target`, until `stop`.
    init(to target: Int) throws {
        listener = try Listener()
        port = listener.port
        self.target = target
        Thread.detachNewThread { [self] in
            while let near = listener.accept() {
                // Where the node is down, the caller's connection closes at once.
                guard let far = try? Socket(port: target, within: Self.patience) else { continue }
                Thread.detachNewThread { self.passFrames(from: near, to: far) }
                Thread.detachNewThread { Self.passBytes(from: far, to: near) }
            }
        }
    }

    func set(_ harm: Harm) { self.harm.withLock { $0 = harm } }

    func stop() { listener.stop() }

    /// Longer than any test: a connection ends when one of its ends does.
    private static let patience = 600.0

    private static func passBytes(from source: Socket, to sink: Socket) {
        while let bytes = try? source.receive(), !bytes.isEmpty {
            guard (try? sink.send(bytes)) != nil else { break }
        }
        source.finish()
        sink.finish()
    }

    private func passFrames(from source: Socket, to sink: Socket) {
        var decoder = PeerFrameDecoder()
        decoder.frameBytesMax = 64 << 20
        var arrived = ByteBuffer()
        var isFirst = true
        // What cannot be read or sent ends the connection, as a cable that is pulled.
        while let bytes = try? source.receive(), !bytes.isEmpty {
            arrived.writeBytes(bytes)
            var passed = ByteBuffer()
            if isFirst, arrived.readableBytes >= PeerFrameFormat.magic.count {
                PeerFrameEncoder.encodeMagic(into: &passed)
                isFirst = false
            }
            guard (try? passWhole(&decoder, &arrived, to: &passed)) != nil else { break }
            guard (try? sink.send(Array(passed.readableBytesView))) != nil else { break }
        }
        source.finish()
        sink.finish()
    }

    private func passWhole(
        _ decoder: inout PeerFrameDecoder,
        _ arrived: inout ByteBuffer,
        to passed: inout ByteBuffer
    ) throws {
        while let frame = try decoder.next(&arrived) {
            var payload = Array(frame.payload.readableBytesView)
            let start = passed.writerIndex
            let harm = Self.beginsWithEntries(frame.envelope) ? nextHarm() : .none
            if case .damagedEntry = harm { payload[0] ^= 0x40 }
            try PeerFrameEncoder.encode(frame.envelope, payloads: [payload], into: &passed)
            if case .flippedBit = harm, let byte = passed.getInteger(at: start + 20, as: UInt8.self) {
                passed.setInteger(byte ^ 4, at: start + 20)
            }
        }
    }

    private func nextHarm() -> Harm {
        let harm = harm.withLock { $0 }
        let number = seen.add(1, ordering: .relaxed).newValue
        switch harm {
        case .none: return .none
        case .flippedBit(let every), .damagedEntry(let every):
            guard number.isMultiple(of: every) else { return .none }
            harmed.add(1, ordering: .relaxed)
            return harm
        }
    }

    /// Whether the first byte behind the envelope belongs to a log entry.
    private static func beginsWithEntries(_ envelope: WireEnvelope) -> Bool {
        for message in envelope.messages {
            switch message.body {
            case .raft(let raft):
                if raft.entries.payloadBytes.contains(where: { $0 > 0 }) { return true }
                if raft.configurationBytes > 0 { return false }
            case .none: continue
            case .some: return false
            }
        }
        return false
    }
}
