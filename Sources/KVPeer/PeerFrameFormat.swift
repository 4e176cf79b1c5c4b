/// The numbers of a peer connection's bytes: docs/formats/peer-frame.md.
///
/// ```
/// connection   magic (8 bytes), then frames; the same in both directions
/// frame        u32 length of what follows · u32 envelope length · u32 CRC32C · envelope · payload
/// ```
enum PeerFrameFormat {
    /// What both sides send first: a name and the version of this framing.
    static let magic: [UInt8] = Array("kvpeer".utf8) + [0, 1]
    /// The bytes of a frame before its envelope.
    static let headerBytes = 12
    /// Of those, what the first field does not count: itself.
    static let lengthBytes = 4
    /// The greatest frame before both sides admitted each other.
    static let handshakeFrameBytesMax = 64 * 1024
    /// The greatest answer to a node that wants to join: 1,024 members of half a kilobyte.
    static let joinFrameBytesMax = 1024 * 1024
    /// What a frame's envelope takes at most for one message, beside texts and entries: 16 fields of at most 12 bytes each,
    /// and the frame's header.
    static let messageOverheadBytes = 16 * 12 + headerBytes
    /// What an envelope takes at most for one entry: index, term and time of 10 bytes, kind of 2, length of 5, checksum of 4.
    static let entryOverheadBytes = 3 * 10 + 2 + 5 + 4
    /// The longest reason that a refusal or a goodbye carries.
    static let reasonBytesMax = 2048
}

/// Why the bytes of a peer connection are refused.
package enum PeerFrameError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The connection does not begin with the magic; `found` is what does.
    case badMagic(found: [UInt8])
    /// A frame announces more than the limit.
    case oversized(bytes: Int, limit: Int)
    /// The lengths of a frame contradict each other.
    case badLength(frame: Int, envelope: Int)
    /// A frame's bytes are not those that were sent.
    case badChecksum(expected: UInt32, found: UInt32)
    /// A frame that is whole holds what no sender writes; the text names the field and the value.
    case invalid(String)

    /// One line for the log.
    package var description: String {
        switch self {
        case .badMagic(let found):
            "the connection begins with \(found), not with the peer protocol's magic: is it another program?"
        case .oversized(let bytes, let limit): "a frame of \(bytes) bytes; at most \(limit) are taken"
        case .badLength(let frame, let envelope): "a frame of \(frame) bytes with an envelope of \(envelope)"
        case .badChecksum(let expected, let found): "a frame whose checksum is \(found) where \(expected) was announced"
        case .invalid(let what): "a frame with \(what)"
        }
    }
}
