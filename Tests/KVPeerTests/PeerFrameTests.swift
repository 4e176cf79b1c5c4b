import KVBase
import KVReplication
import NIOCore
import Testing

@testable import KVPeer

struct PeerFrameTests {
    private func frame(_ messages: [PeerMessage], withMagic: Bool = true) throws -> ByteBuffer {
        var buffer = ByteBuffer()
        if withMagic { PeerFrameEncoder.encodeMagic(into: &buffer) }
        var envelope = WireEnvelope()
        var payloads: [[UInt8]] = []
        for message in messages { envelope.messages.append(message.wire(payloads: &payloads)) }
        try PeerFrameEncoder.encode(envelope, payloads: payloads, into: &buffer)
        return buffer
    }

    /// Every message in the bytes, which arrive in these pieces.
    private func decode(_ pieces: [ByteBuffer], limit: Int = 1 << 20) throws(PeerFrameError) -> [PeerMessage] {
        var decoder = PeerFrameDecoder()
        decoder.frameBytesMax = limit
        var arrived = ByteBuffer()
        var messages: [PeerMessage] = []
        for var piece in pieces {
            arrived.writeBuffer(&piece)
            while let frame = try decoder.next(&arrived) { messages += try PeerMessage.decode(frame) }
        }
        return messages
    }

    @Test(arguments: Samples.messages) func `a message of every kind comes back as it was sent`(
        message: PeerMessage
    ) throws {
        let bytes = try frame([message])
        #expect(try decode([bytes]) == [message])
        #expect(bytes.readableBytes - PeerFrameFormat.magic.count <= message.wireBytesMax)
    }

    @Test func `many messages travel in one frame, in order`() throws {
        #expect(try decode([frame(Samples.messages)]) == Samples.messages)
    }

    @Test func `frames may arrive cut at any byte`() throws {
        var whole = try frame(Samples.messages)
        var second = try frame([Samples.messages[0]], withMagic: false)
        whole.writeBuffer(&second)
        for cut in 0...whole.readableBytes {
            let pieces = [
                try #require(whole.getSlice(at: 0, length: cut)),
                try #require(whole.getSlice(at: cut, length: whole.readableBytes - cut)),
            ]
            #expect(try decode(pieces) == Samples.messages + [Samples.messages[0]])
        }
        let single = (0..<whole.readableBytes).compactMap { whole.getSlice(at: $0, length: 1) }
        #expect(try decode(single) == Samples.messages + [Samples.messages[0]])
    }

    @Test func `another program's bytes are refused at the first wrong one`() {
        #expect(throws: PeerFrameError.badMagic(found: [0x47])) { try decode([ByteBuffer(string: "G")]) }
        #expect(throws: PeerFrameError.self) { try decode([ByteBuffer(string: "kvpeer\n")]) }
    }

    @Test func `a frame past the limit is refused by its length alone`() throws {
        var bytes = ByteBuffer(bytes: PeerFrameFormat.magic)
        bytes.writeInteger(UInt32.max, endianness: .little)
        #expect(throws: PeerFrameError.oversized(bytes: 1 << 32 + 3, limit: 1 << 20)) { try decode([bytes]) }
    }

    @Test func `a frame exactly at the limit is taken`() throws {
        let bytes = try frame([Samples.messages[4]])
        let size = bytes.readableBytes - PeerFrameFormat.magic.count
        #expect(try decode([bytes], limit: size) == [Samples.messages[4]])
        #expect(throws: PeerFrameError.oversized(bytes: size, limit: size - 1)) { try decode([bytes], limit: size - 1) }
    }

    @Test func `a flipped bit anywhere in a frame is noticed`() throws {
        let original = try frame([Samples.messages[4]], withMagic: false)
        for place in 0..<original.readableBytes {
            for bit in 0..<8 {
                var bytes = Array(original.readableBytesView)
                bytes[place] ^= 1 << bit
                let result = Result { try decode([ByteBuffer(bytes: PeerFrameFormat.magic + bytes)]) }
                // A longer length waits for bytes that never come; everything else is an error.
                if case .success(let messages) = result { #expect(messages.isEmpty && place < 4) }
            }
        }
    }

    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func `mutated frames, their checksum made right again, never trap`(seed: UInt64) throws {
        var random = SplitMix(state: seed)
        let original = Array(try frame(Samples.messages, withMagic: false).readableBytesView)
        var refusals = 0
        for _ in 0..<2000 {
            var bytes = original
            for _ in 0...Int.random(in: 0..<4, using: &random) {
                let place = Int.random(in: 4..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
                case 1 where bytes.count > 40: bytes.remove(at: place)
                default: bytes.insert(UInt8.random(in: 0...255, using: &random), at: place)
                }
            }
            bytes.store(littleEndian: UInt32(bytes.count - 4), at: 0)
            let lengths = CRC32C.checksum(Array(bytes[..<8]))
            bytes.store(littleEndian: CRC32C.checksum(Array(bytes[12...]), seed: lengths), at: 8)
            if (try? decode([ByteBuffer(bytes: PeerFrameFormat.magic + bytes)])) == nil { refusals += 1 }
        }
        #expect(refusals > 0)
    }

    @Test func `messages whose fields contradict each other are refused`() {
        var noBody = WireEnvelope()
        noBody.messages = [WireMessage()]
        var badKind = WireEnvelope()
        badKind.messages = [.with { $0.raft.kind = 99 }]
        var uneven = WireEnvelope()
        uneven.messages = [
            .with {
                $0.raft.kind = 5
                $0.raft.entries.indexes = [1]
            }
        ]
        var missing = WireEnvelope()
        missing.messages = [.with { $0.replies.payloadBytes = .max }]
        var state = WireEnvelope()
        state.messages = [.with { $0.snapshotProgress.state = 3 }]
        for envelope in [noBody, badKind, uneven, missing, state] {
            #expect(throws: PeerFrameError.self) {
                try PeerMessage.decode(PeerFrame(envelope: envelope, payload: ByteBuffer()))
            }
        }
        let unclaimed = PeerFrame(envelope: WireEnvelope(), payload: ByteBuffer(string: "x"))
        #expect(throws: PeerFrameError.invalid("1 bytes that no message claims")) { try PeerMessage.decode(unclaimed) }
    }
}
