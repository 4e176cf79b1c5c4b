import KVBase
import NIOCore
import SwiftProtobuf

/// A frame whose checksum matched.
struct PeerFrame {
    let envelope: WireEnvelope
    /// The bytes after the envelope.
    var payload: ByteBuffer
}

/// Writes frames into buffers.
enum PeerFrameEncoder {
    /// Appends one frame: envelope, then the payloads in order, each copied once.
    /// - Throws: `invalid` where the envelope or the frame outgrows what its length fields hold.
    static func encode(
        _ envelope: WireEnvelope,
        payloads: [[UInt8]] = [],
        into buffer: inout ByteBuffer
    ) throws(PeerFrameError) {
        let envelopeBytes: [UInt8]
        do {
            envelopeBytes = try envelope.serializedBytes()
        } catch {
            throw .invalid("an envelope that cannot be encoded: \(error)")
        }
        let payloadCount = payloads.reduce(0) { $0 + $1.count }
        let frameBytes = PeerFrameFormat.headerBytes - PeerFrameFormat.lengthBytes + envelopeBytes.count + payloadCount
        guard let length = UInt32(exactly: frameBytes) else { throw .invalid("\(frameBytes) bytes") }
        let start = buffer.writerIndex
        buffer.reserveCapacity(minimumWritableBytes: frameBytes + PeerFrameFormat.lengthBytes)
        buffer.writeInteger(length, endianness: .little)
        buffer.writeInteger(UInt32(envelopeBytes.count), endianness: .little)
        buffer.writeInteger(UInt32(0), endianness: .little)
        buffer.writeBytes(envelopeBytes)
        for payload in payloads { buffer.writeBytes(payload) }
        let checksum = frameChecksum(buffer, at: start, frameBytes: frameBytes)
        buffer.setInteger(checksum, at: start + 8, endianness: .little)
    }

    /// Appends the magic.
    static func encodeMagic(into buffer: inout ByteBuffer) {
        buffer.writeBytes(PeerFrameFormat.magic)
    }
}

/// The CRC32C of a frame: both lengths, then envelope and payload.
/// - Precondition: the frame's bytes are all in the buffer.
private func frameChecksum(_ buffer: ByteBuffer, at start: Int, frameBytes: Int) -> UInt32 {
    buffer.withUnsafeReadableBytes { bytes in
        let frame = bytes[(start - buffer.readerIndex)...].prefix(PeerFrameFormat.lengthBytes + frameBytes)
        let lengths = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: frame.prefix(8)))
        return CRC32C.checksum(
            UnsafeRawBufferPointer(rebasing: frame.dropFirst(PeerFrameFormat.headerBytes)),
            seed: lengths
        )
    }
}

/// Cuts a stream of bytes into frames: first the magic, then one frame after another.
///
/// Nothing in the bytes traps.
struct PeerFrameDecoder {
    /// The greatest frame that is taken.
    var frameBytesMax = PeerFrameFormat.handshakeFrameBytesMax
    private var hasMagic = false

    /// The next frame, or nil where its bytes have not all arrived.
    ///
    /// After an error the stream is of no use.
    ///
    /// Takes from `buffer` what it hands back, and makes room there for a frame whose length is known.
    mutating func next(_ buffer: inout ByteBuffer) throws(PeerFrameError) -> PeerFrame? {
        guard try takeMagic(&buffer) else { return nil }
        guard let length = buffer.getInteger(at: buffer.readerIndex, endianness: .little, as: UInt32.self) else {
            return nil
        }
        let frameBytes = Int(length)
        guard frameBytes + PeerFrameFormat.lengthBytes <= frameBytesMax else {
            throw .oversized(bytes: frameBytes + PeerFrameFormat.lengthBytes, limit: frameBytesMax)
        }
        guard frameBytes >= PeerFrameFormat.headerBytes - PeerFrameFormat.lengthBytes else {
            throw .badLength(frame: frameBytes, envelope: 0)
        }
        let missing = PeerFrameFormat.lengthBytes + frameBytes - buffer.readableBytes
        guard missing <= 0 else {
            buffer.discardReadBytes()
            buffer.reserveCapacity(minimumWritableBytes: missing)
            return nil
        }
        let computed = frameChecksum(buffer, at: buffer.readerIndex, frameBytes: frameBytes)
        guard
            let header = buffer.readMultipleIntegers(endianness: .little, as: (UInt32, UInt32, UInt32).self),
            var body = buffer.readSlice(length: frameBytes + PeerFrameFormat.lengthBytes - PeerFrameFormat.headerBytes)
        else { return nil }
        guard header.2 == computed else { throw .badChecksum(expected: header.2, found: computed) }
        guard let envelopeBytes = body.readBytes(length: Int(header.1)) else {
            throw .badLength(frame: frameBytes, envelope: Int(header.1))
        }
        do {
            return PeerFrame(envelope: try WireEnvelope(serializedBytes: envelopeBytes), payload: body)
        } catch {
            throw .invalid("an envelope that is no Protocol Buffers message")
        }
    }

    private mutating func takeMagic(_ buffer: inout ByteBuffer) throws(PeerFrameError) -> Bool {
        guard !hasMagic else { return true }
        let magic = PeerFrameFormat.magic
        let arrived = Array(buffer.readableBytesView.prefix(magic.count))
        // What is wrong from its first byte on is refused at once, not when it is long enough.
        guard magic.starts(with: arrived) else { throw .badMagic(found: arrived) }
        guard arrived.count == magic.count else { return false }
        buffer.moveReaderIndex(forwardBy: magic.count)
        hasMagic = true
        return true
    }
}
